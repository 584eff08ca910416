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

_HERE = Path(__file__).resolve().parent
REPOSITORY = _HERE.parents[1]
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
    _prepare()
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "marks"
        environment = {
            "QEMU_CPU": "cortex-a53",
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": f"{REPOSITORY}:{_FOLDER / 'site'}",
            "PYTHONPYCACHEPREFIX": str(_FOLDER / "compiled"),
            "OPENBLAS_NUM_THREADS": "1",
        }
        command = ["qemu-aarch64", "-L", str(_FOLDER / "root"), "-plugin", f"{_FOLDER / 'counter.so'},out={out}"]
        python = str(_FOLDER / "root" / "usr" / "bin" / _PYTHON)
        command += [python, "-S", str(_HERE / "workload.py"), *workload]
        for _ in range(2):  # the first run compiles Python
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=REPOSITORY)
            if done.returncode:
                raise RuntimeError(f"{' '.join(workload)}: ends with {done.returncode}: {done.stderr[-2000:]}")
        lines = (line.split() for line in out.read_text(encoding="ascii").splitlines())
        return {int(number): int(count) for number, count in lines}


def _prepare() -> None:
    """Make what is not there yet."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wheels = [_pinned(name) for name in (*_WHEELS, *_NEEDED_BY_WHEELS)]
        stamp = "\n".join([_SUITE, _PYTHON, *wheels])
        if not (_FOLDER / "stamp").exists() or (_FOLDER / "stamp").read_text() != stamp:
            try:
                _make(wheels)
            except (OSError, RuntimeError) as error:
                raise NoEmulatedMachineError(str(error)) from error
            (_FOLDER / "stamp").write_text(stamp)
        source, built = _HERE / "counter.c", _FOLDER / "counter.so"
        if not built.exists() or built.stat().st_mtime < source.stat().st_mtime:
            _run("gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", str(built), str(source))


def _make(wheels: list[str]) -> None:
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
    platforms = [f"--platform=manylinux{version}_aarch64" for version in ("_2_28", "_2_27", "2014")]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    _run(*pip, *platforms, "--python-version=3.11", "--only-binary=:all:", f"--target={_FOLDER / 'site'}", *wheels)


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
