"""Workers that were left inside a model, and whether one of them takes a core for good. Ends nothing itself.

A thread cannot be ended from outside. One that waits for a driver costs nothing, and is left. A model that computes
without end would have a core until the process ends: that is worth a new one.
"""

import msgspec

from audiomon.clock import Clock
from audiomon.errors import StageError
from audiomon.pipeline.worker import InferenceWorker

_LOOK_NS = 30_000_000_000
# Of the time between two looks. What is only slow comes to its end between them.
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

    def look(self) -> None:
        """Look whether one takes a core, if it is time to.

        Raises:
            StageError: one does.
        """
        now_ns = self._clock.monotonic_ns()
        for left in self._left.copy():
            if (elapsed_ns := now_ns - left.at_ns) < _LOOK_NS:
                continue
            self._left.remove(left)
            if left.worker.done.is_set():
                continue
            cpu_s = left.worker.cpu_s()
            if cpu_s - left.cpu_s > _MAX_SHARE * elapsed_ns / 1e9:
                raise StageError("the inference stage was left inside a model that computes without end")
            self._left.append(_Left(left.worker, now_ns, cpu_s))
