"""Thresholds are chosen for a number of false events, and never judged on what they were chosen on."""

from pathlib import Path

import numpy as np

from audiomon.config import Decisions, decision_rules
from audiomon.lab.evaluate.hearing import ROOM_S, HeardSound
from audiomon.lab.train.dataset import Sound
from audiomon.lab.train.thresholds import chosen_decisions, decided_again

LABELS = ("background", "bark")
PLAIN = Decisions(smoothing_s=0, off=0.4, deny=("background",))


def heard(label, bark):
    """A recording of 6 min, of which one window says how much of a bark it is."""
    scores = np.zeros((10, 2), dtype=np.float32)
    scores[5, 1] = bark
    return HeardSound(
        Sound(Path("x.wav"), "x.wav", label),
        duration_s=360.0,
        heard_s=360.0,
        end_s=np.arange(10) * 0.5 - ROOM_S + 0.5,
        scores=scores,
        counted=np.ones(10, dtype=bool),
        events=(),
        window_s=1.0,
    )


RECORDINGS = [
    *(heard("bark", score) for score in (0.9, 0.8, 0.55)),
    *(heard("background", score) for score in (0.7, 0.45, 0.2, 0.2, 0.2)),
]


def chosen(false_events_per_hour):
    return chosen_decisions(RECORDINGS, LABELS, PLAIN, false_events_per_hour).labels["bark"]


def test_the_threshold_hears_as_many_as_the_false_events_allow():
    assert 0.7 < chosen(1).on <= 0.8  # half an hour of background: none of its five may bark
    assert 0.45 < chosen(2).on <= 0.55
    assert chosen(2).off <= 0.4


def test_where_nothing_does_as_well_the_highest_threshold_is_taken():
    recordings = [heard("background", 1.0), heard("bark", 1.0)]
    assert chosen_decisions(recordings, LABELS, PLAIN, 1).labels["bark"].on == 0.98


def test_other_rules_make_other_events_of_the_same_scores():
    recording = heard("bark", 0.55)
    for on, count in ((0.5, 1), (0.6, 0)):
        rules = decision_rules(LABELS, Decisions(smoothing_s=0, on=on, off=0.4, deny=("background",)), Decisions())
        again = decided_again(recording, LABELS, rules)
        assert len(again.events) == count
        assert all(event.at_s == recording.end_s[5] for event in again.events)
