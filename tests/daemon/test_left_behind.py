"""Workers that were left inside a model, on a manual clock; `tests.booted.test_hostile` has a model that loops."""

import threading

import pytest

from audiomon.daemon.left_behind import LeftBehind
from tests.manual_clock import ManualClock


class LeftWorker:
    """Takes a share of a core."""

    def __init__(self, clock: ManualClock, share: float) -> None:
        self.done = threading.Event()
        self._clock = clock
        self._share = share

    def cpu_s(self) -> float:
        return 5.0 + self._share * self._clock.monotonic_ns() / 1e9


@pytest.fixture
def clock():
    return ManualClock()


def found_after_s(left: LeftBehind, clock: ManualClock, seconds: int) -> list[int]:
    """Look every second; return when one was found."""
    found = []
    for second in range(1, seconds + 1):
        clock.advance(1)
        if left.finds_one_that_computes():
            found.append(second)
    return found


@pytest.mark.parametrize(("share", "found"), [(1.0, [30]), (0.3, [30]), (0.2, []), (0.0, [])])
def test_one_that_takes_a_core_is_found_once_and_one_that_waits_never(clock, share, found):
    left = LeftBehind(clock)
    left.leave(LeftWorker(clock, share))
    assert found_after_s(left, clock, 3600) == found


def test_one_that_waits_first_and_computes_later_is_found(clock):
    left, worker = LeftBehind(clock), LeftWorker(clock, 0.0)
    left.leave(worker)
    assert not found_after_s(left, clock, 100)
    worker._share = 1.0
    assert len(found_after_s(left, clock, 60)) == 1


def test_one_that_was_only_slow_is_forgotten(clock):
    left, worker = LeftBehind(clock), LeftWorker(clock, 1.0)
    left.leave(worker)
    assert not found_after_s(left, clock, 20)
    worker.done.set()
    assert not found_after_s(left, clock, 100)


def test_of_several_each_is_found(clock):
    left = LeftBehind(clock)
    left.leave(LeftWorker(clock, 1.0))
    left.leave(LeftWorker(clock, 0.0))
    assert found_after_s(left, clock, 10) == []
    left.leave(LeftWorker(clock, 1.0))
    assert found_after_s(left, clock, 100) == [20, 30]
