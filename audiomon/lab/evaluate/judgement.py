"""Figures from what was heard: events, then accuracy, precision, recall and calibration by recordings and windows."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiomon.errors import UserError
from audiomon.extras import install_extra
from audiomon.lab.evaluate.events import Events, count_events
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
        from sklearn.metrics import confusion_matrix

        return np.asarray(confusion_matrix(self.right, self.taken, labels=range(len(self.labels))))

    @property
    def per_class(self) -> list["ClassFigures"]:
        """Precision, recall and F1 of each label."""
        from sklearn.metrics import precision_recall_fscore_support

        numbers = range(len(self.labels))
        figures = precision_recall_fscore_support(self.right, self.taken, labels=numbers, zero_division=0)
        said = np.bincount(self.taken, minlength=len(self.labels))
        nothing = float("nan")
        return [
            ClassFigures(
                label,
                int(count),
                float(precision) if said[number] else nothing,
                float(recall) if count else nothing,
                float(f1) if count and said[number] else nothing,
            )
            for number, (label, precision, recall, f1, count) in enumerate(zip(self.labels, *figures, strict=True))
        ]

    @property
    def macro_recall(self) -> float:
        """Mean recall of the labels that there are recordings of."""
        return float(np.mean([one.recall for one in self.per_class if one.count]))

    @property
    def calibration(self) -> list[tuple[float, float, int]]:
        """By tenths of the highest score: mean score, share that was right, how many; empty tenths left out.

        scikit-learn's `calibration_curve` does not say how many, which the error below and the picture need.
        """
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
    """How well one class is told from the others; a figure without anything to divide by is NaN."""

    label: str
    count: int
    precision: float
    recall: float
    f1: float


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
        events: what a user notices.
        clips: one answer a recording.
        windows: one a counted window.
        folds: accuracy over the recordings of each fold, where there are several models.
        mistakes: worst first.
    """

    labels: tuple[str, ...]
    events: Events
    clips: Answers
    windows: Answers
    folds: dict[str, float]
    mistakes: tuple[Mistake, ...]


def check_judging() -> None:
    """Check that figures can be worked out, before what they are of is heard.

    Raises:
        UserError: scikit-learn is not installed.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise UserError(f"figures need scikit-learn, which is not installed: {install_extra('lab')}")


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
    folds = {
        fold: float(np.mean([clips.taken[n] == right[n] for n, one in enumerate(heard) if one.sound.fold == fold]))
        for fold in sorted({one.sound.fold for one in heard} - {""})
    }
    mistakes = sorted((mistake for one in heard for mistake in _mistakes(one, labels)), key=lambda one: -one.score)
    return Judgement(
        labels,
        count_events(heard, labels, event_labels),
        clips,
        windows,
        folds if len(folds) > 1 else {},
        tuple(mistakes),
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
