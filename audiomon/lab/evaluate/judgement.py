"""Figures from what was heard: accuracy, precision, recall, calibration, and events through the decision stage."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomon.lab.evaluate.hearing import HeardSound

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

_CALIBRATION_BINS = 10


@dataclass(frozen=True, slots=True)
class Answers:
    """Scores of things whose label is known: recordings, or windows.

    Attributes:
        labels: names, in the scores' order.
        right: number of each one's label, shape (n,).
        scores: shape (n, labels).
    """

    labels: tuple[str, ...]
    right: Int64
    scores: Float32

    @property
    def taken(self) -> Int64:
        """What each was taken for: the number of the highest score, shape (n,)."""
        return np.asarray(self.scores.argmax(axis=1))

    @property
    def accuracy(self) -> float:
        """Share that was taken for what it is; NaN of nothing."""
        return float((self.taken == self.right).mean()) if len(self.right) else float("nan")

    @property
    def confusion(self) -> Int64:
        """How many of each label (row) were taken for which (column)."""
        counts = np.zeros((len(self.labels), len(self.labels)), dtype=np.int64)
        np.add.at(counts, (self.right, self.taken), 1)
        return counts

    @property
    def per_class(self) -> list["ClassFigures"]:
        """Precision, recall and F1 of each label."""
        counts = self.confusion
        found, said, there = counts.diagonal(), counts.sum(axis=0), counts.sum(axis=1)
        return [
            ClassFigures(label, int(there[n]), _part(found[n], said[n]), _part(found[n], there[n]))
            for n, label in enumerate(self.labels)
        ]

    @property
    def macro_recall(self) -> float:
        """Mean recall of the labels that there are recordings of."""
        return float(np.mean([one.recall for one in self.per_class if one.count]))

    @property
    def calibration(self) -> list[tuple[float, float, int]]:
        """By tenths of the highest score: mean score, share that was right, how many; empty tenths left out."""
        highest = self.scores.max(axis=1)
        right = self.taken == self.right
        tenth = np.minimum((highest * _CALIBRATION_BINS).astype(int), _CALIBRATION_BINS - 1)
        return [
            (float(highest[tenth == n].mean()), float(right[tenth == n].mean()), int((tenth == n).sum()))
            for n in range(_CALIBRATION_BINS)
            if (tenth == n).any()
        ]

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: mean distance of score and share right over the tenths, weighted by count."""
        total = max(1, len(self.right))
        return sum(count * abs(score - share) for score, share, count in self.calibration) / total


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """How well one class is told from the others; shares are NaN where there is nothing to divide by."""

    label: str
    count: int
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both > 0 else (0.0 if both == 0 else float("nan"))


@dataclass(frozen=True, slots=True)
class EventFigures:
    """What the decision stage made of the recordings of one label.

    Attributes:
        label: which.
        recordings: how many.
        heard: those with an event of their own label.
        false_events: events of another label.
        hours: of sound, the quiet room around each recording included.
        delay_s: median time from a recording's start to its event; NaN without any.
        makes_events: whether the label has a threshold at all.
    """

    label: str
    recordings: int
    heard: int
    false_events: int
    hours: float
    delay_s: float
    makes_events: bool

    @property
    def missed(self) -> int:
        """Recordings whose label was never on."""
        return self.recordings - self.heard if self.makes_events else 0


@dataclass(frozen=True, slots=True)
class Mistake:
    """A stretch of neighbouring windows that were taken for the wrong label.

    Attributes:
        name: of the recording.
        begin_s: where the first window begins.
        end_s: where the last one ends.
        label: what it is.
        taken: what it was taken for, in the window with the highest score.
        score: that score.
    """

    name: str
    begin_s: float
    end_s: float
    label: str
    taken: str
    score: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """All figures of one evaluation.

    Attributes:
        labels: of the model.
        clips: one answer a recording.
        windows: one a counted window.
        events: by label, those that there are recordings of.
        folds: accuracy over the recordings of each fold, where there are several models.
        mistakes: worst first.
    """

    labels: tuple[str, ...]
    clips: Answers
    windows: Answers
    events: tuple[EventFigures, ...]
    folds: dict[str, float]
    mistakes: tuple[Mistake, ...]

    @property
    def false_events(self) -> int:
        """False events in all."""
        return sum(one.false_events for one in self.events)

    @property
    def hours(self) -> float:
        """Hours of sound listened to."""
        return sum(one.hours for one in self.events)

    @property
    def false_events_per_hour(self) -> float:
        """Of all labels."""
        return self.false_events / self.hours

    @property
    def most_false_events_per_hour(self) -> float:
        """Below this, with 95 % confidence, if false events come by chance: Poisson's upper bound."""
        return poisson_bound(self.false_events) / self.hours


def poisson_bound(count: int) -> float:
    """Return the mean of a Poisson distribution of which so few, or fewer, come in one case of 20: 3.0 for none."""
    low, high = 0.0, count + 10.0 + 5 * math.sqrt(count)
    for _ in range(60):
        mean = (low + high) / 2
        terms = (math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count + 1))
        low, high = (mean, high) if sum(terms) > 0.05 else (low, mean)
    return high


def judge(heard: Sequence[HeardSound], labels: tuple[str, ...], event_labels: Sequence[str]) -> Judgement:
    """Work out all figures.

    Args:
        heard: recordings and scores.
        labels: of the model.
        event_labels: those that make events.
    """
    numbers = {label: n for n, label in enumerate(labels)}
    right = np.array([numbers[one.sound.label] for one in heard])
    clips = Answers(labels, right, np.stack([one.clip_scores for one in heard]))
    counts = [int(one.counted.sum()) for one in heard]
    windows = Answers(labels, np.repeat(right, counts), np.concatenate([one.scores[one.counted] for one in heard]))
    present = [label for label in labels if (right == numbers[label]).any()]
    events = tuple(
        _events(label, [one for one in heard if one.sound.label == label], label in event_labels) for label in present
    )
    folds = {
        fold: float(np.mean([clips.taken[n] == right[n] for n, one in enumerate(heard) if one.sound.fold == fold]))
        for fold in sorted({one.sound.fold for one in heard} - {""})
    }
    mistakes = sorted((mistake for one in heard for mistake in _mistakes(one, labels)), key=lambda one: -one.score)
    return Judgement(labels, clips, windows, events, folds if len(folds) > 1 else {}, tuple(mistakes))


def _events(label: str, heard: list[HeardSound], makes_events: bool) -> EventFigures:
    own = [[event.at_s for event in one.events if event.label == label] for one in heard]
    return EventFigures(
        label,
        len(heard),
        sum(1 for times in own if times),
        sum(event.label != label for one in heard for event in one.events),
        sum(one.heard_s for one in heard) / 3600,
        float(np.median([times[0] for times in own if times])) if any(own) else float("nan"),
        makes_events,
    )


def _mistakes(heard: HeardSound, labels: tuple[str, ...]) -> list[Mistake]:
    taken = heard.scores.argmax(axis=1)
    wrong = heard.counted & (taken != labels.index(heard.sound.label))
    found = []
    numbers = np.flatnonzero(wrong)
    for run in np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1):
        if not len(run):
            continue
        worst = run[heard.scores[run].max(axis=1).argmax()]
        begin_s = max(0.0, float(heard.end_s[run[0]]) - heard.window_s)
        end_s = min(heard.duration_s, float(heard.end_s[run[-1]]))
        score = float(heard.scores[worst].max())
        found.append(Mistake(heard.sound.name, begin_s, end_s, heard.sound.label, labels[taken[worst]], score))
    return found


def _part(some: Any, of_all: Any) -> float:
    return float(some / of_all) if of_all else float("nan")
