"""One stream through one model: the next window, its prediction, and the events that follow from it.

Owns no thread: ``audiomon run`` steps it in its inference worker, ``audiomon classify`` in a plain loop.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audiomon.audio.mono import MonoStream
from audiomon.audio.source import Source
from audiomon.clock import Clock
from audiomon.config import DecisionRules
from audiomon.models.classifier import Classifier
from audiomon.pipeline.decisions import DecisionStage
from audiomon.pipeline.prediction import Event, Prediction
from audiomon.pipeline.windows import Windows, open_windows


@dataclass(frozen=True, slots=True)
class Heard:
    """What one window led to."""

    prediction: Prediction
    events: tuple[Event, ...]


class Listener:
    """Pulls windows from a source through a classifier.

    Args:
        source: where samples come from.
        classifier: loaded and warmed.
        rules: when scores become events.
        hop_s: wanted seconds between windows.
        channel: of the source, or ``"mix"``.
        clock: times everything.

    Attributes:
        position: end of the last window, in the source's sample frames; 0 before the first.

    Raises:
        DeviceError: the source cannot give what the model needs.
    """

    def __init__(
        self,
        source: Source,
        classifier: Classifier,
        rules: DecisionRules,
        *,
        hop_s: float,
        channel: int | Literal["mix"],
        clock: Clock,
    ) -> None:
        self.source = source
        self.classifier = classifier
        self._clock = clock
        self._stream = MonoStream(source, classifier.spec.sample_rate, channel)
        self.windows: Windows = open_windows(self._stream, classifier.spec, hop_s, clock)
        self.decisions = DecisionStage(classifier.labels, rules)
        self.position = 0
        self._last_s = 0.0

    @property
    def ended(self) -> bool:
        """Whether the source has ended."""
        return self.windows.ended

    @property
    def unused_s(self) -> float:
        """Seconds that have come since the last window and were not part of any new one."""
        return self.windows.unused_samples / self.classifier.spec.sample_rate

    def next(self) -> Heard | None:
        """Classify the next window; None if its samples did not come in about a second, or the source has ended."""
        window = self.windows.next()
        if window is None:
            return None
        started_ns = self._clock.monotonic_ns()
        scores = self.classifier.scores(window.data)
        done_ns = self._clock.monotonic_ns()
        self.position = window.end
        position_s = window.end / self.source.sample_rate
        time_ns = self._clock.time_ns() - (done_ns - window.captured_ns)
        events = self._decide(scores, position_s, time_ns)
        best = int(scores.argmax())
        prediction = Prediction(
            label=self.classifier.labels[best],
            score=float(scores[best]),
            scores=scores,
            labels=self.classifier.labels,
            position=window.end,
            position_s=position_s,
            time_ns=time_ns,
            features_us=window.features_us,
            inference_us=(done_ns - started_ns) / 1e3,
            lag_ms=(self._clock.monotonic_ns() - window.captured_ns) / 1e6,
            lost=window.lost,
        )
        return Heard(prediction, events)

    def _decide(self, scores: NDArray[np.float32], position_s: float, time_ns: int) -> tuple[Event, ...]:
        transitions = self.decisions.update(scores, position_s, position_s - self._last_s)
        self._last_s = position_s
        return tuple(
            Event(change.label, change.state, change.score, position_s, time_ns, change.duration_s)
            for change in transitions
        )
