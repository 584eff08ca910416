"""Contenders as processes: started with a clean environment, watched from outside, never touching each other.

A live contender says ``{"kind": "listening"}`` on its standard output once it hears, then one JSON object a line.
"""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiomon.errors import AudiomonError

CHECKOUT = Path(__file__).resolve().parents[3]
LOOP_SCRIPT = Path(__file__).with_name("tutorial_loop.py")

# librosa compiles for 20 s when it starts for the first time, and much longer on a Raspberry Pi.
_READY_PATIENCE_S = 300
_STOP_PATIENCE_S = 10


def contender_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment that every contender gets: one thread for matrices, compiled Python kept on disk."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    threads = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL", "NUMBA")}
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "GLOG_minloglevel": "3"}
    path = os.pathsep.join(part for part in (str(CHECKOUT), kept.get("PYTHONPATH", "")) if part)
    return {**kept, **threads, **quiet, "PYTHONPATH": path, **(extra or {})}


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds of the machine.

    Attributes:
        rss_bytes: its resident set.
        threads: how many it has.
        descriptors: how many it has open.
    """

    rss_bytes: int
    threads: int
    descriptors: int


class Bursts:
    """A contender that works off one burst of audio whenever it is told to, and says what that cost.

    Args:
        command: what to start; it answers every line on its standard input with ``{"cpu_s": …, "audio_s": …}``.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=contender_environment(),
        )

    def burst(self) -> float:
        """Return the CPU seconds that a second of audio cost in one burst."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = self._process.stdout.readline()
        if not answer:
            raise _died(self._command, self._process.communicate()[1])
        cost: dict[str, float] = json.loads(answer)
        return cost["cpu_s"] / cost["audio_s"]

    def end(self) -> None:
        """Let it go."""
        self._process.communicate()


class Listening:
    """A live contender, from its start until it is told to stop.

    Args:
        command: what to start.
        environment: its whole environment.

    Attributes:
        ready_s: from its start to the line that says it listens, in seconds.
        lines: all JSON objects that it has written since, with the monotonic time at which they came.

    Raises:
        AudiomonError: it ended, or said nothing for long.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = command
        started_s = time.monotonic()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.lines: list[tuple[float, dict[str, Any]]] = []
        self._ready = threading.Event()
        self._ready_at_s = 0.0
        self._errors: list[str] = []
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._read, self._read_errors)]
        for thread in self._threads:
            thread.start()
        if not self._ready.wait(_READY_PATIENCE_S) or not self._ready_at_s:
            self._process.kill()
            self._process.wait()
            self._threads[1].join(1)
            raise _died(command, "".join(self._errors))
        self.ready_s = self._ready_at_s - started_s

    def cpu_s(self) -> float:
        """CPU seconds of all its threads since its start, to the nanosecond: the kernel's clock of that process."""
        # linux/posix-timers: CPUCLOCK_SCHED (2) of a process is (~pid << 3) | 2.
        return time.clock_gettime(~self._process.pid << 3 | 2)

    def peak_rss_bytes(self) -> int:
        """Its largest resident set so far."""
        return self._status("VmHWM") * 1024

    def held(self) -> Held:
        """What it holds now."""
        descriptors = len(os.listdir(f"/proc/{self._process.pid}/fd"))
        return Held(self._status("VmRSS") * 1024, self._status("Threads"), descriptors)

    def stop(self) -> None:
        """Interrupt it as Ctrl-C would, and wait."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_STOP_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(_STOP_PATIENCE_S)

    def _status(self, name: str) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        (value,) = (line.split()[1] for line in status.splitlines() if line.startswith(f"{name}:"))
        return int(value)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            at_s = time.monotonic()
            if not line.startswith("{"):
                continue
            fields = json.loads(line)
            if fields.get("kind") == "listening" and not self._ready_at_s:
                self._ready_at_s = at_s
                self._ready.set()
            self.lines.append((at_s, fields))
        self._ready.set()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors = [*self._errors[-20:], line]


def run_to_end(command: Sequence[str]) -> float:
    """Run a command and return the CPU seconds that it and the processes it waited for took.

    Raises:
        AudiomonError: it failed.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=contender_environment(),
    )
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise _died(command, errors)
    return usage.ru_utime + usage.ru_stime


def _died(command: Sequence[str], errors: str) -> AudiomonError:
    last = (errors.strip().splitlines() or ["it said nothing"])[-1]
    return AudiomonError(f"the contender failed: {' '.join(map(str, command[:6]))} …: {last}")
