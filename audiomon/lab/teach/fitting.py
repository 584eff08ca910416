"""Fits a head to embeddings whose labels are known, and hears recordings with it. Knows nothing of files."""

import dataclasses
import warnings

import numpy as np
from numpy.typing import NDArray

from audiomon.config import DecisionRules
from audiomon.lab.evaluate.hearing import HeardEvent, HeardSound
from audiomon.lab.teach.examples import Example, Examples
from audiomon.lab.teach.fusing import Head
from audiomon.lab.teach.settings import TeachingSettings
from audiomon.lab.train.dataset import BACKGROUND
from audiomon.pipeline.decisions import DecisionStage

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_MAX_ITERATIONS = 500
_TOLERANCE = 1e-3


def fit(examples: Examples, held: str | None, settings: TeachingSettings) -> Head:
    """Fit a head to all recordings but those of one fold.

    Raises:
        InputError: a class is only in that fold.
    """
    rows, labels = examples.material(held)
    background = examples.labels.index(BACKGROUND)
    count = len(examples.labels)
    # Every label weighs the same, however many windows it has; so a head of many clips is as cautious as one of few.
    label_weights = settings.strength / np.maximum(np.bincount(labels, minlength=count), 1)
    label_weights[background] *= settings.background_weight
    weights = label_weights[labels]
    scaled = rows.astype(np.float64) * settings.scale
    if settings.many:
        fitted = [_one_against_rest(scaled, labels == number, weights, settings) for number in range(count)]
    else:
        fitted = list(zip(*_regression(scaled, labels, weights, settings), strict=True))
    # The scale goes into the weights: the fused network has lengths of 1.
    matrix = np.stack([slopes for slopes, _ in fitted]) * settings.scale
    bias = np.array([offset for _, offset in fitted])
    return Head(matrix.astype(np.float32), bias.astype(np.float32), settings.many)


def _one_against_rest(
    rows: Float64, is_it: NDArray[np.bool_], weights: Float64, settings: TeachingSettings
) -> tuple[Float64, float]:
    # The label itself weighs as much as all others together.
    balanced = weights.copy()
    balanced[~is_it] *= weights[is_it].sum() / weights[~is_it].sum()
    slopes, offsets = _regression(rows, is_it.astype(np.int64), balanced, settings)
    # Two classes have one row of slopes in scikit-learn, those of the second.
    return slopes[-1], float(offsets[-1])


def _regression(rows: Float64, labels: Int64, weights: Float64, settings: TeachingSettings) -> tuple[Float64, Float64]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1.0, max_iter=_MAX_ITERATIONS, tol=_TOLERANCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where it stops short of its tolerance, the cross-validation judges that too
        model.fit(rows, labels, sample_weight=weights)
    slopes, offsets = np.asarray(model.coef_), np.asarray(model.intercept_)
    if len(slopes) == 1 and not settings.many:
        # A softmax over two labels is a sigmoid of their difference.
        return np.concatenate([-slopes, slopes]) / 2, np.concatenate([-offsets, offsets]) / 2
    return slopes, offsets


def hear_with(example: Example, head: Head, labels: tuple[str, ...], rules: DecisionRules) -> HeardSound:
    """Return what a head says to a recording: as the fused network says it when the daemon plays it."""
    return heard_as(example, head.scores(example.features), labels, rules)


def heard_as(example: Example, scores: Float32, labels: tuple[str, ...], rules: DecisionRules) -> HeardSound:
    """Return a recording with a model's scores, shape (n, labels), and the events that the daemon makes of them."""
    heard = example.embedded.heard
    stage = DecisionStage(labels, rules)
    events = []
    # The first window ends one hop after the decision stage began, as far as the daemon is concerned.
    last_s = _start_s(heard)
    for window, end_s in zip(scores, heard.end_s, strict=True):
        changes = stage.update(window, float(end_s), float(end_s) - last_s)
        events += [HeardEvent(one.label, float(end_s)) for one in changes if one.state == "on"]
        last_s = float(end_s)
    return dataclasses.replace(heard, scores=scores, events=tuple(events))


def _start_s(heard: HeardSound) -> float:
    """Where the stream began, in seconds from the recording's start: the room before it."""
    return -(heard.heard_s - heard.duration_s) / 2
