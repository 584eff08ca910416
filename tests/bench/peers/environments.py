"""Environments for what audiomon is compared with: made once in the user's cache, used again next time.

Nothing is installed anywhere else, and audiomon is in none of them.
"""

import fcntl
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from audiomon.errors import AudiomonError

_COMPLETE = "audiomon-complete.json"


@dataclass(frozen=True, slots=True)
class Environment:
    """What one peer needs.

    Attributes:
        name: of its folder.
        packages: what pip is asked for; the first one is what the peer is known by.
        size_mb: what it takes on disk, about.
    """

    name: str
    packages: tuple[str, ...]
    size_mb: int


@dataclass(frozen=True, slots=True)
class Ready:
    """An environment that can be used.

    Attributes:
        python: its interpreter.
        versions: of the packages that were asked for, by name.
    """

    python: Path
    versions: dict[str, str]


class SetUpError(AudiomonError):
    """An environment cannot be made here; the message says why."""


def cache_folder() -> Path:
    """Return where environments are kept unless the user says otherwise."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "audiomon" / "peers"


def set_up(environment: Environment, folder: Path, tell: Callable[[str], None]) -> Ready:
    """Return an environment; make it first if it is not there, or was made for other packages.

    Args:
        environment: what is wanted.
        folder: of all environments.
        tell: is told what will be installed, and where, before it is.

    Raises:
        SetUpError: it cannot be made.
    """
    place = _place(environment, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_complete(environment, place):
                tell(f"installing {', '.join(environment.packages)} (about {environment.size_mb} MB) in {place}")
                _make(environment, place)
    except OSError as error:
        raise SetUpError(f"{place}: cannot be written: {error.strerror}") from None
    return Ready(_python(place), json.loads((place / _COMPLETE).read_text(encoding="utf-8"))["versions"])


def existing(environment: Environment, folder: Path) -> Path | None:
    """Return the interpreter of an environment that is there; None if it is not."""
    place = _place(environment, folder)
    return _python(place) if _is_complete(environment, place) else None


def _place(environment: Environment, folder: Path) -> Path:
    # Another Python needs another environment.
    return folder / f"{environment.name}-py{sys.version_info.major}.{sys.version_info.minor}-{platform.machine()}"


def _python(place: Path) -> Path:
    return place / "bin" / "python"


def _is_complete(environment: Environment, place: Path) -> bool:
    try:
        made_for = json.loads((place / _COMPLETE).read_text(encoding="utf-8"))["packages"]
    except (OSError, ValueError, KeyError):
        return False
    # A symbolic link, whose Python may be gone since.
    return bool(made_for == list(environment.packages)) and _python(place).exists()


def _make(environment: Environment, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    try:
        _run([sys.executable, "-m", "venv", "--without-pip", str(place)], "python3 -m venv failed")
        # This environment's pip installs into that one: making one there takes longer than all else.
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "--no-input",
            "--python",
            str(_python(place)),
        ]
        _run([*pip, "install", *environment.packages], f"pip cannot install {', '.join(environment.packages)}")
        versions = json.loads(_run([*pip, "list", "--format", "json"], "pip failed"))
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    installed = {one["name"]: one["version"] for one in versions}
    wanted = map(_distribution, environment.packages)
    found = {name: installed[name] for name in wanted if name in installed}
    facts = {"packages": list(environment.packages), "versions": found}
    (place / _COMPLETE).write_text(json.dumps(facts), encoding="utf-8")


def _distribution(package: str) -> str:
    """Return the name in ``name>=1.0``."""
    return re.split(r"[^\w.-]", package, maxsplit=1)[0]


def _run(command: list[str], failed: str) -> str:
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=clean, check=False)
    if done.returncode:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        # pip's last error is the one that sums up.
        errors = [line for line in lines if line.startswith("ERROR:")] or lines
        raise SetUpError(f"{failed}: {errors[-1][:200] if errors else f'status {done.returncode}'}")
    return done.stdout
