"""Workers that were left inside a model, on a manual clock; `tests.booted.test_hostile` has a model that loops."""

import threading

import pytest

from audiomon.daemon.left_behind import LeftBehind
from audiomon.errors import StageError
from tests.manual_clock import ManualClock


class LeftWorker:
    """Takes a share of a core."""

    def __init__(self, clock: ManualClock, share: float) -> None:
        self.done = threading.Event()
        self._clock = clock
        self._share = share

    def cpu_s(self) -> float:
        return 0.0 if self.done.is_set() else 5.0 + self._share * self._clock.monotonic_ns() / 1e9


@pytest.fixture
def clock():
    return ManualClock()


def look_for(left: LeftBehind, clock: ManualClock, seconds: int) -> None:
    for _ in range(seconds):
        clock.advance(1)
        left.look()


def test_one_that_computes_without_end_is_worth_a_new_process(clock):
    left = LeftBehind(clock)
    left.leave(LeftWorker(clock, 0.9))
    look_for(left, clock, 29)
    with pytest.raises(StageError, match="left inside a model that computes without end"):
        look_for(left, clock, 2)


def test_one_that_waits_is_left_for_as_long_as_it_takes(clock):
    left = LeftBehind(clock)
    left.leave(LeftWorker(clock, 0.0))
    look_for(left, clock, 3600)


def test_one_that_waits_first_and_computes_later_is_noticed(clock):
    left, worker = LeftBehind(clock), LeftWorker(clock, 0.0)
    left.leave(worker)
    look_for(left, clock, 100)
    worker._share = 1.0
    with pytest.raises(StageError):
        look_for(left, clock, 60)


def test_one_that_was_only_slow_is_forgotten(clock):
    left, worker = LeftBehind(clock), LeftWorker(clock, 1.0)
    left.leave(worker)
    look_for(left, clock, 20)
    worker.done.set()
    look_for(left, clock, 100)
