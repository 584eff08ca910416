"""Which model has proved itself, and which one to go back to should the one in force fail. Loads and swaps nothing."""

from audiomon.clock import Clock
from audiomon.daemon.running import Running
from audiomon.models.classifier import Classifier

# Should the process end without a word this soon after a model took over, the next one takes the model of before.
_TRIAL_NS = 600_000_000_000


class Trial:
    """Keeps the model of before for as long as there is one.

    Args:
        running: what is in force at first.
        clock: times the trial.

    Attributes:
        running: what is in force.
    """

    def __init__(self, running: Running, clock: Clock) -> None:
        self.running = running
        self._clock = clock
        self._adopted_ns = clock.monotonic_ns()
        # What has predicted with the model in force; and what had, with another model, before that one took over.
        self._proven: Running | None = None
        self._fallback: Running | None = None

    @property
    def proven_before(self) -> Running | None:
        """What was in force before, while the model in force is new; None when it is not, or there was none."""
        is_new = self._clock.monotonic_ns() - self._adopted_ns < _TRIAL_NS
        return self._fallback if is_new else None

    def adopt(self, running: Running) -> None:
        """Note what is in force from here on."""
        before = self.running.classifier.package.fingerprint
        if self._proven is not None and running.classifier.package.fingerprint != before:
            self._fallback, self._proven = self._proven, None
            self._adopted_ns = self._clock.monotonic_ns()
        self.running = running

    def note_heard(self, classifier: Classifier) -> None:
        """Note that a model has predicted."""
        if classifier is self.running.classifier:
            self._proven = self.running

    def go_back(self) -> Running | None:
        """Put what worked before in force again, and return it; None if there is nothing to go back to."""
        fallback, self._fallback = self._fallback, None
        if fallback is not None:
            self.running, self._proven = fallback, None
        return fallback
