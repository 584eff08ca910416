"""Figures whose right values are known by counting."""

from pathlib import Path

import numpy as np
import pytest

from audiomon.lab.evaluate.events import EventFigures, Rate
from audiomon.lab.evaluate.hearing import HeardEvent, HeardSound
from audiomon.lab.evaluate.judgement import Answers, judge
from audiomon.lab.evaluate.report import plain, text
from audiomon.lab.train.dataset import Sound

LABELS = ("background", "bark", "cry")


def heard(label, taken, *, name="a.wav", events=(), fold="", score=0.8, counted=None, sound_at_s=0.0):
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
        sound_at_s=sound_at_s,
    )


def test_precision_and_recall_are_counted():
    answers = Answers(LABELS, np.array([0, 0, 1, 1, 1]), np.eye(3, dtype=np.float32)[[0, 1, 1, 1, 0]])
    background, bark, cry = answers.per_class
    assert answers.confusion.tolist() == [[1, 1, 0], [1, 2, 0], [0, 0, 0]]
    assert (background.precision, background.recall, background.f1) == (0.5, 0.5, 0.5)
    assert bark.recall == pytest.approx(2 / 3)
    assert np.isnan(cry.recall)
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


def test_a_recording_with_an_event_of_its_label_is_heard_and_any_event_in_background_is_false():
    judged = judge(
        [
            heard("bark", ["bark"], events=[("bark", 1.5), ("cry", 2.0)], sound_at_s=1.0),
            heard("bark", ["bark"], events=[("bark", 3.0), ("bark", 3.5)], sound_at_s=1.0),
            heard("bark", ["cry"]),
            heard("cry", ["cry"], events=[("cry", 1.0)]),
            heard("background", ["bark"], events=[("bark", 1.0)]),
        ],
        LABELS,
        LABELS[1:],
    )
    bark, cry = judged.events.labels
    assert "3 (67%; 21%–94%)" in text(judged, "title")
    assert (bark.label, bark.recordings, bark.heard, bark.missed) == ("bark", 3, 2, 1)
    assert bark.late_s == (0.5, 2.0)
    assert (bark.false.count, bark.mistaken) == (1, 0)
    assert bark.false.per_hour == pytest.approx(100)
    assert (cry.heard, cry.false.count, cry.mistaken) == (1, 0, 1)
    assert (judged.events.background.count, judged.events.background.hours) == (1, pytest.approx(0.01))


def test_a_label_without_recordings_may_still_be_false():
    _, cry = judge([heard("background", ["cry"], events=[("cry", 1.0)])], LABELS, LABELS[1:]).events.labels
    assert (cry.recordings, cry.false.count) == (0, 1)


def test_an_event_before_the_recording_begins_is_false_and_does_not_count_as_heard():
    events = judge([heard("bark", ["bark"], events=[("bark", -0.5)])], LABELS, LABELS[1:]).events
    assert (events.labels[0].heard, events.labels[0].false.count) == (0, 1)


def test_nothing_is_reported_sooner_than_its_sound_began():
    events = judge([heard("bark", ["bark"], events=[("bark", 0.5)], sound_at_s=2.0)], LABELS, LABELS[1:]).events
    assert events.labels[0].late_s == (0.0,)


def test_without_recordings_of_background_false_events_are_those_in_recordings_of_others():
    recordings = [heard("bark", ["bark"]), heard("cry", ["cry"], events=[("bark", 1.0)])]
    bark, _ = judge(recordings, LABELS, LABELS[1:]).events.labels
    assert (bark.false.count, bark.false.hours) == (1, pytest.approx(0.01))


# Wilson 1927 and Garwood 1936, as published tables give them.
def test_a_share_has_wilson_s_interval():
    interval = EventFigures("bark", 40, 38, (), Rate(0, 1.0), 0).interval
    assert (interval.low, interval.high) == (pytest.approx(0.835, abs=1e-3), pytest.approx(0.986, abs=1e-3))


@pytest.mark.parametrize(("count", "low", "high"), [(0, 0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39)])
def test_a_rate_has_poisson_s_interval(count, low, high):
    interval = Rate(count, 2.0).interval
    assert (interval.low, interval.high) == (pytest.approx(low / 2, abs=1e-3), pytest.approx(high / 2, abs=1e-3))


def test_the_median_s_interval_is_that_of_the_order_of_what_was_seen():
    late = EventFigures("bark", 10, 10, tuple(float(n) for n in range(1, 11)), Rate(0, 1.0), 0).late_interval
    assert (late.low, late.high) == (2.0, 9.0)


def test_a_judgement_without_a_label_that_makes_events_has_figures_of_windows_only():
    judged = judge([heard("bark", ["bark"])], LABELS, ())
    assert judged.events.labels == ()
    assert "no label makes events" in text(judged, "title")


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
    assert figures["events"]["bark"]["late_s"] is None
    assert figures["events"]["bark"]["late_s_between"] == [None, None]
    assert figures["background"]["per_hour"] is None
