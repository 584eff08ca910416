"""What a user notices of a model: which recordings it reports, how late, and what it reports that is not there.

Counts the events of the decision stage, and says how sure each figure is. It looks at no window.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audiomon.lab.evaluate.hearing import HeardSound

_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure lies with 95 % confidence, if what was judged was drawn by chance; NaN where nothing says so."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happens.

    Attributes:
        count: times.
        hours: that were listened to.
    """

    count: int
    hours: float

    @property
    def per_hour(self) -> float:
        """Times an hour; NaN without any time."""
        return self.count / self.hours if self.hours else float("nan")

    @property
    def interval(self) -> Interval:
        """Of `per_hour`: Poisson's exact interval (Garwood 1936)."""
        from scipy.stats import chi2

        if not self.hours:
            return Interval(float("nan"), float("nan"))
        outside = (1 - _CONFIDENCE) / 2
        low = chi2.ppf(outside, 2 * self.count) / 2 if self.count else 0.0
        return Interval(float(low) / self.hours, float(chi2.ppf(1 - outside, 2 * self.count + 2)) / 2 / self.hours)


@dataclass(frozen=True, slots=True)
class EventFigures:
    """What a user notices of one label that makes events.

    Attributes:
        label: which.
        recordings: of it.
        heard: recordings with an event of it.
        late_s: from where a recording's sound begins to its event, of those that were heard, in order.
        false: its events in recordings of background; where there are none, in those of all other labels.
        mistaken: its events in recordings of other labels that make events.
    """

    label: str
    recordings: int
    heard: int
    late_s: tuple[float, ...]
    false: Rate
    mistaken: int

    @property
    def missed(self) -> int:
        """Recordings without an event of their label."""
        return self.recordings - self.heard

    @property
    def share(self) -> float:
        """Of the recordings, those that were heard; NaN of none."""
        return self.heard / self.recordings if self.recordings else float("nan")

    @property
    def interval(self) -> Interval:
        """Of `share`: Wilson's."""
        from scipy.stats import binomtest

        if not self.recordings:
            return Interval(float("nan"), float("nan"))
        found = binomtest(self.heard, self.recordings).proportion_ci(_CONFIDENCE, "wilson")
        return Interval(float(found.low), float(found.high))

    @property
    def median_late_s(self) -> float:
        """Half of the events come within this; NaN without any."""
        return float(np.median(self.late_s)) if self.late_s else float("nan")

    @property
    def late_interval(self) -> Interval:
        """Of `median_late_s`: by order, whatever the distribution."""
        from scipy.stats import binom

        count = len(self.late_s)
        if not count:
            return Interval(float("nan"), float("nan"))
        low, high = binom.interval(_CONFIDENCE, count, 0.5)
        return Interval(self.late_s[max(0, int(low) - 1)], self.late_s[min(count - 1, int(high))])


@dataclass(frozen=True, slots=True)
class Events:
    """What a user notices of a model.

    Attributes:
        labels: figures of each label that makes events, in the model's order.
        background: all events in recordings of labels that make none; of no time where there are no such recordings.
    """

    labels: tuple[EventFigures, ...]
    background: Rate


def count_events(heard: Sequence[HeardSound], labels: tuple[str, ...], event_labels: Sequence[str]) -> Events:
    """Count events.

    Args:
        heard: recordings, and the events that they led to.
        labels: of the model.
        event_labels: those that make events.
    """
    quiet = [one for one in heard if one.sound.label not in event_labels]
    figures = []
    for label in labels:
        if label not in event_labels:
            continue
        own = [one for one in heard if one.sound.label == label]
        others = [one for one in heard if one.sound.label != label]
        first = [_first_s(one, label) for one in own]
        figures.append(
            EventFigures(
                label,
                len(own),
                sum(at_s is not None for at_s in first),
                tuple(sorted(at_s for at_s in first if at_s is not None)),
                # An event before the recording begins is of the quiet room.
                Rate(_count(quiet or others, label) + sum(_early(one, label) for one in own), _hours(quiet or others)),
                _count([one for one in others if one.sound.label in event_labels], label),
            )
        )
    return Events(tuple(figures), Rate(sum(len(one.events) for one in quiet), _hours(quiet)))


def _first_s(heard: HeardSound, label: str) -> float | None:
    """Return how long after its sound begins a recording is reported; None if it is not."""
    times = [event.at_s for event in heard.events if event.label == label and event.at_s >= 0]
    return max(0.0, times[0] - heard.sound_at_s) if times else None


def _early(heard: HeardSound, label: str) -> int:
    return sum(event.label == label and event.at_s < 0 for event in heard.events)


def _count(heard: Sequence[HeardSound], label: str) -> int:
    return sum(event.label == label for one in heard for event in one.events)


def _hours(heard: Sequence[HeardSound]) -> float:
    return sum(one.heard_s for one in heard) / 3600
