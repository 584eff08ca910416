"""A live contender as a process, watched from outside. It never talks to the process it watches.

A live contender writes ``{"kind": "listening"}`` to its standard output once it hears, then one JSON object a line.
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

from audiomon.lab.bench.processes import contender_died

# librosa compiles for 20 s when it starts for the first time, and much longer on a Raspberry Pi.
_READY_TIMEOUT_S = 300
_STOP_TIMEOUT_S = 10


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


class Listening:
    """A live contender, from its start until it is stopped.

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
        if not self._ready.wait(_READY_TIMEOUT_S) or not self._ready_at_s:
            self._process.kill()
            self._process.wait()
            self._threads[1].join(1)
            raise contender_died(command, "".join(self._errors))
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
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(_STOP_TIMEOUT_S)

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
