"""Stages that fail though they should not: named, counted, and given up on when starting them again does not help."""

from collections import deque

from audiomon.clock import Clock
from audiomon.errors import StageError
from audiomon.pipeline.output import Output
from audiomon.pipeline.prediction import Facts, Status

# A stage that fails for the third time within a minute fails for a reason that this process carries with it; systemd
# then starts another one, which costs some seconds of audio.
_MOST = 3
_WITHIN_S = 60


class Failures:
    """See the module.

    Args:
        output: gets an entry for each failure.
        clock: times and dates them.

    Attributes:
        count: of all failures so far.
    """

    def __init__(self, output: Output, clock: Clock) -> None:
        self.count = 0
        self._output = output
        self._clock = clock
        self._times_ns: deque[int] = deque(maxlen=_MOST)

    def note(self, stage: str, what: str) -> None:
        """Note that a stage has failed and is about to be started again.

        Args:
            stage: which: ``capture``, ``inference`` or ``opening``.
            what: happened, after "the … stage".

        Raises:
            StageError: it is the third time within a minute.
        """
        self.count += 1
        self._times_ns.append(self._clock.monotonic_ns())
        given_up = len(self._times_ns) == _MOST and self._times_ns[-1] - self._times_ns[0] < _WITHIN_S * 1e9
        message = f"The {stage} stage {what}"
        facts: Facts = {"stage": stage, "reason": what}
        going_on = "that is the third failure within a minute" if given_up else "it is started again"
        self._output.status(
            Status("stage-failed", f"{message}; {going_on}", self._clock.time_ns(), facts, severity="error")
        )
        if given_up:
            raise StageError(f"the {stage} stage {what}, the third failure within {_WITHIN_S} s")
