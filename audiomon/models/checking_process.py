"""A package's check, seen from its caller: starts `audiomon.models.checking` and reads its verdict.

Believes nothing that comes back: a hostile model may have taken that process over. What it prints is bounded, how long
it runs is bounded, and it ends when its caller does.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Literal

import msgspec

from audiomon.errors import ConfigError, ModelError
from audiomon.models.classifier import compare_answers
from audiomon.models.interpreter import Backend
from audiomon.models.memory_left import memory_left_bytes
from audiomon.models.package import MAX_WEIGHTS_BYTES, WEIGHTS, ModelPackage, parse_package, read_files

# A Raspberry Pi 3B+ needs about 2 s to start Python, NumPy and an interpreter; a model that is still at it after this
# long could not keep up with a microphone either.
MAX_CHECK_S = 60
# Python, NumPy and an interpreter take 130 MB of addresses, the largest model that is read at all four times its size.
MAX_MEMORY_BYTES = 1 << 30
# A check may fill at most this much of the machine's memory.
_MAX_SHARE_OF_MACHINE = 0.5
# Left free for the caller in a service or a container, besides what it reads of the package meanwhile: once the last
# page is gone, the kernel ends the check, and may end its caller before that memory has come back.
_KEPT_BYTES = 8 << 20
# Ten thousand scores of sixteen self-tests, in decimal.
MAX_OUTPUT_BYTES = 4 << 20
MAX_ERROR_CHARS = 500
# A process that was killed is gone at once, unless what it started holds its output open.
_MAX_END_S = 2.0


Place = Literal["", ".", "model.yaml", "model.tflite"]


class Understood(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the checking process prints once it has read the package and compiled its rules, in little enough time.

    Attributes:
        digest: of the files that it has read; see `audiomon.models.package.PackageFiles`.
    """

    digest: str


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the checking process prints, as its last line.

    Attributes:
        fingerprint: of the package that it checked.
        answers: see `audiomon.models.classifier.Classifier.self_test_answers`.
        load_s: how long loading the model took, in seconds of CPU time.
        clipped: share of the self-test windows' values that its quantised input cannot hold.
        error: what is wrong with it, or nothing.
        file: which of the package's files that is about; ``.`` for its folder; or nothing.
        line: of that file.
        key: in that file.
        in_manifest: whether it is the manifest that is wrong.
    """

    fingerprint: str = ""
    answers: tuple[tuple[float, ...], ...] = ()
    load_s: float = 0.0
    clipped: float = 0.0
    error: str = ""
    file: Place = ""
    line: int | None = None
    key: str = ""
    in_manifest: bool = False


class CheckingProcess:
    """A package's check, running beside whatever the caller does meanwhile.

    Its caller reads the files too, but understands nothing of them before the other process has.

    Args:
        folder: of the package.
        backend: which runtime.

    Attributes:
        load_s: see `Verdict`; 0 until the check has passed.
        clipped: see `Verdict`; 0 until the check has passed.
    """

    def __init__(self, folder: Path, backend: Backend) -> None:
        self.load_s = 0.0
        self.clipped = 0.0
        self._folder = folder
        self._backend = backend
        self._memory_bytes = _memory_bytes(folder)
        self._package: ModelPackage | None = None
        self._process = subprocess.Popen(
            # -P: not whatever lies in the current folder, but the modules that this process uses.
            [
                *(sys.executable, "-P", "-m", "audiomon.models.checking"),
                *(str(folder.absolute()), backend, str(self._memory_bytes)),
            ],
            stdin=subprocess.PIPE,  # never written to: its other end closes when this process ends, however that is
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        )
        # Read all along: a child that is waited for only when it has ended must not wait for its answers to be taken.
        self._output = bytearray()
        self._understood: Understood | None = None
        self._has_understood = threading.Event()
        self._reading = threading.Thread(target=self._read, name="checking", daemon=True)
        self._reading.start()

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether `wait` would return, or raise, at once."""
        return not self._reading.is_alive()

    def kill(self) -> None:
        """End it: its verdict is no longer wanted."""
        self._process.kill()
        self._reading.join(_MAX_END_S)

    def package(self) -> ModelPackage:
        """Return the package, as soon as the other process has understood it.

        Raises:
            ModelError, ConfigError: it is none.
        """
        if self._package is None:
            if not self._has_understood.wait(MAX_CHECK_S):
                self.kill()
                raise ModelError(f"took longer than {MAX_CHECK_S} s to read", path=self._folder)
            if self._understood is None:
                self._verdict()  # says why not
                raise ModelError("could not be checked: nothing was said of it", path=self._folder)
            files = read_files(self._folder)
            if files.digest != self._understood.digest:
                raise ModelError("changed while it was being checked; try again", path=self._folder)
            self._package = parse_package(files)
        return self._package

    def wait(self) -> None:
        """Return when the package has passed.

        Raises:
            ModelError, ConfigError: it did not.
        """
        answers = self.answers()
        compare_answers(self.package(), answers)

    def answers(self) -> tuple[tuple[float, ...], ...]:
        """Return what the model says to the self-test sounds, whatever the manifest expects.

        Raises:
            ModelError, ConfigError: the package cannot be used at all.
        """
        verdict = self._verdict()
        if verdict.fingerprint != self.package().fingerprint:
            raise ModelError("changed while it was being checked; try again", path=self._folder)
        self.load_s, self.clipped = verdict.load_s, verdict.clipped
        return verdict.answers

    def _verdict(self) -> Verdict:
        weights = self._folder / WEIGHTS
        self._reading.join(MAX_CHECK_S)
        if self._reading.is_alive():
            self.kill()
            raise ModelError(f"its self-test took longer than {MAX_CHECK_S} s", path=weights)
        if len(self._output) > MAX_OUTPUT_BYTES:
            raise ModelError(f"its check printed more than {MAX_OUTPUT_BYTES >> 20} MiB: do not use it", path=weights)
        if (status := self._process.returncode) < 0:
            raise ModelError(_death(-status, self._backend, self._memory_bytes), path=weights)
        last = (bytes(self._output).strip().splitlines() or [f"status {status}".encode()])[-1]
        try:
            verdict = msgspec.json.decode(last, type=Verdict)
        except msgspec.DecodeError:
            raise ModelError(f"could not be checked: {last[:200].decode(errors='replace')}", path=weights) from None
        if verdict.error:
            raise self._refusal(verdict)
        return verdict

    def _refusal(self, verdict: Verdict) -> ModelError | ConfigError:
        kind = ConfigError if verdict.in_manifest else ModelError
        path = self._folder / verdict.file if verdict.file else None
        return kind(verdict.error[:MAX_ERROR_CHARS], path=path, line=verdict.line, key=verdict.key)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as printed:
            while len(self._output) <= MAX_OUTPUT_BYTES and (part := printed.read(1 << 16)):
                self._output += part
                self._look_whether_understood()
        if len(self._output) > MAX_OUTPUT_BYTES:
            self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._has_understood.set()

    def _look_whether_understood(self) -> None:
        """Take the first whole line for it; what else may print comes later."""
        if self._understood is None and (end := self._output.find(b"\n", 1)) >= 0:
            with contextlib.suppress(msgspec.DecodeError):
                self._understood = msgspec.json.decode(self._output[:end], type=Understood)
                self._has_understood.set()


def _memory_bytes(folder: Path) -> int:
    """Return how much memory a check of a package that begins now may fill."""
    machine_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    most = min(MAX_MEMORY_BYTES, int(machine_bytes * _MAX_SHARE_OF_MACHINE))
    left = memory_left_bytes()
    if left is None:
        return most
    weights_bytes = 0
    with contextlib.suppress(OSError):
        weights_bytes = min((folder / WEIGHTS).stat().st_size, MAX_WEIGHTS_BYTES)
    return max(0, min(most, left - weights_bytes - _KEPT_BYTES))


def _death(number: int, backend: Backend, memory_bytes: int) -> str:
    """Say what the signal that ended a check means."""
    try:
        name = signal.Signals(number).name
    except ValueError:  # a real-time signal
        name = f"signal {number}"
    match name:
        case "SIGKILL":
            return (
                f"its check was killed ({name}), as the system does when memory runs out: the model needs more of it "
                f"than is left beside the one that runs"
            )
        case "SIGXCPU":
            return f"its self-test took longer than {MAX_CHECK_S} s"
    most = f"{memory_bytes >> 20} MiB"
    return f"crashes {backend} ({name}): the model is damaged, or needs more than {most} of memory"
