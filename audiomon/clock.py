"""Time, passed in to everything that needs it, so that a test can run a day in minutes.

Nothing else in audiomon calls ``time.sleep`` or reads a clock.
"""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """The clock that a pipeline lives by."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that only ever grow; unaffected by setting the system clock."""
        ...

    def time_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC, as the system believes."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""
        ...

    def wait(self, gate: threading.Lock, timeout_s: float) -> bool:
        """Wait until another thread releases a lock, and take it; False if ``timeout_s`` ran out before."""
        ...


class SystemClock:
    """The machine's own clock."""

    def monotonic_ns(self) -> int:
        """See `Clock.monotonic_ns`."""
        return time.monotonic_ns()

    def time_ns(self) -> int:
        """See `Clock.time_ns`."""
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        time.sleep(seconds)

    def wait(self, gate: threading.Lock, timeout_s: float) -> bool:
        """See `Clock.wait`."""
        return gate.acquire(timeout=timeout_s)
