"""One stream through one model: the next window, its prediction, and the events that follow from it.

Owns no thread: ``audiomon run`` steps it in its inference worker, ``audiomon classify`` in a plain loop.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audiomon.audio.level import Gate, LevelMeter
from audiomon.audio.mono import MonoStream
from audiomon.audio.source import Source
from audiomon.clock import Clock
from audiomon.config import DecisionRules
from audiomon.models.classifier import Classifier
from audiomon.pipeline.accounts import Accounts, Fates
from audiomon.pipeline.decisions import DecisionStage, Transition
from audiomon.pipeline.pace import Pace
from audiomon.pipeline.prediction import Event, Prediction
from audiomon.pipeline.windows import Window, Windows, open_windows


@dataclass(frozen=True, slots=True)
class Replacement:
    """What a listener is to go on with.

    Attributes:
        classifier: loaded and warmed; may be the one that runs already.
        rules: when scores become events.
        hop_s: wanted seconds between windows.
        gate_dbfs: level below which windows are not classified; None for no such level.
    """

    classifier: Classifier
    rules: DecisionRules
    hop_s: float
    gate_dbfs: float | None = None


@dataclass(frozen=True, slots=True)
class TakeOver:
    """A replacement that has taken over.

    Attributes:
        replacement: what it was.
        unheard: sample frames between the last window before it and the first one after it; exact, and 0 unless audio
            was lost, or the new model's window could not reach back.
    """

    replacement: Replacement
    unheard: int


@dataclass(frozen=True, slots=True)
class Heard:
    """What one window led to.

    Attributes:
        prediction: of the model; None if the window was below the gate and the model was not run.
        events: that followed.
        fates: what became of all frames since the window before.
        take_over: set when this is the first window after a replacement.
        lost: sample frames lost since the window before, and not told with ``take_over``.
    """

    prediction: Prediction | None
    events: tuple[Event, ...]
    fates: Fates
    take_over: TakeOver | None = None
    lost: int = 0


class Listener:
    """Pulls windows from a source through a classifier.

    Args:
        source: where samples come from.
        classifier: loaded and warmed.
        rules: when scores become events.
        hop_s: wanted seconds between windows.
        channel: of the source, or ``"mix"``.
        clock: times everything.
        level: measures all samples heard, if given.
        accounts: of the source's frames so far, if somebody has listened to it before.
        gate_dbfs: level below which windows are not classified; None for no such level.

    Attributes:
        position: end of the last window, in the source's sample frames; before the first, where it began.
        accounts: what became of the source's frames.
        pace: whether the model keeps up. Where it does not, windows of a live source are passed over, oldest first.

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
        level: LevelMeter | None = None,
        accounts: Accounts | None = None,
        gate_dbfs: float | None = None,
    ) -> None:
        self.source = source
        self.classifier = classifier
        self._clock = clock
        self._channel: int | Literal["mix"] = channel
        self._level = level
        self._hop_s = hop_s
        self._gate_dbfs = gate_dbfs
        self._stream = MonoStream(source, classifier.spec.sample_rate, channel, level)
        self._stream.gate = self._new_gate()
        self.windows: Windows = open_windows(self._stream, classifier.spec, hop_s, clock)
        self.decisions = DecisionStage(classifier.labels, rules)
        self.pace = Pace(self.windows.hop_s)
        self.accounts = accounts or Accounts()
        self.position = self.accounts.end
        self._last_s = self.position / source.sample_rate
        self._replacement: Replacement | None = None
        self._taking_over: Replacement | None = None
        self._ended_events: tuple[Event, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether the source has ended."""
        return self.windows.ended

    @property
    def unused_s(self) -> float:
        """Seconds that have come since the last window and were not part of any new one."""
        return self.windows.unused_samples / self.classifier.spec.sample_rate

    @property
    def captured_ns(self) -> int:
        """Monotonic time at which the last sample that came was captured; 0 before the first."""
        return self._stream.captured_ns

    def replace(self, replacement: Replacement) -> None:
        """Go on with another model, other rules or another hop; may be called from another thread.

        It takes over as soon as the next window is complete, and classifies that one: nothing that was captured is left
        out, and nobody waits. The last replacement wins.
        """
        self._replacement = replacement

    def next(self) -> Heard | None:
        """Classify the next window; None if its samples did not come in about a second, or the source has ended."""
        while True:
            window = self.windows.next()
            while (replacement := self._replacement) is not None:
                self._replacement = None
                if self._take_over(replacement):
                    window = self.windows.next()
            if window is None:
                return None
            gate = self._stream.gate
            if gate is not None and not gate.is_open(self.classifier.spec.window_samples):
                return self._not_heard(window)
            late_s = (self._clock.monotonic_ns() - window.captured_ns) / 1e9
            if not (self.source.live and self.pace.sheds(late_s)):
                return self._heard(window)
            self.accounts.shed(self._begin(window), window.end, joined=self._joined(window))

    def finish(self) -> Fates:
        """Say what became of the frames after the last prediction, when nothing more will be heard."""
        # A microphone goes on capturing while nobody reads.
        end = max(self._stream.read_end, self.source.captured_end)
        return self.accounts.finish(end, self.windows.lost)

    def switch_off(self) -> tuple[Event, ...]:
        """Turn off whatever label is on: nothing more will be heard from here."""
        time_ns = self._clock.time_ns()
        return tuple(self._event(change, time_ns) for change in self.decisions.switch_off(self._last_s))

    def _heard(self, window: Window) -> Heard:
        started_ns = self._clock.monotonic_ns()
        scores = self.classifier.scores(window.data)
        done_ns = self._clock.monotonic_ns()
        fates = self.accounts.classified(self._begin(window), window.end, joined=self._joined(window))
        take_over = self._first_since_take_over(fates)
        self.pace.add((done_ns - started_ns) / 1e9 + window.features_us / 1e6)
        self.position = window.end
        position_s = window.end / self.source.sample_rate
        time_ns = self._clock.time_ns() - (done_ns - window.captured_ns)
        events = self._ended_events + self._decide(scores, position_s, time_ns)
        self._ended_events = ()
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
            # What a replacement could not reach back for is told with it.
            lost=fates.lost if take_over is None else window.lost,
            model=self.classifier.package.manifest.name,
        )
        return Heard(prediction, events, fates, take_over, prediction.lost)

    def _not_heard(self, window: Window) -> Heard:
        """Pass over a window below the gate: to the decisions it is one in which nothing is heard."""
        fates = self.accounts.classified(self._begin(window), window.end, joined=self._joined(window))
        take_over = self._first_since_take_over(fates)
        self.pace.add(window.features_us / 1e6)
        self.position = window.end
        time_ns = self._clock.time_ns() - (self._clock.monotonic_ns() - window.captured_ns)
        nothing = np.zeros(len(self.classifier.labels), dtype=np.float32)
        events = self._ended_events + self._decide(nothing, window.end / self.source.sample_rate, time_ns)
        self._ended_events = ()
        return Heard(None, events, fates, take_over, fates.lost if take_over is None else window.lost)

    def _begin(self, window: Window) -> int:
        return window.end - round(self.classifier.spec.window_s * self.source.sample_rate)

    def _joined(self, window: Window) -> bool:
        return not window.lost and self._taking_over is None

    def _new_gate(self) -> Gate | None:
        return None if self._gate_dbfs is None else Gate(self._gate_dbfs, self.classifier.spec.sample_rate)

    def _take_over(self, replacement: Replacement) -> bool:
        """Replace what is to be replaced; True if a window that was cut before is of no use any more."""
        classifier = replacement.classifier
        time_ns = self._clock.time_ns()
        gone = self.decisions.switch_off(self._last_s, keep=replacement.rules.thresholds)
        self._ended_events += tuple(self._event(change, time_ns) for change in gone)
        self.decisions = self.decisions.continued(classifier.labels, replacement.rules)
        recut = classifier.spec != self.classifier.spec or replacement.hop_s != self._hop_s
        self.classifier = classifier
        self._hop_s = replacement.hop_s
        other_gate = replacement.gate_dbfs != self._gate_dbfs
        self._gate_dbfs = replacement.gate_dbfs
        self._taking_over = replacement
        if recut:
            self._cut_anew()
        elif other_gate:
            self._stream.gate = self._new_gate()
        return recut

    def _cut_anew(self) -> None:
        """Open windows for the classifier's spec, the first of which ends one hop after the last window there was."""
        read_end = self._stream.read_end
        self._stream = MonoStream(self.source, self.classifier.spec.sample_rate, self._channel, self._level)
        self._stream.gate = self._new_gate()
        self.windows = open_windows(self._stream, self.classifier.spec, self._hop_s, self._clock)
        self.pace = Pace(self.windows.hop_s)
        start_s = self.accounts.end / self.source.sample_rate + self.windows.hop_s - self.classifier.spec.window_s
        self.source.rewind(max(0, read_end - max(0, round(start_s * self.source.sample_rate))))

    def _first_since_take_over(self, fates: Fates) -> TakeOver | None:
        replacement, self._taking_over = self._taking_over, None
        return None if replacement is None else TakeOver(replacement, fates.lost)

    def _decide(self, scores: NDArray[np.float32], position_s: float, time_ns: int) -> tuple[Event, ...]:
        transitions = self.decisions.update(scores, position_s, position_s - self._last_s)
        self._last_s = position_s
        return tuple(self._event(change, time_ns) for change in transitions)

    def _event(self, change: Transition, time_ns: int) -> Event:
        return Event(change.label, change.state, change.score, self._last_s, time_ns, change.duration_s)
