"""What a bug report needs, in one archive: versions, configuration, devices, status, recent journal; never audio."""

import importlib.metadata
import io
import platform
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from audiomon import __version__
from audiomon.audio.microphone.devices import input_devices
from audiomon.diagnostics.doctor.machine import model_of
from audiomon.errors import AudiomonError, DeviceError
from audiomon.outputs.snapshot import FILE
from audiomon.runtime_files import find_runtime, unit_of

_DISTRIBUTIONS = (
    "numpy", "sounddevice", "soundfile", "soxr", "ai-edge-litert", "tflite-runtime", "msgspec", "PyYAML", "click",
    "inotify_simple", "systemd-python",
)  # fmt: skip
_JOURNAL_ENTRIES = 1000
_JOURNAL_PATIENCE_S = 30

_SECRET = r"[\w.-]*(?:passw|passphrase|secret|token|api_?key|credential|private)[\w.-]*"
_SECRET_LINE = re.compile(rf"^(\s*(?:-\s+)?[\"']?{_SECRET}[\"']?\s*:)(?:\s.*|$)", re.IGNORECASE)
_SECRET_INSIDE = re.compile(rf"([{{,\s][\"']?{_SECRET}[\"']?\s*[:=]\s*)(\"[^\"]*\"|'[^']*'|[^,}}\s]+)", re.IGNORECASE)
_SECRET_IN_ADDRESS = re.compile(r"(\w://)[^/\s@]+@")
_LEFT_OUT = "(left out)"


def without_secrets(text: str) -> str:
    """Leave out what stands at keys such as ``password`` or ``api_key``, and before an ``@`` in addresses.

    Line by line rather than as YAML: a file that is broken is the one that somebody wants looked at.
    """
    kept: list[str] = []
    below: int | None = None  # indentation of a secret key whose value goes on in further lines
    for line in text.splitlines():
        indentation = len(line) - len(line.lstrip())
        if below is not None and (not line.strip() or indentation > below):
            continue
        below = None
        if match := _SECRET_LINE.match(line):
            kept.append(f"{match[1]} {_LEFT_OUT}")
            below = indentation
            continue
        shown = _SECRET_INSIDE.sub(rf"\g<1>{_LEFT_OUT}", line)
        kept.append(_SECRET_IN_ADDRESS.sub(rf"\g<1>{_LEFT_OUT}@", shown))
    return "\n".join(kept) + "\n"


def bundle_contents(config: Path | None, instance: str, report: str) -> dict[str, str]:
    """Collect everything.

    Args:
        config: the configuration, if there is one.
        instance: which listener's journal and status are asked for.
        report: what the doctor said.

    Returns:
        The text of each file, by its name.
    """
    status = find_runtime(None, FILE, instance) / FILE
    return {
        "doctor.txt": report,
        "versions.txt": _versions(),
        "audiomon.yaml": without_secrets(_text(config)) if config else "there is none: the defaults hold\n",
        "devices.json": _devices(),
        "status.json": _text(status),
        "journal.txt": without_secrets(_journal(unit_of(instance))),
    }


def write_bundle(path: Path, contents: Mapping[str, str]) -> None:
    """Write an archive.

    Args:
        path: of it, ending as tar archives do, as in ``.tar.gz``. Readable by its owner only.
        contents: text by file name.

    Raises:
        AudiomonError: it cannot be written.
    """
    try:
        path.touch(mode=0o600)
        with tarfile.open(path, "w:gz") as archive:
            for name, text in contents.items():
                data = text.encode()
                member = tarfile.TarInfo(f"audiomon-bundle/{name}")
                member.size, member.mtime, member.mode = len(data), int(time.time()), 0o600
                archive.addfile(member, io.BytesIO(data))
    except OSError as error:
        raise AudiomonError(f"{path}: cannot be written: {error.strerror}") from None


def _versions() -> str:
    lines = [f"audiomon {__version__}", f"Python {sys.version}", f"system {platform.platform()}"]
    if machine := model_of():
        lines.append(f"machine {machine}")
    for name in _DISTRIBUTIONS:
        try:
            lines.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            lines.append(f"{name} is not installed")
    lines.append(_printed("systemctl", "--version").partition("\n")[0] or "systemd is not installed")
    return "\n".join(lines) + "\n"


def _devices() -> str:
    try:
        return "".join(msgspec.json.encode(msgspec.to_builtins(one)).decode() + "\n" for one in input_devices())
    except DeviceError as error:
        return f"{error}\n"


def _journal(unit: str) -> str:
    command = ("journalctl", "-u", unit, "-n", str(_JOURNAL_ENTRIES), "-o", "short-iso-precise", "--no-pager", "-q")
    return _printed(*command) or "the journal has nothing that you may read: with sudo, you may read all\n"


def _printed(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_JOURNAL_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"{path}: cannot be read: {error.strerror}\n"
