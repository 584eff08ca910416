"""Text to a file descriptor, without waiting where the kernel can tell whether it would: a pipe or a socket.

A flag on the descriptor would change it for all who share it; this asks for each write alone.
"""

import errno
import io
import os
from collections.abc import Callable
from typing import Protocol, TextIO

# Linux's RWF_NOWAIT, which Python knows for reads alone.
_RWF_NOWAIT = 8


class LineStream(Protocol):
    """What lines are written to."""

    def write(self, text: str, /) -> int:
        """Write text."""
        ...

    def flush(self) -> None:
        """Hold nothing back."""
        ...


class UnwaitingStream:
    """What writes lines writes them here. Used by one thread at a time.

    Args:
        stream: where to; nothing that it holds back may be unwritten.

    Attributes:
        can_tell: whether a write that would wait can be told from one that does not; false of terminals and files.

    Raises:
        OSError: the stream has no descriptor.
    """

    def __init__(self, stream: TextIO) -> None:
        self._fd = stream.fileno()
        self._encoding, self._errors = stream.encoding or "utf-8", stream.errors or "strict"
        self._waits = True
        self._unsent = b""
        self.can_tell = hasattr(os, "pwritev")

    def write(self, text: str, /) -> int:
        """Write text; all of it, unless inside `attempt`.

        Raises:
            OSError: nobody reads any more, or it cannot be written.
        """
        content = text.encode(self._encoding, self._errors)
        self._unsent += content if self._waits else content[self._sent_now(content) :]
        if self._waits:
            self.finish()
        return len(text)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def attempt(self, write: Callable[[], None]) -> bool:
        """Call something that writes, without waiting; False if not all was taken, and `finish` has to write the rest.

        Raises:
            OSError: nobody reads any more, or it cannot be written.
        """
        self._waits = False
        try:
            write()
        finally:
            self._waits = True
        return not self._unsent

    def finish(self) -> None:
        """Write what was not taken, waiting for the reader.

        Raises:
            OSError: nobody reads any more, or it cannot be written.
        """
        while self._unsent:
            self._unsent = self._unsent[os.write(self._fd, self._unsent) :]

    def _sent_now(self, content: bytes) -> int:
        """How many bytes were taken at once."""
        if self._unsent or not self.can_tell:
            return 0
        try:
            return os.pwritev(self._fd, [content], -1, _RWF_NOWAIT)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ESPIPE):
                raise
            self.can_tell = False
            return 0


def unwaiting(stream: TextIO) -> UnwaitingStream | None:
    """Return a stream's unwaiting side; None if it has no descriptor."""
    try:
        return UnwaitingStream(stream)
    except (OSError, io.UnsupportedOperation):
        return None
