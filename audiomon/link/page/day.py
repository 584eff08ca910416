"""What a listener heard in the last 24 hours, as far as this process was there to hear of it. In memory only."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from audiomon.outputs.feed_protocol import EventLine, On

SPAN_S = 86_400
# A bar of the day is this wide.
SLOT_S = 900
SLOTS = SPAN_S // SLOT_S
# More than anybody scrolls through; the bars count all the same.
MAX_OCCURRENCES = 300


@dataclass(slots=True)
class Occurrence:
    """A label that was on, or is.

    Attributes:
        label: which.
        began_s: when it turned on, in seconds since 1970-01-01 UTC.
        score: smoothed, when it turned on.
        duration_s: how long it was on; None while it is.
    """

    label: str
    began_s: float
    score: float
    duration_s: float | None = None


class Day:
    """The last 24 hours of one listener.

    Args:
        now_s: seconds since 1970-01-01 UTC.

    Attributes:
        since_s: nothing from before is known.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.since_s = now_s()
        self._clock_s = now_s
        self._occurrences: deque[Occurrence] = deque(maxlen=MAX_OCCURRENCES)
        # How many labels turned on, by the number of the slot since 1970.
        self._slots: dict[int, int] = {}

    @property
    def now_s(self) -> float:
        """The time, in seconds since 1970-01-01 UTC."""
        return self._clock_s()

    def take(self, event: EventLine) -> Occurrence:
        """Take in an event, and return what it is part of."""
        at_s = seconds_of(event.time, self.now_s)
        if event.state == "on":
            return self._add(Occurrence(event.label, at_s, event.score))
        for occurrence in reversed(self._occurrences):
            if occurrence.label == event.label and occurrence.duration_s is None:
                occurrence.duration_s = event.duration_s
                return occurrence
        # It turned on before this process could hear of it.
        return self._add(Occurrence(event.label, at_s - event.duration_s, event.score, event.duration_s))

    def reconcile(self, on: dict[str, On]) -> None:
        """Put right what was missed: what a greeting says is on now, and what it does not name is over."""
        now_s = self.now_s
        open_labels = set()
        for occurrence in self._occurrences:
            if occurrence.duration_s is None and occurrence.label in on:
                open_labels.add(occurrence.label)
            elif occurrence.duration_s is None:
                occurrence.duration_s = max(0.0, now_s - occurrence.began_s)
        for label in on.keys() - open_labels:
            self._add(Occurrence(label, seconds_of(on[label].since, now_s), on[label].score))

    def occurrences(self) -> list[Occurrence]:
        """Return those of the last 24 hours, the oldest first."""
        begin_s = self.now_s - SPAN_S
        return [one for one in self._occurrences if one.began_s >= begin_s or one.duration_s is None]

    def bars(self) -> list[int]:
        """Return how many labels turned on in each quarter of an hour, the oldest first; the last is under way."""
        last = int(self.now_s // SLOT_S)
        return [self._slots.get(slot, 0) for slot in range(last - SLOTS + 1, last + 1)]

    def _add(self, occurrence: Occurrence) -> Occurrence:
        self._occurrences.append(occurrence)
        slot = int(occurrence.began_s // SLOT_S)
        oldest = int(self.now_s // SLOT_S) - SLOTS
        if slot > oldest:
            self._slots[slot] = self._slots.get(slot, 0) + 1
        for past in [known for known in self._slots if known <= oldest]:
            del self._slots[past]
        return occurrence


def seconds_of(time: str, otherwise_s: float) -> float:
    """Return an ISO 8601 time in seconds since 1970-01-01 UTC; ``otherwise_s`` if it is none."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError, OSError):
        return otherwise_s
