"""Many cases of one target, in processes forked from this one: a crash or a hang is a finding, and not the end."""

import contextlib
import gc
import mmap
import os
import signal
import struct
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import Target, opened

_BATCH = 1000
# A case takes milliseconds. What it may take is told by the CPU it has had, and for one that waits for nothing by how
# often this process looked in vain: on a machine that is busy, or suspended, the clock tells nothing.
_HANG_CPU_S = 20
_LOOK_S = 0.01
_VAIN_LOOKS = 12_000


@dataclass
class Outcome:
    """What came of a campaign.

    Attributes:
        ends: how many cases were taken, and how many refused.
        findings: number of the case, and what happened.
        seconds: it took.
    """

    ends: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[int, str]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def cases(self) -> int:
        """How many were tried."""
        return sum(self.ends.values()) + len(self.findings)


def campaign(name: str, first: int, count: int, say: Callable[[str], None] = lambda _: None) -> Outcome:
    """Try cases ``first`` to ``first + count``; the same numbers are the same cases."""
    outcome, began_s = Outcome(), time.monotonic()
    with opened(name) as target:
        number, end = first, first + count
        while number < end:
            number = _batch(target, number, min(number + _BATCH, end), outcome)
            done = number - first
            per_s = done / (time.monotonic() - began_s)
            say(f"{name}: {done} of {count}, {len(outcome.findings)} findings, {per_s:.0f}/s")
    outcome.seconds = time.monotonic() - began_s
    return outcome


def case(name: str, number: int) -> bytes:
    """The bytes of one case, to look at."""
    with opened(name) as target:
        return mutated(number, target.seeds, target.tokens)


def _batch(target: Target, first: int, end: int, outcome: Outcome) -> int:
    """Try cases in one forked process; the number to go on with."""
    at = mmap.mmap(-1, 8)  # shared with the child: which case it is at
    at[:] = struct.pack("q", first)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _child(target, first, end, at, writing)
    os.close(writing)
    hung, report = _watch(pid, at, reading)
    _, status = os.waitpid(pid, 0)
    current = struct.unpack("q", at[:])[0]
    for line in report.splitlines():
        number, end_or_trace = msgspec.json.decode(line, type=tuple[int, str])
        if end_or_trace in ("taken", "refused"):
            outcome.ends[end_or_trace] += 1
        else:
            outcome.findings.append((number, end_or_trace))
    if status == 0:
        return end
    how = os.waitstatus_to_exitcode(status)
    outcome.findings.append((current, "hangs" if hung else f"crashes: {signal.Signals(-how).name if how < 0 else how}"))
    return current + 1


def _child(target: Target, first: int, end: int, at: mmap.mmap, writing: int) -> None:
    status = 1
    try:
        warnings.simplefilter("error")  # a warning would be a line too many
        warnings.simplefilter("ignore", ResourceWarning)
        gc.freeze()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        with open(writing, "wb", buffering=0) as report:
            for number in range(first, end):
                at[:] = struct.pack("q", number)
                try:
                    ended = target.read(mutated(number, target.seeds, target.tokens), number)
                except Exception:
                    ended = traceback.format_exc()
                report.write(msgspec.json.encode((number, ended)) + b"\n")
        status = 0
    except BaseException:
        traceback.print_exc(file=sys.stderr)
    finally:
        os._exit(status)


def _watch(pid: int, at: mmap.mmap, reading: int) -> tuple[bool, bytes]:
    """Read what the child reports until it ends: whether it had to be killed, and the report."""
    seen, seen_cpu_s, vain_looks = at[:], 0.0, 0
    parts = bytearray()
    hung = False
    os.set_blocking(reading, False)
    with open(reading, "rb", buffering=0) as file:
        while not _ended(pid):
            parts += file.read(1 << 16) or b""
            cpu_s = _cpu_s(pid)
            if at[:] != seen:
                seen, seen_cpu_s, vain_looks = at[:], cpu_s, 0
            vain_looks += 1
            if cpu_s - seen_cpu_s > _HANG_CPU_S or vain_looks > _VAIN_LOOKS:
                os.kill(pid, signal.SIGKILL)
                hung = True
                break
            time.sleep(_LOOK_S)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        while data := file.read(1 << 16):
            parts += data
    return hung, bytes(parts)


def _ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _cpu_s(pid: int) -> float:
    # linux/posix-timers: CPUCLOCK_SCHED (2) of a process is (~pid << 3) | 2.
    with contextlib.suppress(OSError):
        return time.clock_gettime(~pid << 3 | 2)
    return 0.0
