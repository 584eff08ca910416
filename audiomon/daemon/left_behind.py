"""Workers that were left inside a model, and whether one of them takes a core for good. Ends nothing itself.

A thread cannot be ended from outside. One that waits for a driver costs nothing, and is left. One that computes without
end has a core until the process ends.
"""

import msgspec

from audiomon.clock import Clock
from audiomon.pipeline.worker import InferenceWorker

_LOOK_NS = 30_000_000_000
# Of the time between two looks. A call that is only slow has ended by the second.
_MAX_SHARE = 0.25


class _Left(msgspec.Struct, frozen=True):
    """A worker, and how long it had computed at a time."""

    worker: InferenceWorker
    at_ns: int
    cpu_s: float


class LeftBehind:
    """Looks after the workers that did not end when they were asked to.

    Args:
        clock: times the looks.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left: list[_Left] = []

    def leave(self, worker: InferenceWorker) -> None:
        """Look after another worker."""
        self._left.append(_Left(worker, self._clock.monotonic_ns(), worker.cpu_s()))

    def finds_one_that_computes(self) -> bool:
        """Look, if it is time to; true once of each worker that takes a core."""
        now_ns = self._clock.monotonic_ns()
        found = False
        for left in self._left.copy():
            if (elapsed_ns := now_ns - left.at_ns) < _LOOK_NS:
                continue
            self._left.remove(left)
            if left.worker.done.is_set():
                continue
            cpu_s = left.worker.cpu_s()
            if cpu_s - left.cpu_s > _MAX_SHARE * elapsed_ns / 1e9:
                found = True
            else:
                self._left.append(_Left(left.worker, now_ns, cpu_s))
        return found
