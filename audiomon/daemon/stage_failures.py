"""Stages that fail though they should not: reported, counted, and given up on when restarting them does not help."""

from collections import deque

from audiomon.clock import Clock
from audiomon.daemon import messages
from audiomon.errors import StageError
from audiomon.pipeline.output import Output

# A stage that fails for the third time within a minute fails for a reason that this process carries with it; systemd
# then starts another one, which costs some seconds of audio.
_MAX_FAILURES = 3
_WITHIN_S = 60


class StageFailures:
    """Counts failures, and limits how often a stage is restarted.

    Args:
        output: gets an entry for each.
        clock: times and dates them.

    Attributes:
        count: of all so far.
    """

    def __init__(self, output: Output, clock: Clock) -> None:
        self.count = 0
        self._output = output
        self._clock = clock
        self._times_ns: deque[int] = deque(maxlen=_MAX_FAILURES)

    def note(self, stage: str, what: str) -> None:
        """Report that a stage has failed and is about to be restarted.

        Args:
            stage: ``capture``, ``inference`` or ``opening``.
            what: happened, after "the … stage".

        Raises:
            StageError: it is the third time within a minute.
        """
        self.count += 1
        self._times_ns.append(self._clock.monotonic_ns())
        given_up = len(self._times_ns) == _MAX_FAILURES and self._times_ns[-1] - self._times_ns[0] < _WITHIN_S * 1e9
        what_now = "this is the third failure within a minute" if given_up else "restarting it"
        self._output.status(messages.stage_failed(stage, what, what_now, self._clock))
        if given_up:
            raise StageError(f"the {stage} stage {what}, the third failure within {_WITHIN_S} s")
