"""A clock that moves on as soon as every thread waits by it, so that a day of waiting takes no time.

Threads are real and run at the same time, but none of them can see time pass while another is at work.
"""

import heapq
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock


class _Sleeper:
    """A thread that waits. Its lock is held until it is woken."""

    __slots__ = ("awake", "blocked", "lock", "notified")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lock.acquire()
        self.awake = self.blocked = self.notified = False


class SimulatedClock:
    """See the module.

    Attributes:
        step_ns: by how much the system's clock has been set off; see `step_system_clock`.
    """

    def __init__(self) -> None:
        self._now_ns = 1_000_000_000
        self._system_ns = 1_700_000_000_000_000_000
        self._mutex = threading.Lock()
        self._at_work = 1  # the thread that makes it
        self._sleepers: list[tuple[int, int, _Sleeper]] = []
        self._numbers = itertools.count()

    def monotonic_ns(self) -> int:
        """See `audiomon.clock.Clock`."""
        return self._now_ns

    def time_ns(self) -> int:
        """See `audiomon.clock.Clock`."""
        return self._system_ns + self._now_ns

    def sleep(self, seconds: float) -> None:
        """See `audiomon.clock.Clock`."""
        self._block(_Sleeper(), seconds)

    def wait(self, condition: threading.Condition, timeout_s: float | None = None) -> bool:
        """See `audiomon.clock.Clock`; for ever without a timeout."""
        sleeper = _Sleeper()
        waiting = condition.__dict__.setdefault("sleepers", [])
        waiting.append(sleeper)
        condition.release()
        try:
            self._block(sleeper, timeout_s)
        finally:
            condition.acquire()
            if sleeper in waiting:
                waiting.remove(sleeper)
        return sleeper.notified

    def step_system_clock(self, seconds: float) -> None:
        """Set the system's clock, as somebody or NTP might."""
        self._system_ns += round(seconds * 1e9)

    def stop_everything(self, seconds: float) -> None:
        """Let time pass without any thread having its part of it, as SIGSTOP does."""
        self._now_ns += round(seconds * 1e9)

    @contextmanager
    def for_all_threads(self) -> Iterator[None]:
        """Count threads that are started from now on, and have all waiting for one another wait by this clock."""
        start, run, join = threading.Thread.start, threading.Thread.run, threading.Thread.join

        def counted_start(thread: threading.Thread) -> None:
            thread.__dict__["ran"] = threading.Event()
            with self._mutex:
                self._at_work += 1
            start(thread)

        def counted_run(thread: threading.Thread) -> None:
            try:
                run(thread)
            finally:
                thread.__dict__["ran"].set()
                with self._mutex:
                    self._at_work -= 1
                    self._move_on()

        def counted_join(thread: threading.Thread, timeout: float | None = None) -> None:
            if thread.__dict__["ran"].wait(timeout):
                join(thread)

        def counted_wait(condition: threading.Condition, timeout: float | None = None) -> bool:
            return self.wait(condition, timeout)

        def counted_notify_all(condition: threading.Condition) -> None:
            waiting = condition.__dict__.get("sleepers", [])
            with self._mutex:
                for sleeper in waiting:
                    sleeper.notified = True
                    if not sleeper.awake:
                        self._wake(sleeper)
            waiting.clear()

        with (
            mock.patch.object(threading.Thread, "start", counted_start),
            mock.patch.object(threading.Thread, "run", counted_run),
            mock.patch.object(threading.Thread, "join", counted_join),
            mock.patch.object(threading.Condition, "wait", counted_wait),
            mock.patch.object(threading.Condition, "notify_all", counted_notify_all),
        ):
            yield

    def _block(self, sleeper: _Sleeper, seconds: float | None) -> None:
        with self._mutex:
            if not sleeper.awake:
                if seconds is not None:
                    due_ns = self._now_ns + max(0, round(seconds * 1e9))
                    heapq.heappush(self._sleepers, (due_ns, next(self._numbers), sleeper))
                sleeper.blocked = True
                self._at_work -= 1
                self._move_on()
        sleeper.lock.acquire()

    def _move_on(self) -> None:
        while not self._at_work and self._sleepers:
            due_ns, _, sleeper = heapq.heappop(self._sleepers)
            if not sleeper.awake:
                self._now_ns = max(self._now_ns, due_ns)
                self._wake(sleeper)

    def _wake(self, sleeper: _Sleeper) -> None:
        sleeper.awake = True
        self._at_work += sleeper.blocked
        sleeper.lock.release()
