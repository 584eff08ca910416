"""A process that hears one recording after the other, for those of a part that has killed its worker.

Whatever kills it has killed nothing else; the next recording gets a new one. Both ends are here, and they talk over a
socket: a byte length, then MessagePack.
"""

import os
import signal
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from io import BufferedRWPair
from typing import Any

import msgspec

from audiomon.archive.hearing import FileHeard
from audiomon.archive.store import Entry, Store, open_store
from audiomon.archive.task import Task

_LENGTH = struct.Struct("<Q")


class Child:
    """Hears recordings in a process of its own, that is started when it is needed and again when it has died.

    Args:
        task: everything that it needs to load the model.
        root: where recordings are.
    """

    def __init__(self, task: Task, root: Store) -> None:
        self._task = task
        self._root = root
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: BufferedRWPair | None = None

    def hear(self, entry: Entry) -> FileHeard:
        """Classify a recording; one that kills the process has the status ``killed``, and how it did."""
        try:
            if self._process is None:
                self._start()
            assert self._pipe is not None
            _send(self._pipe, entry)
            answer = _receive(self._pipe)
        except OSError:  # it died before it had read all of the question
            answer = None
        if answer is None:
            return FileHeard(status="killed", error=f"{entry[0]}: the process that read it {self._ended()}")
        heard = msgspec.msgpack.decode(answer, type=FileHeard | str)
        if isinstance(heard, str):
            raise OSError(heard)
        return heard

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._ended()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "audiomon.archive.child", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
            )
            self._pipe = ours.makefile("rwb")
        _send(self._pipe, [self._task, self._root.address])

    def _ended(self) -> str:
        """Wait for its end, which its closed socket brings about at the latest; say how it came."""
        assert self._process is not None
        if self._pipe is not None:
            with suppress(OSError):  # what it has not read cannot be flushed any more
                self._pipe.close()
        status = self._process.wait()
        self._process = self._pipe = None
        return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def _send(pipe: BufferedRWPair, message: Any) -> None:
    body = msgspec.msgpack.encode(message)
    pipe.write(_LENGTH.pack(len(body)) + body)
    pipe.flush()


def _receive(pipe: BufferedRWPair) -> bytes | None:
    """Return the next message; None if the other end is gone."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = pipe.read(length)
    return body if len(body) == length else None


def main() -> None:
    """Answer until the other end closes the socket."""
    pipe = socket.socket(fileno=int(sys.argv[1])).makefile("rwb")
    first = _receive(pipe)
    if first is None:
        return
    task, address = msgspec.msgpack.decode(first, type=tuple[Task, str])
    root, hearing = open_store(address), task.hearing()
    while (question := _receive(pipe)) is not None:
        try:
            answer: FileHeard | str = hearing.hear(root, msgspec.msgpack.decode(question, type=Entry))
        except OSError as error:
            answer = str(error)
        _send(pipe, answer)


if __name__ == "__main__":
    main()
