"""From scores to events: smoothing, and on and off with hysteresis and minimum durations, for every label by itself."""

import math
from collections.abc import Collection
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.config import DecisionRules

Float64 = NDArray[np.float64]


class Transition(msgspec.Struct, frozen=True, gc=False):
    """A label's change.

    Attributes:
        label: which.
        state: what it is now.
        score: smoothed, from 0 to 1.
        duration_s: how long it was on, when it turned off; else 0.
    """

    label: str
    state: Literal["on", "off"]
    score: float
    duration_s: float


class DecisionStage:
    """Watches the scores of one stream.

    Smoothing is exponential, s ← s + (1 - exp(-Δt/τ))·(x - s), with Δt the stream time since the window before, so that
    a gap or another hop does not change its meaning. It starts from 0: nothing has been heard yet.

    Args:
        labels: in the scores' order.
        rules: thresholds; labels without any make no events.
    """

    def __init__(self, labels: tuple[str, ...], rules: DecisionRules) -> None:
        self.labels = labels
        self.rules = rules
        never = float("inf")
        chosen = [rules.thresholds.get(label) for label in labels]
        self._on: Float64 = np.array([never if rule is None else rule.on for rule in chosen])
        self._off: Float64 = np.array([-never if rule is None else rule.off for rule in chosen])
        self._min_on_s: Float64 = np.array([0.0 if rule is None else rule.min_on_s for rule in chosen])
        self._min_off_s: Float64 = np.array([0.0 if rule is None else rule.min_off_s for rule in chosen])
        self._smoothed: Float64 = np.zeros(len(labels))
        self._step: Float64 = np.empty(len(labels))
        self._active = np.zeros(len(labels), dtype=bool)
        # What a smoothed score is compared with: `on` while the label is off, `off` while it is on. A label whose score
        # is on the other side of it than its state says has crossed it.
        self._threshold: Float64 = self._on.copy()
        self._above = np.empty(len(labels), dtype=bool)
        # Stream time at which a label's score crossed the threshold that would change it; NaN while it has not.
        self._crossed_s: Float64 = np.full(len(labels), np.nan)
        self._active_since_s: Float64 = np.full(len(labels), np.nan)
        self._any_crossed = False

    @property
    def active(self) -> tuple[str, ...]:
        """Labels that are on."""
        return tuple(self.labels[index] for index in np.flatnonzero(self._active))

    def continued(self, labels: tuple[str, ...], rules: DecisionRules) -> "DecisionStage":
        """Make a stage with other labels or rules that remembers what this one knows of the labels they share.

        A label that is on here and has no rule there is forgotten: `switch_off` it first.
        """
        if labels == self.labels and rules == self.rules:
            return self
        stage = DecisionStage(labels, rules)
        places = {label: place for place, label in enumerate(self.labels)}
        for index, label in enumerate(labels):
            if label in places and label in rules.thresholds:
                before = places[label]
                stage._smoothed[index] = self._smoothed[before]
                stage._active[index] = self._active[before]
                stage._active_since_s[index] = self._active_since_s[before]
        stage._threshold = np.where(stage._active, stage._off, stage._on)
        return stage

    def switch_off(self, at_s: float, keep: Collection[str] = ()) -> list[Transition]:
        """Turn off whatever is on, because the stream or the model that said so has ended.

        Args:
            at_s: stream time.
            keep: labels to leave as they are.
        """
        indices = [int(index) for index in np.flatnonzero(self._active) if self.labels[index] not in keep]
        return [self._change(index, at_s) for index in indices]

    def update(self, scores: NDArray[np.float32], at_s: float, elapsed_s: float) -> list[Transition]:
        """Take in one window's scores.

        Args:
            scores: float32, shape (labels,).
            at_s: stream time of the window's end, in seconds.
            elapsed_s: stream time since the window before, in seconds.

        Returns:
            The labels that changed, in label order; usually none.
        """
        tau_s = self.rules.smoothing_s
        weight = 1.0 if tau_s == 0 else -math.expm1(-elapsed_s / tau_s)
        np.subtract(scores, self._smoothed, out=self._step)
        np.multiply(self._step, weight, out=self._step)
        np.add(self._smoothed, self._step, out=self._smoothed)
        np.greater_equal(self._smoothed, self._threshold, out=self._above)
        # Almost every window ends here, after few and small steps: the caches are cold when it comes.
        if self._above.tobytes() == self._active.tobytes():
            if self._any_crossed:
                self._crossed_s.fill(np.nan)
                self._any_crossed = False
            return []
        self._any_crossed = True
        crossed = self._above != self._active
        self._crossed_s[~crossed] = np.nan
        first = crossed & np.isnan(self._crossed_s)
        self._crossed_s[first] = at_s
        hold_s = np.where(self._active, self._min_off_s, self._min_on_s)
        # A nanosecond of slack: at_s is a rounded sum, and a hold of exactly two hops must end after two.
        due = np.flatnonzero(crossed & (at_s - self._crossed_s >= hold_s - 1e-9))
        return [self._change(int(index), at_s) for index in due]

    def _change(self, index: int, at_s: float) -> Transition:
        self._crossed_s[index] = np.nan
        self._active[index] = not self._active[index]
        self._threshold[index] = self._off[index] if self._active[index] else self._on[index]
        if self._active[index]:
            self._active_since_s[index] = at_s
            return Transition(self.labels[index], "on", float(self._smoothed[index]), 0.0)
        duration_s = float(at_s - self._active_since_s[index])
        return Transition(self.labels[index], "off", float(self._smoothed[index]), duration_s)
