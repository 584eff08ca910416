"""A clock that moves only when it is told to, or when somebody sleeps by it."""

import threading


class ManualClock:
    """Starts at 0. ``sleep`` moves it at once and notes the request, so a day of sleeping takes no time."""

    def __init__(self, since_1970_ns: int = 1_700_000_000_000_000_000) -> None:
        self._since_1970_ns = since_1970_ns
        self._now_ns = 0
        self.slept_s: list[float] = []

    def advance(self, seconds: float) -> None:
        self._now_ns += round(seconds * 1e9)

    def monotonic_ns(self) -> int:
        return self._now_ns

    def time_ns(self) -> int:
        return self._since_1970_ns + self._now_ns

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.advance(seconds)

    def wait(self, condition: threading.Condition, timeout_s: float) -> bool:
        """Nobody else moves this clock while somebody waits by it, so the time runs out."""
        del condition
        self.advance(timeout_s)
        return False
