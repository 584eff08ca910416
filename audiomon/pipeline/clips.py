"""Clips, as values: the sound of events, or why there is none; and which labels of a model the settings mean."""

from enum import StrEnum
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.config import Clips, LabelPatterns, check_labels
from audiomon.errors import FieldError
from audiomon.foreign import shown

Int16 = NDArray[np.int16]


class Refusal(StrEnum):
    """Why there is no clip of an event. The values are stable: they are counted and published."""

    NEVER = "never"  # a label of `never` was heard
    SHED = "shed"  # a window that touches it was not classified, since the model was too slow
    LOST = "lost"  # samples were lost inside it, or overwritten before they could be copied
    FAILED = "failed"  # the model failed, or hung, inside it
    CHANGED = "changed"  # what is never kept was changed inside it
    TOO_SHORT = "too-short"  # a change ended it right after it had begun
    PER_HOUR = "per-hour"  # as many as are wanted were begun within this hour
    BUSY = "busy"  # as many as may be were on their way


class ClipRules(msgspec.Struct, frozen=True):
    """The settings that apply to one model.

    Attributes:
        settings: what was written.
        wanted: labels whose events are kept.
        never: numbers of the labels that must not be heard in a clip.
        labels: of the model, in the scores' order.
        model: name of its package.
        fingerprint: of that package.
    """

    settings: Clips
    wanted: frozenset[str]
    never: tuple[int, ...]
    labels: tuple[str, ...]
    model: str
    fingerprint: str

    @property
    def can_judge(self) -> bool:
        """Whether this model hears what is never kept, or nothing is to be kept out."""
        return bool(self.never) or not self.settings.never

    @property
    def active(self) -> bool:
        """Whether any clip can come of them."""
        return bool(self.wanted) and self.can_judge


def clip_rules(labels: tuple[str, ...], settings: Clips, model: str = "", fingerprint: str = "") -> ClipRules:
    """Work out which labels of a model the settings mean.

    Args:
        labels: of the model.
        settings: what was written.
        model: name of its package.
        fingerprint: of that package.

    Raises:
        FieldError: the model has none of the labels that one entry of ``labels`` means, or all of them are never kept;
            its keys start below ``clips``.
    """
    if not settings.labels:
        return ClipRules(settings, frozenset(), (), labels, model, fingerprint)
    check_labels([(("labels", index), pattern) for index, pattern in enumerate(settings.labels)], labels)
    wanted = LabelPatterns(settings.labels)
    # However labels are written: missing one for its capital letter would keep words.
    never = LabelPatterns(pattern.casefold() for pattern in settings.never)
    for index, pattern in enumerate(settings.labels):
        meant = LabelPatterns((pattern,))
        if all(never.match(label.casefold()) for label in labels if meant.match(label)):
            raise FieldError(
                ("labels", index), f"'{shown(pattern, 60)}' would never be kept: clips.never lists it, too"
            )
    return ClipRules(
        settings,
        frozenset(filter(wanted.match, labels)),
        tuple(index for index, label in enumerate(labels) if never.match(label.casefold())),
        labels,
        model,
        fingerprint,
    )


class ClipEvent(msgspec.Struct):
    """An event that a clip is of.

    Attributes:
        label: which.
        time_ns: wall-clock time at which it turned on, nanoseconds since 1970-01-01 UTC.
        score: smoothed, when it turned on.
        duration_s: how long it was on; None if it was still on when the clip ended.
    """

    label: str
    time_ns: int
    score: float
    duration_s: float | None = None


class Clip(msgspec.Struct, frozen=True):
    """Sound that may be kept.

    Attributes:
        samples: int16, shape (n,): the channel that was listened to, bit for bit as it was captured; of a mix of
            several, their mean, as it was heard.
        sample_rate: in Hz, the source's own.
        position: of the first sample, counted from the start of the stream.
        began_ns: wall-clock time of it, nanoseconds since 1970-01-01 UTC.
        events: that it is of, the first one first.
        source: name of the microphone.
        model: name of the package that judged it.
        fingerprint: of that package.
        never_score: the highest score of a label that is never kept, in all windows that touch it; 0 if there is none.
        never_label: whose that was.
    """

    samples: Int16
    sample_rate: int
    position: int
    began_ns: int
    events: tuple[ClipEvent, ...]
    source: str
    model: str
    fingerprint: str
    never_score: float
    never_label: str


class NoClip(msgspec.Struct, frozen=True):
    """Events of which there is no clip.

    Attributes:
        events: which.
        reason: why, as a word to count by.
        detail: the same in a few words for people.
        source: name of the microphone.
        model: name of the package that listened.
        fingerprint: of that package.
    """

    events: tuple[ClipEvent, ...]
    reason: Refusal
    detail: str
    source: str
    model: str
    fingerprint: str


class ClipSink(Protocol):
    """Where clips go. Called by the inference worker: it neither raises nor waits."""

    def admit(self, per_hour: int) -> Refusal | None:
        """Ask for room for one more clip; each that is admitted is given to `offer` or `refuse` later.

        Args:
            per_hour: clips that may be begun within an hour.
        """
        ...

    def offer(self, clip: Clip) -> None:
        """Take a clip that has passed."""
        ...

    def refuse(self, refused: NoClip) -> None:
        """Take note that there is none."""
        ...
