"""From scores to events, by arithmetic: smoothing, hysteresis, and how long a score must stay."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomon.config import DecisionRules, Threshold
from audiomon.pipeline.decisions import DecisionStage, Transition

HOP_S = 0.5


def stage(threshold: Threshold, smoothing_s: float = 0.0) -> DecisionStage:
    return DecisionStage(("speech",), DecisionRules(smoothing_s, {"speech": threshold}))


def play(decisions: DecisionStage, scores: list[float], hop_s: float = HOP_S) -> list[tuple[int, Transition]]:
    """Feed one score per hop; what changed, and at which of them."""
    changes = []
    for index, score in enumerate(scores):
        changed = decisions.update(np.array([score], np.float32), (index + 1) * hop_s, hop_s)
        changes += [(index, change) for change in changed]
    return changes


def states(changes: list[tuple[int, Transition]]) -> list[tuple[int, str]]:
    return [(index, change.state) for index, change in changes]


def test_a_label_turns_on_when_its_score_reaches_on_and_off_when_it_falls_below_off():
    decisions = stage(Threshold(on=0.75, off=0.25, min_on_s=0, min_off_s=0))
    changes = play(decisions, [0.7, 0.74, 0.75, 0.5, 0.25, 0.24, 0.7, 0.75])
    assert states(changes) == [(2, "on"), (5, "off"), (7, "on")]
    assert changes[0][1] == Transition("speech", "on", 0.75, 0.0)
    assert changes[1][1].duration_s == 3 * HOP_S
    assert decisions.active == ("speech",)


def test_ten_thousand_labels_are_followed_across_a_change_of_rules_label_by_label():
    labels = tuple(f"label {number}" for number in range(10_000))
    rules = DecisionRules(0.0, dict.fromkeys(labels, Threshold(on=0.5, off=0.5, min_off_s=0)))
    decisions = DecisionStage(labels, rules)
    scores = np.zeros(10_000, np.float32)
    scores[[17, 9999]] = 0.9
    assert [change.label for change in decisions.update(scores, 1.0, 1.0)] == ["label 17", "label 9999"]
    turned = decisions.continued(labels[::-1], DecisionRules(0.0, dict.fromkeys(labels, Threshold(0.6, 0.5))))
    assert turned.active == ("label 9999", "label 17")


def test_between_the_thresholds_nothing_changes():
    decisions = stage(Threshold(on=0.75, off=0.25, min_on_s=0, min_off_s=0))
    assert states(play(decisions, [0.5] * 10 + [0.8] + [0.5] * 10)) == [(10, "on")]


@pytest.mark.parametrize(("min_on_s", "turns_on_at"), [(0, 2), (0.5, 3), (1.0, 4), (1.1, 5), (1.5, 5)])
def test_a_score_must_stay_for_as_long_as_min_on_says(min_on_s, turns_on_at):
    decisions = stage(Threshold(on=0.6, off=0.4, min_on_s=min_on_s, min_off_s=0))
    assert states(play(decisions, [0.1, 0.1, *[0.9] * 10]))[0] == (turns_on_at, "on")


def test_a_score_that_falls_back_begins_its_minimum_anew():
    decisions = stage(Threshold(on=0.6, off=0.4, min_on_s=1.0, min_off_s=0))
    assert states(play(decisions, [0.9, 0.9, 0.59, 0.9, 0.9, 0.9])) == [(5, "on")]


@pytest.mark.parametrize(("min_off_s", "turns_off_at"), [(0, 2), (0.5, 3), (1.0, 4), (1.2, 5)])
def test_a_score_must_stay_low_for_as_long_as_min_off_says(min_off_s, turns_off_at):
    decisions = stage(Threshold(on=0.6, off=0.4, min_on_s=0, min_off_s=min_off_s))
    changes = play(decisions, [0.9, 0.9, *[0.1] * 10])
    assert states(changes) == [(0, "on"), (turns_off_at, "off")]
    assert changes[1][1].duration_s == pytest.approx(turns_off_at * HOP_S)


def test_a_short_dip_does_not_turn_a_label_off():
    decisions = stage(Threshold(on=0.6, off=0.4, min_on_s=0, min_off_s=1.0))
    assert states(play(decisions, [0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1])) == [(0, "on"), (6, "off")]


def test_a_minimum_of_a_whole_number_of_hops_ends_with_the_last_of_them_however_late_in_the_day():
    # Stream times of 1/3 s steps are rounded sums; after a day they are off by picoseconds, not by a hop.
    decisions = stage(Threshold(on=0.6, off=0.4, min_on_s=1.0, min_off_s=0))
    for index in range(300_000, 300_010):
        changed = decisions.update(np.array([0.9], np.float32), index / 3, 1 / 3)
        assert [change.state for change in changed] == (["on"] if index == 300_003 else [])


def test_smoothing_follows_a_step_as_an_exponential():
    decisions = stage(Threshold(on=0.6, off=0.4, min_on_s=0, min_off_s=0), smoothing_s=2.0)
    changes = play(decisions, [1.0] * 10 + [0.0] * 10)
    # 1 - exp(-t/2) reaches 0.6 after 1.83 s, so at t = 2.0 s; from 1 - exp(-5/2) it falls below 0.4 in 1.66 s.
    assert states(changes) == [(3, "on"), (13, "off")]
    assert changes[0][1].score == pytest.approx(1 - math.exp(-1.0))
    assert changes[1][1].score == pytest.approx((1 - math.exp(-2.5)) * math.exp(-1.0))


@pytest.mark.parametrize("hop_s", [0.1, 0.25, 0.5, 1.0])
def test_another_hop_does_not_change_what_smoothing_means(hop_s):
    decisions = stage(Threshold(on=0.5, off=0.1), smoothing_s=3.0)
    ((index, change),) = play(decisions, [1.0] * int(4 / hop_s), hop_s)
    crossing_s = 3.0 * math.log(2)
    assert crossing_s <= (index + 1) * hop_s < crossing_s + hop_s
    assert change.score == pytest.approx(1 - math.exp(-(index + 1) * hop_s / 3.0))


def test_after_a_gap_the_past_weighs_as_little_as_its_age_says():
    decisions = stage(Threshold(on=0.6, off=0.4, min_on_s=0, min_off_s=0), smoothing_s=1.0)
    decisions.update(np.array([0.2], np.float32), 100.0, 100.0)
    (change,) = decisions.update(np.array([1.0], np.float32), 110.0, 10.0)
    assert change.score == pytest.approx(1.0 + math.exp(-10) * (0.2 - 1.0))


def test_labels_are_decided_each_by_itself_and_told_in_their_order():
    rules = DecisionRules(
        0.0, {"dog": Threshold(0.3, 0.2, 0, 0), "cry": Threshold(0.6, 0.5, 0.5, 0), "bird": Threshold(0.6, 0.5, 0, 0)}
    )
    decisions = DecisionStage(("cry", "background", "dog", "bird"), rules)

    def update(at_s: float, *scores: float) -> list[tuple[str, str]]:
        return [(c.label, c.state) for c in decisions.update(np.array(scores, np.float32), at_s, HOP_S)]

    assert update(0.5, 0.9, 1.0, 0.9, 0.7) == [("dog", "on"), ("bird", "on")]
    assert update(1.0, 0.9, 1.0, 0.9, 0.0) == [("cry", "on"), ("bird", "off")]
    assert decisions.active == ("cry", "dog")
    assert update(1.5, 0.0, 1.0, 0.0, 0.0) == [("cry", "off"), ("dog", "off")]
    assert decisions.active == ()


def test_a_label_without_thresholds_makes_no_events():
    decisions = DecisionStage(("background",), DecisionRules(0.0, {}))
    assert play(decisions, [1.0, 0.0] * 5) == []


scores = st.lists(st.integers(0, 20).map(lambda n: n / 20), max_size=60)
thresholds = st.builds(
    lambda levels, min_on, min_off: Threshold(max(levels) / 20, min(levels) / 20, min_on * HOP_S, min_off * HOP_S),
    st.tuples(st.integers(0, 20), st.integers(0, 20)),
    st.integers(0, 4),
    st.integers(0, 4),
)


def expected_states(scores: list[float], threshold: Threshold) -> list[tuple[int, str]]:
    """The same in another way: look back over the last scores at every step, since the last change."""
    found: list[tuple[int, str]] = []
    since = 0
    for index in range(len(scores)):
        on = bool(found) and found[-1][1] == "on"
        needed = 1 + round((threshold.min_off_s if on else threshold.min_on_s) / HOP_S)
        last = [float(np.float32(score)) for score in scores[max(since, index + 1 - needed) : index + 1]]
        if len(last) == needed and all((s < threshold.off) if on else (s >= threshold.on) for s in last):
            found.append((index, "off" if on else "on"))
            since = index + 1
    return found


@settings(max_examples=300, derandomize=True, deadline=None)
@given(scores=scores, threshold=thresholds)
def test_without_smoothing_a_plain_look_back_decides_the_same(scores, threshold):
    assert states(play(stage(threshold), scores)) == expected_states(scores, threshold)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(scores=scores, threshold=thresholds, smoothing_s=st.sampled_from([0.0, 0.3, 1.0, 10.0]))
def test_no_label_is_on_that_never_reached_on_and_changes_alternate(scores, threshold, smoothing_s):
    changes = play(stage(threshold, smoothing_s), scores)
    assert [change.state for _, change in changes] == ["on", "off"] * (len(changes) // 2) + ["on"] * (len(changes) % 2)
    for index, change in changes:
        if change.state == "on":
            assert change.score >= threshold.on
            assert index * HOP_S >= threshold.min_on_s - 1e-9
            assert change.duration_s == 0
        else:
            assert change.score < threshold.off
            assert change.duration_s >= HOP_S
