"""Keeps C libraries' chatter off the user's terminal and out of the journal.

PortAudio, ALSA and the TFLite interpreters write to file descriptor 2, whatever Python's ``sys.stderr`` is; what
matters of it comes as an exception too. Nobody else's lines are lost: they come out a moment later.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_CHATTER = (
    b"ALSA lib ",
    b"Cannot connect to server",
    b"Expression '",  # PortAudio's own checks
    b"INFO: ",  # a TFLite interpreter has found its XNNPACK delegate
    b"JackShmReadWritePtr",
    b"connect(2) call to /",  # JACK's sockets
    b"jack server is not running",
)
_STDERR = 2


class _Diversion:
    """File descriptor 2, led aside while anybody wants it; there is one per process, as there is one descriptor."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._original = -1
        self._collected = -1

    def begin(self) -> None:
        with self._lock:
            self._users += 1
            if self._users > 1:
                return
            try:
                self._original = os.dup(_STDERR)
            except OSError:  # a daemon may have closed it: nothing to keep clean
                return
            self._collected = os.memfd_create("stderr", os.MFD_CLOEXEC)
            os.dup2(self._collected, _STDERR)

    def end(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users or self._original == -1:
                return
            os.dup2(self._original, _STDERR)
            os.lseek(self._collected, 0, os.SEEK_SET)
            with open(self._collected, "rb") as collected:
                worth_telling = b"".join(line for line in collected if not line.startswith(_CHATTER))
            os.write(self._original, worth_telling)
            os.close(self._original)
            self._original = self._collected = -1


_diversion = _Diversion()


@contextmanager
def chatter_hidden() -> Iterator[None]:
    """Hold back file descriptor 2 for a short while, then let through all that is not known chatter.

    Several threads may be inside at once; what was written comes out when the last of them leaves.
    """
    _diversion.begin()
    try:
        yield
    finally:
        _diversion.end()
