"""The emulated machine: an arm64 Python with a Raspberry Pi's wheels, made once, and the counter for its emulator.

Nothing of it is installed or started: Debian's packages are unpacked, wheels are unpacked beside them, and qemu-user
runs the Python among them.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
# $AUDIOMON_ARM_ROOTS is where tests/arm_userlands.sh keeps its own.
_FOLDER = Path(os.environ.get("AUDIOMON_ARM_ROOTS", REPOSITORY / ".arm")) / "instructions"
_TOOLS = {"qemu-aarch64": "qemu-user", "mmdebstrap": "mmdebstrap", "gcc": "gcc"}
_SUITE = "bookworm"
_PYTHON = "python3.11"
_WHEELS = ("numpy", "ai-edge-litert", "msgspec", "pyyaml", "click", "inotify-simple", "sounddevice", "cffi")
_NEEDED_BY_WHEELS = ("flatbuffers", "backports-strenum", "tqdm", "pycparser")


class NoEmulatedMachineError(RuntimeError):
    """The packages of another architecture cannot be had here: no network, or sources that lack them."""


def missing_tools() -> list[str]:
    """Return Debian's packages that this needs and this machine lacks."""
    return sorted(package for tool, package in _TOOLS.items() if shutil.which(tool) is None)


def marks(*workload: str) -> dict[int, int]:
    """Run a workload, and return how many instructions had been executed at each of its marks.

    Raises:
        NoEmulatedMachineError: what it consists of cannot be fetched.
    """
    prepare()
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "marks"
        command = [*python(out), str(HERE / "workload.py"), *workload]
        for _ in range(2):  # the first run compiles Python
            done = subprocess.run(
                command, env=environment(), capture_output=True, text=True, check=False, cwd=REPOSITORY
            )
            if done.returncode:
                raise RuntimeError(f"{' '.join(workload)}: ends with {done.returncode}: {done.stderr[-2000:]}")
        return read_marks(out)


def python(out: Path | None = None) -> list[str]:
    """Return the command of the emulated Python.

    Args:
        out: file that the count is written to at each mark; None to count nothing.
    """
    counting = [] if out is None else ["-plugin", f"{_FOLDER / 'counter.so'},out={out}"]
    return ["qemu-aarch64", "-L", str(_FOLDER / "root"), *counting, str(_FOLDER / "root/usr/bin" / _PYTHON), "-S"]


def environment(*more_wheels: Path) -> dict[str, str]:
    """Return the environment of the emulated Python; wheels are in the service's folder, and in those named."""
    return {
        "QEMU_CPU": "cortex-a53",
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": ":".join(map(str, (REPOSITORY, _FOLDER / "site", *more_wheels))),
        "PYTHONPYCACHEPREFIX": str(_FOLDER / "compiled"),
        "OPENBLAS_NUM_THREADS": "1",
    }


def read_marks(out: Path) -> dict[int, int]:
    """Return the count at each mark that has been written."""
    lines = (line.split() for line in out.read_text(encoding="ascii").splitlines())
    return {int(number): int(count) for number, count in lines}


def wheels(name: str, requirements: list[str]) -> Path:
    """Return a folder of a Raspberry Pi's wheels that meet some requirements, their own among them; made once.

    Raises:
        NoEmulatedMachineError: they cannot be fetched.
    """
    folder, stamp = _FOLDER / name, "\n".join([_PYTHON, *requirements])
    if not (folder / "stamp").exists() or (folder / "stamp").read_text() != stamp:
        shutil.rmtree(folder, ignore_errors=True)
        try:
            _install(folder, requirements)
        except (OSError, RuntimeError) as error:
            raise NoEmulatedMachineError(str(error)) from error
        (folder / "stamp").write_text(stamp)
    return folder


def prepare() -> None:
    """Make what is not there yet.

    Raises:
        NoEmulatedMachineError: what it consists of cannot be fetched.
    """
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        pinned = [_pinned(name) for name in (*_WHEELS, *_NEEDED_BY_WHEELS)]
        stamp = "\n".join([_SUITE, _PYTHON, *pinned])
        if not (_FOLDER / "stamp").exists() or (_FOLDER / "stamp").read_text() != stamp:
            try:
                _make(pinned)
            except (OSError, RuntimeError) as error:
                raise NoEmulatedMachineError(str(error)) from error
            (_FOLDER / "stamp").write_text(stamp)
        source, built = HERE / "counter.c", _FOLDER / "counter.so"
        if not built.exists() or built.stat().st_mtime < source.stat().st_mtime:
            _run("gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", str(built), str(source))


def _make(requirements: list[str]) -> None:
    for name in ("root", "site", "compiled", "stamp"):
        path = _FOLDER / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    root = _FOLDER / "root"
    with tempfile.TemporaryDirectory() as scratch:
        # This machine's own package sources; the security suite's index for another architecture can lag behind.
        stanzas = Path("/etc/apt/sources.list.d/debian.sources").read_text(encoding="utf-8").split("\n\n")
        sources = Path(scratch) / "arm.sources"
        kept = [re.sub(r"(?m)^(Suites:).*", rf"\1 {_SUITE}", one) for one in stanzas if "security" not in one]
        sources.write_text("\n\n".join(kept), encoding="utf-8")
        packages = f"{_PYTHON},libstdc++6,libportaudio2"
        options = ["--arch=arm64", "--variant=extract", '--aptopt=Acquire::Check-Valid-Until "false"']
        _run("mmdebstrap", *options, f"--include={packages}", _SUITE, str(root), str(sources))
    # Libraries choose their kernels by it, and crash on that of another processor.
    (root / "proc").mkdir(exist_ok=True)
    shutil.copy(REPOSITORY / "tests" / "cpuinfo.pi3", root / "proc" / "cpuinfo")
    _install(_FOLDER / "site", ["--no-deps", *requirements])


def _install(folder: Path, requirements: list[str]) -> None:
    platforms = [f"--platform=manylinux{version}_aarch64" for version in ("_2_28", "_2_27", "2014")]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    _run(*pip, *platforms, "--python-version=3.11", "--only-binary=:all:", f"--target={folder}", *requirements)


def _pinned(name: str) -> str:
    """Return a requirement of exactly the version that the service is installed with."""
    lock = (REPOSITORY / "deploy" / "service.lock").read_text(encoding="utf-8")
    found = re.search(rf"(?m)^{re.escape(name)}==\S+", lock)
    if found is None:
        raise RuntimeError(f"deploy/service.lock has no {name}")
    return found[0]


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} ends with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
