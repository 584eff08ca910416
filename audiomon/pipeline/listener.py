"""One stream through one model: the next window, its prediction, and the events that follow from it.

Owns no thread: ``audiomon run`` steps it in its inference worker, ``audiomon classify`` in a plain loop.
"""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.audio.level import Gate, LevelMeter
from audiomon.audio.mono import MonoStream
from audiomon.audio.source import Source
from audiomon.clock import Clock
from audiomon.config import DecisionRules
from audiomon.models.classifier import Classifier
from audiomon.pipeline.accounts import Accounts, Fates
from audiomon.pipeline.clip_cutter import ClipCutter
from audiomon.pipeline.clips import ClipRules
from audiomon.pipeline.columns import ColumnSink
from audiomon.pipeline.decisions import DecisionStage, Transition
from audiomon.pipeline.pace import Pace
from audiomon.pipeline.prediction import Event, Prediction, Status
from audiomon.pipeline.windows import Window, Windows, open_windows


class FirstWindow(msgspec.Struct, frozen=True):
    """The first window heard with a replacement, as far as announcing it takes.

    Attributes:
        source: name of the source.
        sample_rate: of the source, in Hz.
        began_ns: monotonic time at which the first sample of the stream was captured.
        lost: samples between the last window before the replacement and this one that the replacement cost, since the
            new window could not reach back that far; exact. What was lost for another reason is not in it.
    """

    source: str
    sample_rate: int
    began_ns: int
    lost: int


# Says what holds from a window on, right before that window's prediction. Runs in the worker's thread, and so reads
# nothing that another thread changes.
Announce = Callable[[FirstWindow], tuple[Status, ...]]


def announce_nothing(_first: FirstWindow) -> tuple[Status, ...]:
    """Announce nothing: the replacement is no news."""
    return ()


class Replacement(msgspec.Struct, frozen=True, eq=False):
    """What a listener is to go on with. Each is itself alone: two with the same content are not equal.

    Attributes:
        classifier: loaded and warmed; may be the one that runs already.
        rules: when scores become events.
        hop_s: wanted seconds between windows.
        gate_dbfs: level below which windows are not classified; None for no such level.
        announce: says that it has taken over.
        clips: which events' sound is kept; None if none ever is.
    """

    classifier: Classifier
    rules: DecisionRules
    hop_s: float
    gate_dbfs: float | None = None
    announce: Announce = announce_nothing
    clips: ClipRules | None = None


class TakeOver(msgspec.Struct, frozen=True):
    """A replacement that has taken over.

    Attributes:
        replacement: what it was.
        first: the first window heard with it.
        statuses: what it announces, to be written before the window's prediction.
    """

    replacement: Replacement
    first: FirstWindow
    statuses: tuple[Status, ...]


class Heard(msgspec.Struct, frozen=True, gc=False):
    """What one window led to.

    Attributes:
        prediction: of the model; None if the window was below the gate and the model was not run.
        events: that followed.
        fates: what became of all samples since the window before.
        take_overs: replacements that this is the first window of, in the order in which they were asked for.
        lost: samples lost since the window before, but for those that a replacement announces as its cost.
    """

    prediction: Prediction | None
    events: tuple[Event, ...]
    fates: Fates
    take_overs: tuple[TakeOver, ...] = ()
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
        accounts: of the source's samples so far, if it has been listened to before.
        gate_dbfs: level below which windows are not classified; None for no such level.
        columns: gets what there is to look at, if given.
        clips: cuts clips of events, by the rules of replacements, if given.

    Attributes:
        position: end of the last window, in the source's samples; before the first, where it began.
        accounts: what became of the source's samples.
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
        columns: ColumnSink | None = None,
        clips: ClipCutter | None = None,
    ) -> None:
        self.source = source
        self.classifier = classifier
        self._clock = clock
        self._channel: int | Literal["mix"] = channel
        self._level = level
        self._hop_s = hop_s
        self._gate_dbfs = gate_dbfs
        self._columns = columns
        self._clips = clips
        self._stream = MonoStream(source, classifier.spec.sample_rate, channel, level)
        self._stream.gate = self._new_gate()
        self.windows: Windows = open_windows(self._stream, classifier.spec, hop_s, clock, columns)
        # Of a window, in the source's samples.
        self._window_span = round(classifier.spec.window_s * source.sample_rate)
        self.decisions = DecisionStage(classifier.labels, rules)
        self.pace = Pace(self.windows.hop_s)
        self.accounts = accounts or Accounts()
        self.position = self.accounts.end
        self._last_s = self.position / source.sample_rate
        self._replacements: SimpleQueue[Replacement] = SimpleQueue()
        self._taking_over: list[Replacement] = []
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
        out, and nothing waits. Of several that are pending, each takes over in its turn, with the same window.
        """
        self._replacements.put(replacement)

    def next(self) -> Heard | None:
        """Classify the next window; None if its samples did not come in about a second, or the source has ended."""
        while True:
            window = self.windows.next()
            if not self._replacements.empty() and self._take_over_all():
                window = self.windows.next()
            if window is None:
                return None
            gate = self._stream.gate
            if gate is not None and not gate.is_open(self.classifier.spec.window_samples):
                return self._not_heard(window)
            late_s = (self._clock.monotonic_ns() - window.captured_ns) / 1e9
            if not (self.source.live and self.pace.sheds(late_s)):
                return self._heard(window)
            if self._clips is not None and self._clips.active:
                self._clips.unheard(self._begin(window), window.end, lost=window.lost > 0)
            self.accounts.shed(self._begin(window), window.end, joined=self._joined(window))

    def finish(self) -> Fates:
        """Return what became of the samples after the last prediction, when nothing more will be heard."""
        if self._clips is not None:
            self._clips.close()
        # A live source goes on capturing while it is not read.
        self.accounts.finish(max(self._stream.read_end, self.source.captured_end), self.windows.lost)
        return self.accounts.take()

    def switch_off(self) -> tuple[Event, ...]:
        """Turn off whatever label is on: nothing more will be heard from here."""
        if self._clips is not None:
            self._clips.close()
        time_ns = self._clock.time_ns()
        ended, self._ended_events = self._ended_events, ()
        return ended + tuple(self._event(change, time_ns) for change in self.decisions.switch_off(self._last_s))

    def _heard(self, window: Window) -> Heard:
        clips = self._clips if self._clips is not None and self._clips.active else None
        if clips is not None:
            clips.expect()
        started_ns = self._clock.monotonic_ns()
        scores = self.classifier.scores(window.data)
        done_ns = self._clock.monotonic_ns()
        position_s = window.end / self.source.sample_rate
        time_ns = self._clock.time_ns() - (done_ns - window.captured_ns)
        events = self._decide(scores, position_s, time_ns)
        if clips is not None:
            clips.heard(self._begin(window), window.end, scores, events, lost=window.lost > 0)
        fates, take_overs, lost = self._settle(window)
        self.pace.add((done_ns - started_ns) / 1e9 + window.features_us / 1e6)
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
            lost=lost,
            model=self.classifier.package.manifest.name,
        )
        return Heard(prediction, events, fates, take_overs, lost)

    def _not_heard(self, window: Window) -> Heard:
        """Pass over a window below the gate: to the decisions it is one in which nothing is heard."""
        time_ns = self._clock.time_ns() - (self._clock.monotonic_ns() - window.captured_ns)
        nothing = np.zeros(len(self.classifier.labels), dtype=np.float32)
        events = self._decide(nothing, window.end / self.source.sample_rate, time_ns)
        judging_s = self._judge_quiet(window, events)
        fates, take_overs, lost = self._settle(window)
        self.pace.add(judging_s + window.features_us / 1e6)
        return Heard(None, events, fates, take_overs, lost)

    def _judge_quiet(self, window: Window, events: tuple[Event, ...]) -> float:
        """Have a quiet window heard after all, if sound awaits its verdict; return the seconds that took."""
        clips = self._clips
        if clips is None or not clips.active:
            return 0.0
        if not clips.awaits:
            clips.unheard(self._begin(window), window.end, events, lost=window.lost > 0)
            return 0.0
        started_ns = self._clock.monotonic_ns()
        clips.expect()
        scores = self.classifier.scores(window.data)
        clips.heard(self._begin(window), window.end, scores, events, lost=window.lost > 0)
        return (self._clock.monotonic_ns() - started_ns) / 1e9

    def _settle(self, window: Window) -> tuple[Fates, tuple[TakeOver, ...], int]:
        """Enter a window that has been decided on into the accounts.

        Returns:
            What became of all samples since the window before; the replacements that this is the first window of; and
            the samples lost since the window before, but for what a replacement cost.
        """
        self.accounts.classified(self._begin(window), window.end, joined=self._joined(window))
        self.position = window.end
        fates = self.accounts.take()
        if not self._taking_over:
            return fates, (), fates.lost
        lost = min(window.lost, fates.lost)
        cost = fates.lost - lost
        began_ns = window.captured_ns - window.end * 1_000_000_000 // self.source.sample_rate
        take_overs = []
        for replacement in self._taking_over:
            first = FirstWindow(self.source.name, self.source.sample_rate, began_ns, cost)
            take_overs.append(TakeOver(replacement, first, replacement.announce(first)))
            cost = 0  # announced with the first of them
        self._taking_over = []
        return fates, tuple(take_overs), lost

    def _begin(self, window: Window) -> int:
        return window.end - self._window_span

    def _joined(self, window: Window) -> bool:
        return not window.lost and not self._taking_over

    def _new_gate(self) -> Gate | None:
        return None if self._gate_dbfs is None else Gate(self._gate_dbfs, self.classifier.spec.sample_rate)

    def _take_over_all(self) -> bool:
        """Take over what waits; True if a window that was cut before is of no use any more."""
        recut = False
        while True:
            try:
                replacement = self._replacements.get_nowait()
            except Empty:
                return recut
            recut = self._take_over(replacement) or recut

    def _take_over(self, replacement: Replacement) -> bool:
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
        self._taking_over.append(replacement)
        if self._clips is not None and replacement.clips is not None:
            self._clips.take_over(replacement.clips, recut=recut)
        if recut:
            self._recut()
        elif other_gate:
            self._stream.gate = self._new_gate()
        return recut

    def _recut(self) -> None:
        """Open windows for the classifier's spec, the first of which ends one hop after the last window there was."""
        read_end = self._stream.read_end
        self._stream = MonoStream(self.source, self.classifier.spec.sample_rate, self._channel, self._level)
        self._stream.gate = self._new_gate()
        self.windows = open_windows(self._stream, self.classifier.spec, self._hop_s, self._clock, self._columns)
        self._window_span = round(self.classifier.spec.window_s * self.source.sample_rate)
        self.pace = Pace(self.windows.hop_s)
        start_s = self.accounts.end / self.source.sample_rate + self.windows.hop_s - self.classifier.spec.window_s
        self.source.rewind(max(0, read_end - max(0, round(start_s * self.source.sample_rate))))

    def _decide(self, scores: NDArray[np.float32], position_s: float, time_ns: int) -> tuple[Event, ...]:
        transitions = self.decisions.update(scores, position_s, position_s - self._last_s)
        self._last_s = position_s
        if not transitions and not self._ended_events:
            return ()
        ended, self._ended_events = self._ended_events, ()
        return ended + tuple(self._event(change, time_ns) for change in transitions)

    def _event(self, change: Transition, time_ns: int) -> Event:
        return Event(change.label, change.state, change.score, self._last_s, time_ns, change.duration_s)
