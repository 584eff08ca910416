"""Contenders as processes: started with a clean environment, never touching each other."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from audiomon.errors import AudiomonError

# The folder that this process imports audiomon from: the checkout, or site-packages.
_IMPORTED_FROM = Path(__file__).resolve().parents[3]


def contender_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment that every contender gets: one thread for matrices, compiled Python kept on disk."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    threads = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL", "NUMBA")}
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "GLOG_minloglevel": "3"}
    path = os.pathsep.join(part for part in (str(_IMPORTED_FROM), kept.get("PYTHONPATH", "")) if part)
    return {**kept, **threads, **quiet, "PYTHONPATH": path, **(extra or {})}


class Bursts:
    """A contender that processes one burst of audio on request and reports what that cost.

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
            raise contender_died(self._command, self._process.communicate()[1])
        cost: dict[str, float] = json.loads(answer)
        return cost["cpu_s"] / cost["audio_s"]

    def end(self) -> None:
        """Close its standard input and wait for it to end."""
        self._process.communicate()


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
        raise contender_died(command, errors)
    return usage.ru_utime + usage.ru_stime


def contender_died(command: Sequence[str], errors: str) -> AudiomonError:
    """Return the error for a contender that ended, with the last line that it wrote on stderr."""
    last = (errors.strip().splitlines() or ["it said nothing"])[-1]
    return AudiomonError(f"the contender failed: {' '.join(map(str, command[:6]))} …: {last}")
