"""Thresholds chosen by what they would have made of recordings: as many heard as a number of false events allows.

Works on scores that were heard already, through the decision stage that listens. A threshold is never judged on what it
was chosen on: each fold gets those of the other folds, and the package those of all.
"""

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.config import DecisionRules, Decisions, Threshold, decision_rules
from audiomon.config.decisions import LabelDecisions
from audiomon.lab.evaluate.hearing import ROOM_S, HeardEvent, HeardSound
from audiomon.pipeline.decisions import DecisionStage

_CANDIDATES = tuple(round(0.3 + 0.02 * step, 2) for step in range(35))
# A label turns off at this part of what it turns on at, if the decisions do not say so earlier.
_OFF_PART = 0.5


def chosen_decisions(
    heard: Sequence[HeardSound], labels: tuple[str, ...], decisions: Decisions, false_events_per_hour: float
) -> Decisions:
    """Choose each label's threshold.

    Args:
        heard: recordings and scores.
        labels: of the model.
        decisions: what holds but for the thresholds.
        false_events_per_hour: that a label may raise in recordings of others, at most. Where no threshold does as well,
            the highest one is taken.

    Returns:
        The decisions, with thresholds for each label that makes events.
    """
    rules = decision_rules(labels, decisions, Decisions())
    entries = dict(decisions.labels)
    for label, threshold in rules.thresholds.items():
        on = _chosen_on(heard, labels, label, threshold, rules.smoothing_s, false_events_per_hour)
        entries[label] = LabelDecisions(on=on, off=round(min(threshold.off, on * _OFF_PART), 3))
    return msgspec.structs.replace(decisions, labels=entries)


def decided_again(heard: HeardSound, labels: tuple[str, ...], rules: DecisionRules) -> HeardSound:
    """Return what was heard with the events that other rules make of its scores."""
    events = tuple(HeardEvent(label, at_s) for label, at_s in _events(heard, labels, rules, heard.scores))
    return replace(heard, events=events)


def _chosen_on(
    heard: Sequence[HeardSound],
    labels: tuple[str, ...],
    label: str,
    threshold: Threshold,
    smoothing_s: float,
    false_events_per_hour: float,
) -> float:
    names = tuple(str(on) for on in _CANDIDATES)
    rules = DecisionRules(
        smoothing_s,
        {
            name: Threshold(on, min(threshold.off, on * _OFF_PART), threshold.min_on_s, threshold.min_off_s)
            for name, on in zip(names, _CANDIDATES, strict=True)
        },
    )
    column = labels.index(label)
    recognised = np.zeros(len(names), dtype=int)
    false = np.zeros(len(names), dtype=int)
    hours = 0.0
    for one in heard:
        scores = np.repeat(one.scores[:, column : column + 1], len(names), axis=1)
        counts = np.zeros(len(names), dtype=int)
        for name, _ in _events(one, names, rules, scores):
            counts[names.index(name)] += 1
        if one.sound.label == label:
            recognised += counts > 0
        else:
            false += counts
            hours += one.heard_s / 3600
    allowed = np.flatnonzero(false <= false_events_per_hour * hours)
    if not len(allowed):
        return _CANDIDATES[-1]
    best = allowed[recognised[allowed] == recognised[allowed].max()]
    # In the middle of those that are as good: the furthest from doing worse.
    return _CANDIDATES[int(best[len(best) // 2])]


def _events(
    heard: HeardSound, labels: tuple[str, ...], rules: DecisionRules, scores: NDArray[np.float32]
) -> list[tuple[str, float]]:
    stage = DecisionStage(labels, rules)
    events: list[tuple[str, float]] = []
    last_s = -ROOM_S
    for end_s, row in zip(heard.end_s, scores, strict=True):
        turned = stage.update(row, float(end_s) + ROOM_S, float(end_s) - last_s)
        events += [(change.label, float(end_s)) for change in turned if change.state == "on"]
        last_s = float(end_s)
    return events
