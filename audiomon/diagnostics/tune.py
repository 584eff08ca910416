"""What other thresholds would have given: the scores that the journal has, decided once more as the daemon decides.

The scores are those that were written, by default the twenty highest of each window; the others count as 0.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from audiomon.config import DecisionRules, Threshold
from audiomon.diagnostics.journal_entries import UNREADABLE, Entry
from audiomon.errors import UserError
from audiomon.foreign import shown
from audiomon.pipeline.decisions import DecisionStage, Transition

LEVELS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
# A stream that was silent for so long has ended, and another has begun.
_MAX_GAP_S = 60.0
# Less of what the summaries count than this is a journal that was asked for less.
_MIN_WRITTEN = 0.9


@dataclass(slots=True)
class Given:
    """What one threshold gave of one label.

    Attributes:
        events: how often it turned on.
        on_s: for how long it was on, in seconds.
    """

    events: int = 0
    on_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Tuned:
    """What every threshold gave.

    Attributes:
        now: by label, with the rules in force.
        at: by label, for each of `LEVELS`.
        predictions: how many were decided on.
        hours: how long they took.
        others: predictions that were left out, since another model made them or they cannot be read.
    """

    now: Mapping[str, Given]
    at: Mapping[str, tuple[Given, ...]]
    predictions: int
    hours: float
    others: int


def threshold_at(level: float, rule: Threshold) -> Threshold:
    """Return a label's threshold with another ``on``, and an ``off`` as far below it in proportion."""
    return msgspec.structs.replace(rule, on=level, off=round(rule.off * level / rule.on, 2) if rule.on else 0.0)


def tune(entries: Iterable[Entry], model: str, labels: tuple[str, ...], rules: DecisionRules) -> Tuned:
    """Decide on the predictions of one listener with other thresholds.

    Args:
        entries: oldest first.
        model: name of the model whose predictions count.
        labels: its labels.
        rules: in force.

    Raises:
        UserError: there are too few predictions to say anything.
    """
    trials = [_Trial(labels, rules)]
    for level in LEVELS:
        thresholds = {label: threshold_at(level, rule) for label, rule in rules.thresholds.items()}
        trials.append(_Trial(labels, msgspec.structs.replace(rules, thresholds=thresholds)))
    places = {label: place for place, label in enumerate(labels)}
    predictions = others = promised = 0
    heard_s = 0.0
    last_s: float | None = None
    for entry in entries:
        try:
            if entry.kind == "summary":
                promised += int(entry.number("predictions"))
            if entry.kind != "prediction":
                continue
            if entry.fields["model"] != model:
                others += 1
                continue
            scores = _scores(entry.fields["scores"], places)
        except UNREADABLE:
            others += entry.kind == "prediction"
            continue
        elapsed_s = 0.0 if last_s is None else entry.time_s - last_s
        if last_s is not None and not 0 <= elapsed_s <= _MAX_GAP_S:
            for trial in trials:
                trial.end(last_s)
            elapsed_s = 0.0
        last_s = entry.time_s
        heard_s += elapsed_s
        predictions += 1
        for trial in trials:
            trial.update(scores, last_s, elapsed_s)
    if predictions < _MIN_WRITTEN * promised - others or not predictions:
        raise UserError(
            f"the journal has the scores of {predictions} of about {max(promised, predictions)} predictions of "
            f"{shown(model)}: set `predictions: every` below `journal:`, listen for an evening, and ask again"
        )
    for trial in trials:
        trial.end(last_s or 0.0)
    now, *at = (trial.given for trial in trials)
    return Tuned(
        now=now,
        at={label: tuple(one[label] for one in at) for label in rules.thresholds},
        predictions=predictions,
        hours=heard_s / 3600,
        others=others,
    )


def steady_level(given: Sequence[Given]) -> float | None:
    """Return the level around which the number of events changes least; None where no level gave any.

    Scores that are clearly high and clearly low leave a wide range of thresholds between them that give the same.
    """
    runs: list[list[int]] = []
    for place, one in enumerate(given):
        if not one.events:
            continue
        if runs and runs[-1][-1] == place - 1 and given[runs[-1][-1]].events == one.events:
            runs[-1].append(place)
        else:
            runs.append([place])
    if not runs:
        return None
    widest = max(runs, key=len)
    return LEVELS[widest[len(widest) // 2]]


class _Trial:
    """Counts what some rules give."""

    def __init__(self, labels: tuple[str, ...], rules: DecisionRules) -> None:
        self.given = {label: Given() for label in rules.thresholds}
        self._labels, self._rules = labels, rules
        self._stage = DecisionStage(labels, rules)

    def update(self, scores: "np.ndarray[tuple[int], np.dtype[np.float32]]", at_s: float, elapsed_s: float) -> None:
        self._count(self._stage.update(scores, at_s, elapsed_s))

    def end(self, at_s: float) -> None:
        self._count(self._stage.switch_off(at_s))
        self._stage = DecisionStage(self._labels, self._rules)

    def _count(self, transitions: Iterable[Transition]) -> None:
        for change in transitions:
            given = self.given[change.label]
            given.events += change.state == "on"
            given.on_s += change.duration_s


def _scores(text: str, places: Mapping[str, int]) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    scores = np.zeros(len(places), np.float32)
    for label, score in msgspec.json.decode(text, type=dict[str, float]).items():
        scores[places[label]] = score
    return scores
