"""Time, passed in to everything that needs it, so that a test can run a day in minutes.

The pipeline and the daemon live by it alone. Commands that wait for a daemon, or time a machine, read the clock
themselves.
"""

import threading
import time
from datetime import UTC, datetime
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

    def wait(self, condition: threading.Condition, timeout_s: float) -> bool:
        """Wait on a held condition for at most ``timeout_s``; False when the time ran out."""
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

    def wait(self, condition: threading.Condition, timeout_s: float) -> bool:
        """See `Clock.wait`."""
        return condition.wait(timeout_s)


def date_of(time_ns: int) -> datetime:
    """Return a time as a date in UTC: the nearest from 1970 to 2116, whatever somebody says that it was.

    Args:
        time_ns: nanoseconds since 1970-01-01 UTC.
    """
    return datetime.fromtimestamp(min(max(time_ns, 0), 1 << 62) / 1e9, UTC)
