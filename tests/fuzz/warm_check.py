"""The checking process, forked from this one instead of started anew: 140 a second instead of three.

What it does, its limits and how its answer is read are the real ones; only Python's start is left out.
"""

import contextlib
import io
import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from unittest import mock

from audiomon.models import checking, checking_process
from audiomon.models.interpreter import Backend

# A model that is still at it by then is refused for that; the real check waits a minute.
_CPU_S = 2
_WALL_S = 30


class _Forked:
    """Stands in for ``subprocess.Popen``."""

    def __init__(self, command: list[str], **_options: Any) -> None:
        folder, backend = Path(command[-3]), cast(Backend, command[-2])
        reading, writing = os.pipe()
        self.stdin = None
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.close(reading)
                signal.alarm(_WALL_S)
                checking.limit_resources(int(command[-1]))
                _, hard = resource.getrlimit(resource.RLIMIT_CPU)
                resource.setrlimit(resource.RLIMIT_CPU, (min(_CPU_S, hard), hard))
                os.dup2(writing, 1)
                with open(1, "w", closefd=False) as sys.stdout:
                    checking.say("\n", checking.verdict(folder, backend))
                status = 0
            except BaseException as error:
                sys.stderr.write(f"in the checking process: {error!r}\n")
            finally:
                os._exit(status)
        os.close(writing)
        self.stdout = io.FileIO(reading)

    def wait(self) -> int:
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


@contextlib.contextmanager
def forked_check() -> Iterator[None]:
    """Have every `CheckingProcess` forked from this process."""
    with mock.patch.object(checking_process.subprocess, "Popen", _Forked):
        yield
