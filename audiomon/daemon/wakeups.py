"""What wakes the main thread: signals, other threads, files that change."""

import contextlib
import os
import selectors
import signal
import threading
from types import FrameType


class Wakeups:
    """One place to wait.

    Signals end up in a pipe, as do the calls of other threads, so nothing is missed between looking and waiting, and no
    code runs inside a signal handler.

    Args:
        signals: to be taken over.
    """

    def __init__(self, *signals: signal.Signals) -> None:
        self._reading, self._writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._open = True
        self._closing = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._reading, selectors.EVENT_READ)
        self._old_fd = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        self._old_handlers = {number: signal.signal(number, _nothing) for number in signals}

    def watch(self, fd: int) -> None:
        """Wake up when this file descriptor can be read, too."""
        self._selector.register(fd, selectors.EVENT_READ)

    def wake(self) -> None:
        """End a `wait`; from any thread."""
        # A thread that was left behind may call this after `close`, when the descriptor is another file's.
        with self._closing:
            if self._open:
                with contextlib.suppress(BlockingIOError):  # one more than those that wait would change nothing
                    os.write(self._writing, b"\0")

    def wait(self, timeout_s: float) -> set[int]:
        """Wait until something happens or the time runs out.

        Returns:
            The signals that came.
        """
        self._selector.select(max(0.0, timeout_s))
        numbers: set[int] = set()
        try:
            while came := os.read(self._reading, 4096):
                numbers.update(came)
        except BlockingIOError:
            pass
        return numbers - {0}

    def close(self) -> None:
        """Give the signals back."""
        signal.set_wakeup_fd(self._old_fd)
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self._selector.close()
        with self._closing:
            self._open = False
        os.close(self._reading)
        os.close(self._writing)


def _nothing(_signal: int, _frame: FrameType | None) -> None:
    """Stand in as a handler: Python writes to the pipe only for signals that have one."""
