"""Cuts clips out of what is captured, and gives the verdict on each before its sound leaves this process.

Sound is copied out of the ring only while an event makes it wanted, and handed on only when every window that touches
it has been heard and none was too sure of a label that must never be kept. Whatever casts doubt on that, such as a
window that was shed or in which the model failed, drops the sound. Nothing here waits, encodes or writes.
"""

from collections import deque
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.audio.source import LiveSource
from audiomon.pipeline.clips import Clip, ClipEvent, ClipRules, ClipSink, NoClip, Refusal
from audiomon.pipeline.prediction import Event

Int16 = NDArray[np.int16]

# Samples of one clip, whatever the rate: 8 MB, 3 minutes at 22 050 Hz. What awaits its verdict is bounded by it.
MAX_SAMPLES = 1 << 22
# A clip that a change has left shorter than this is of no use to anybody.
_MIN_CLIP_S = 0.5


class _Window(msgspec.Struct, frozen=True):
    """A window that was heard: where it was, and the highest score of a label that is never kept."""

    begin: int
    end: int
    score: float
    label: str


class _Pending(msgspec.Struct):
    """A clip on its way.

    Attributes:
        begin: position of its first sample.
        max_end: where it ends at the latest.
        end: where it ends if nothing more happens; ``max_end`` while a label is on.
        began_ns: wall-clock time of its first sample.
        rules: that it is judged by.
        copied: up to where its sound has been copied.
        events: that it is of.
        on: those of them that have not ended.
        sound: in portions.
        worst: the window that was surest of a label that is never kept.
        reason: why there will be no clip; None so far.
        detail: the same in words.
    """

    begin: int
    max_end: int
    end: int
    began_ns: int
    rules: ClipRules
    copied: int
    events: list[ClipEvent] = []
    on: dict[str, ClipEvent] = {}
    sound: list[Int16] = []
    worst: _Window | None = None
    reason: Refusal | None = None
    detail: str = ""

    def add(self, event: ClipEvent) -> None:
        """Be of one more event, which has just turned on."""
        self.events.append(event)
        self.on[event.label] = event
        self.end = self.max_end

    def judge(self, window: _Window) -> None:
        """Take in a window, if it touches this clip."""
        if window.begin >= self.end or window.end <= self.begin or not self.rules.never:
            return
        if self.worst is None or window.score > self.worst.score:
            self.worst = window
        # Written so that a score that is no number refuses, too.
        if not window.score < self.rules.settings.never_above:
            self.refuse(Refusal.NEVER, f"{window.label} {window.score:.2f}")

    def refuse(self, reason: Refusal, detail: str) -> None:
        """Drop its sound. The first reason stays."""
        if self.reason is None:
            self.reason, self.detail = reason, detail
        self.sound.clear()


class ClipCutter:
    """Cuts clips from one source, window by window. Belongs to the thread that listens.

    Args:
        source: whose sound it is.
        channel: that is listened to, or ``"mix"``.
        sink: gets what comes of it.

    Attributes:
        active: whether clips are wanted of what is heard now.
    """

    def __init__(self, source: LiveSource, channel: int | Literal["mix"], sink: ClipSink) -> None:
        self.active = False
        self._source = source
        self._channel: int | Literal["mix"] = channel
        self._sink = sink
        self._rules: ClipRules | None = None
        self._next_rules: ClipRules | None = None
        self._cut_off = False
        self._never: NDArray[np.intp] = np.empty(0, dtype=np.intp)
        # The last window; those that a clip which begins now would touch; from where on all sound was in such windows.
        self._begin = self._end = self._clear = 0
        self._cut_to = 0  # no sound is in two clips
        self._windows: deque[_Window] = deque()
        self._hearing = False
        self._pending: list[_Pending] = []

    @property
    def awaits(self) -> bool:
        """Whether any sound awaits its verdict, so that quiet windows have to be heard as well."""
        return any(pending.reason is None for pending in self._pending)

    def take_over(self, rules: ClipRules, *, recut: bool) -> None:
        """Go by other rules from the next window on.

        Args:
            rules: for the model that hears it.
            recut: whether it is not of the same series as the window before.
        """
        before = self._next_rules or self._rules
        if before is not None and rules.settings != before.settings:
            for pending in list(self._pending):
                pending.refuse(Refusal.CHANGED, "the settings of clips were changed")
                self._finish(pending)
        self._cut_off = self._cut_off or recut or before is None or rules.fingerprint != before.fingerprint
        self._next_rules = rules
        self.active = True  # until the next window at least, which ends what there is

    def expect(self) -> None:
        """Note that a window is with the model: until it is back, nothing may be handed on."""
        self._hearing = True

    def heard(self, begin: int, end: int, scores: NDArray[np.float32], events: Sequence[Event], *, lost: bool) -> None:
        """Take in a window.

        Args:
            begin: position of its first sample, at the source's rate.
            end: one past its last one.
            scores: float32, shape (labels,); all of them.
            events: that followed from it.
            lost: whether samples between the window before and this one are missing.
        """
        self._advance(begin, end, lost)
        self._hearing = False
        if self._rules is None or not self.active:
            return
        score, label = 0.0, ""
        if len(self._never):
            at = int(self._never[scores[self._never].argmax()])
            score, label = float(scores[at]), self._rules.labels[at]
        window = _Window(begin, end, score, label)
        self._windows.append(window)
        forgotten = end - round(self._rules.settings.before_s * self._source.sample_rate)
        while self._windows and self._windows[0].end <= forgotten:
            self._windows.popleft()
        for pending in self._pending:
            pending.judge(window)
        self._follow(events)

    def unheard(self, begin: int, end: int, events: Sequence[Event] = (), *, lost: bool) -> None:
        """Take in a window that the model was not run on: one that was shed, or a quiet one while nothing waits.

        Arguments as in `heard`.
        """
        self._advance(begin, end, lost)
        self._clear = end
        self._windows.clear()
        for pending in self._pending:
            if begin < pending.end:
                pending.refuse(Refusal.SHED, "the model was too slow for all of it")
        self._follow(events)

    def close(self) -> None:
        """End all clips where the last window ended, since nothing more will be heard."""
        if self._hearing:
            for pending in self._pending:
                pending.refuse(Refusal.FAILED, "the model failed")
        self._cut(self._end)
        self.active = self._hearing = False

    def _advance(self, begin: int, end: int, lost: bool) -> None:
        """Go on to the next window; end what a loss or a change before it ends."""
        if lost:
            for pending in self._pending:
                if pending.end > self._end:
                    pending.refuse(Refusal.LOST, "samples were lost inside it")
        if self._cut_off or lost:
            # No window that comes now touches what is cut off here: those that do have all been heard.
            self._cut(min(begin, self._end))
            self._windows.clear()
            self._clear = begin
        self._cut_off = False
        if self._next_rules is not None:
            self._rules, self._next_rules = self._next_rules, None
            self.active = self._rules.active
            self._never = np.array(self._rules.never, dtype=np.intp)
        self._begin, self._end = begin, end

    def _follow(self, events: Sequence[Event]) -> None:
        """Begin and end clips with events, copy what they lack, and hand on those that have been heard whole."""
        for event in events:
            if event.state == "on":
                self._turned_on(event)
            else:
                self._turned_off(event)
        for pending in list(self._pending):
            self._copy(pending)
            if pending.end <= self._begin:
                self._finish(pending)

    def _turned_on(self, event: Event) -> None:
        rules, rate = self._rules, self._source.sample_rate
        if rules is None or not rules.active or event.label not in rules.wanted:
            return
        on = ClipEvent(event.label, event.time_ns, event.score)
        begin = max(self._clear, self._cut_to, self._end - round(rules.settings.before_s * rate))
        if self._pending:
            last = self._pending[-1]
            # Sound that no window was heard in may lie between the two: then they are two clips.
            if begin <= last.end and self._clear <= last.end and self._end < last.max_end:
                last.add(on)
                for window in self._windows:
                    last.judge(window)
                return
            begin = max(begin, last.end)
        longest = min(round(rules.settings.longest_s * rate), MAX_SAMPLES)
        began_ns = event.time_ns - (self._end - begin) * 1_000_000_000 // rate
        pending = _Pending(begin, begin + longest, begin + longest, began_ns, rules, copied=begin)
        pending.add(on)
        self._pending.append(pending)
        reason = self._sink.admit(rules.settings.per_hour)
        if reason is not None:
            pending.refuse(reason, _NO_ROOM[reason].format(rules.settings.per_hour))
        for window in self._windows:
            pending.judge(window)

    def _turned_off(self, event: Event) -> None:
        for pending in self._pending:
            if (ended := pending.on.pop(event.label, None)) is None:
                continue
            ended.duration_s = event.duration_s
            if not pending.on:
                after = round(pending.rules.settings.after_s * self._source.sample_rate)
                pending.end = min(pending.max_end, self._end + after)

    def _copy(self, pending: _Pending) -> None:
        end = min(pending.end, self._end, self._source.captured_end)
        if pending.reason is not None or end <= pending.copied:
            return
        samples = self._source.copy(pending.copied, end - pending.copied)
        if samples is None:
            pending.refuse(Refusal.LOST, "its sound was overwritten before it could be copied")
            return
        pending.sound.append(_one_channel(samples, self._channel))
        pending.copied = end

    def _cut(self, end: int) -> None:
        """End all clips at a position, at the latest, and hand them on."""
        for pending in list(self._pending):
            pending.end = min(pending.end, end)
            self._copy(pending)
            self._finish(pending)

    def _finish(self, pending: _Pending) -> None:
        self._pending.remove(pending)
        self._cut_to = max(self._cut_to, pending.end)
        events, rules, source = tuple(pending.events), pending.rules, self._source
        samples = (
            np.concatenate(pending.sound)[: pending.end - pending.begin] if pending.sound else np.empty(0, np.int16)
        )
        pending.sound.clear()
        if len(samples) < _MIN_CLIP_S * source.sample_rate:
            pending.refuse(Refusal.TOO_SHORT, "a change ended it right after it had begun")
        if pending.reason is not None:
            refused = NoClip(events, pending.reason, pending.detail, source.name, rules.model, rules.fingerprint)
            self._sink.refuse(refused)
            return
        worst = pending.worst
        self._sink.offer(
            Clip(
                samples,
                source.sample_rate,
                pending.begin,
                pending.began_ns,
                events,
                source.name,
                rules.model,
                rules.fingerprint,
                worst.score if worst else 0.0,
                worst.label if worst else "",
            )
        )


_NO_ROOM = {
    Refusal.PER_HOUR: "{} were begun within this hour",
    Refusal.BUSY: "too many are on their way",
}


def _one_channel(samples: Int16, channel: int | Literal["mix"]) -> Int16:
    """Return what was listened to: what was not heard was not judged.

    Args:
        samples: int16, shape (n, channels).
        channel: one of them, or the mean of all.

    Returns:
        int16, shape (n,).
    """
    if channel != "mix":
        return samples[:, channel].copy()
    if samples.shape[1] == 1:
        return samples[:, 0]
    mixed: Int16 = np.rint(samples.mean(axis=1)).astype(np.int16)
    return mixed
