"""Figures whose right values are known by counting."""

import math
from pathlib import Path

import numpy as np
import pytest

from audiomon.lab.evaluate.hearing import HeardEvent, HeardSound
from audiomon.lab.evaluate.judgement import Answers, judge, poisson_bound
from audiomon.lab.evaluate.report import plain, text
from audiomon.lab.train.dataset import Sound

LABELS = ("background", "bark", "cry")


def heard(label, taken, *, name="a.wav", events=(), fold="", score=0.8, counted=None):
    """A recording of 4 s with a window a second, each taken for something."""
    scores = np.full((len(taken), 3), (1 - score) / 2, dtype=np.float32)
    for row, what in enumerate(taken):
        scores[row, LABELS.index(what)] = score
    return HeardSound(
        Sound(Path(f"/data/{label}/{name}"), f"{label}/{name}", label, fold=fold),
        duration_s=4.0,
        heard_s=36.0,
        end_s=np.arange(1.0, len(taken) + 1),
        scores=scores,
        counted=np.ones(len(taken), dtype=bool) if counted is None else np.array(counted),
        events=tuple(HeardEvent(what, at_s) for what, at_s in events),
        window_s=1.0,
    )


def test_precision_and_recall_are_counted():
    answers = Answers(LABELS, np.array([0, 0, 1, 1, 1]), np.eye(3, dtype=np.float32)[[0, 1, 1, 1, 0]])
    background, bark, cry = answers.per_class
    assert answers.confusion.tolist() == [[1, 1, 0], [1, 2, 0], [0, 0, 0]]
    assert (background.precision, background.recall, background.f1) == (0.5, 0.5, 0.5)
    assert bark.recall == pytest.approx(2 / 3)
    assert math.isnan(cry.recall)
    assert answers.macro_recall == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert answers.accuracy == 0.6


def test_scores_that_are_right_as_often_as_they_say_have_no_calibration_error():
    scores = np.tile(np.array([[0.75, 0.25, 0.0]], dtype=np.float32), (8, 1))
    assert Answers(LABELS, np.array([0] * 6 + [1] * 2), scores).calibration_error == pytest.approx(0)
    assert Answers(LABELS, np.array([1] * 8), scores).calibration_error == pytest.approx(0.75)


def test_a_recording_is_what_its_windows_say_on_average_without_those_that_do_not_count():
    mostly_wrong = heard("bark", ["cry", "cry", "bark", "bark", "bark"], counted=[False, False, True, True, True])
    judged = judge([mostly_wrong], LABELS, LABELS[1:])
    assert judged.clips.accuracy == 1
    assert judged.windows.accuracy == 1
    assert len(judged.windows.right) == 3


def test_events_are_counted_by_what_the_recording_is_of():
    judged = judge(
        [
            heard("bark", ["bark"], events=[("bark", 1.0), ("cry", 2.0)]),
            heard("bark", ["bark"], events=[("bark", 3.0), ("bark", 3.5)]),
            heard("bark", ["cry"]),
            heard("background", ["bark"], events=[("bark", 1.0)]),
        ],
        LABELS,
        LABELS[1:],
    )
    background, bark = judged.events
    assert (bark.recordings, bark.missed, bark.false_events, bark.delay_s) == (3, 1, 1, 2.0)
    assert (background.missed, background.false_events, background.makes_events) == (0, 1, False)
    assert judged.hours == pytest.approx(4 * 36 / 3600)
    assert judged.false_events_per_hour == pytest.approx(2 / 0.04)


@pytest.mark.parametrize(("count", "bound"), [(0, 2.996), (1, 4.744), (4, 9.154), (10, 16.96)])
def test_the_bound_of_few_events_is_poisson_s(count, bound):
    assert poisson_bound(count) == pytest.approx(bound, rel=0.001)


def test_neighbouring_mistakes_are_one_and_the_surest_come_first():
    judged = judge(
        [
            heard("cry", ["cry", "bark", "bark", "cry"], name="b.wav", score=0.7),
            heard("bark", ["cry", "bark", "bark", "cry"], score=0.9),
        ],
        LABELS,
        LABELS[1:],
    )
    assert [(one.name, one.begin_s, one.end_s, one.taken) for one in judged.mistakes] == [
        ("bark/a.wav", 0.0, 1.0, "cry"),
        ("bark/a.wav", 3.0, 4.0, "cry"),
        ("cry/b.wav", 1.0, 3.0, "bark"),
    ]


def test_folds_have_each_its_accuracy():
    judged = judge([heard("bark", ["bark"], fold="1"), heard("cry", ["bark"], fold="2")], LABELS, LABELS[1:])
    assert judged.folds == {"1": 1.0, "2": 0.0}
    assert "mean of 2 folds 50.0% (100.0%, 0.0%)" in text(judged, "title")


def test_plain_figures_are_json_even_where_there_is_no_value():
    figures = plain(judge([heard("bark", ["bark"])], LABELS, LABELS[1:]))
    assert figures["clips"]["per_class"]["cry"] == {"count": 0, "precision": None, "recall": None, "f1": None}
    assert figures["events"]["bark"]["delay_s"] is None
