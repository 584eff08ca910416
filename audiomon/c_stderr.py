"""Keeps what C libraries print away from the user: PortAudio, ALSA, JACK, libpulse and TFLite talk to stderr.

Their prints go through the C library's variable ``stderr``, which glibc lets a program assign; Python writes to file
descriptor 2 and never looks at it. So nothing that Python prints meanwhile is lost, unlike with a redirected
descriptor, and no C function has to call into Python, which ``MemoryDenyWriteExecute=yes`` forbids.
"""

import ctypes
import os
import threading
from contextlib import AbstractContextManager


class _CStderr(AbstractContextManager[None]):
    """The C variable, and how many callers want it silent just now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._silencers = 0
        self._loud: int | None = None
        self._variable: ctypes.c_void_p | None = None
        self._null: int | None = None
        # glibc alone promises that the variable may be assigned; in musl it is a constant, and writing it would crash.
        if _is_glibc():
            c_library = ctypes.CDLL(None)
            c_library.fopen.restype = ctypes.c_void_p
            self._null = c_library.fopen(b"/dev/null", b"w")
            self._variable = ctypes.c_void_p.in_dll(c_library, "stderr")

    def __enter__(self) -> None:
        with self._lock:
            self._silencers += 1
            if self._silencers == 1 and self._variable is not None and self._null:
                self._loud = self._variable.value
                self._variable.value = self._null

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._silencers -= 1
            if self._silencers == 0 and self._variable is not None and self._loud:
                self._variable.value = self._loud


def _is_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (ValueError, OSError):
        return False


# One per process, as the variable is.
_c_stderr = _CStderr()


def c_stderr_silenced() -> AbstractContextManager[None]:
    """Discard what C code prints to ``stderr`` inside a ``with`` block, in any thread. Costs 1 µs; may be nested."""
    return _c_stderr
