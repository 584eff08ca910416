"""Events as spans of time: an entry that says a label turned on, and the one that says it turned off, made one."""

from collections.abc import Iterator
from dataclasses import dataclass

from audiomon.diagnostics.journal_entries import UNREADABLE, Entry, Host

# More models and events at a time than there are; what a stranger's journal files make up is not kept.
_MAX_KEPT = 100_000
# Entries with which everything that is on ends, whether its end was written or not.
_ENDS = ("listening", "stopped", "failed")


@dataclass(frozen=True, slots=True)
class EventSpan:
    """A label that was on.

    Attributes:
        host: the machine that heard it.
        instance: of audiomon there.
        begin_s: when it turned on, in seconds since 1970-01-01 UTC.
        label: which.
        score: with which it turned on, smoothed, from 0 to 1; None where that entry is missing.
        duration_s: how long it was on, in seconds; None where that entry is missing.
        model: name of the model that heard it.
        model_sha256: fingerprint of it; None where no entry before says it.
    """

    host: Host
    instance: str
    begin_s: float
    label: str
    score: float | None
    duration_s: float | None
    model: str
    model_sha256: str | None


class EventSpans:
    """Makes spans of entries as they come, of any number of machines. What cannot be read is left out."""

    def __init__(self) -> None:
        self._on: dict[tuple[Host, str, str], EventSpan] = {}
        self._models: dict[tuple[Host, str], tuple[str, str]] = {}

    def take(self, entry: Entry) -> Iterator[EventSpan]:
        """Take an entry in, and return the events that are over with it."""
        fields = entry.fields
        instance = fields.get("instance", "")
        listener = entry.host, instance
        if (sha256 := fields.get("model_sha256")) and len(self._models) < _MAX_KEPT:
            self._models[listener] = fields.get("model", ""), sha256
        if entry.kind in _ENDS:
            for key in [key for key in self._on if key[:2] == listener]:
                yield self._on.pop(key)
        elif entry.kind in ("event-on", "event-off"):
            try:
                yield from self._turn(entry, instance)
            except UNREADABLE:
                return

    def rest(self) -> Iterator[EventSpan]:
        """Return the events whose end has not come."""
        yield from self._on.values()
        self._on.clear()

    def _turn(self, entry: Entry, instance: str) -> Iterator[EventSpan]:
        label, model = entry.fields["label"], entry.fields.get("model", "")
        score, duration_s = entry.number("score"), entry.number("duration_s")
        known, sha256 = self._models.get((entry.host, instance), ("", ""))
        key = entry.host, instance, label
        before = self._on.pop(key, None)
        if entry.kind == "event-on":
            if before:
                yield before
            span = EventSpan(
                entry.host, instance, entry.time_s, label, score, None, model, sha256 if model == known else None
            )
            if len(self._on) < _MAX_KEPT:
                self._on[key] = span
        elif before:
            yield EventSpan(
                before.host, instance, before.begin_s, label, before.score, duration_s, before.model,
                before.model_sha256,
            )  # fmt: skip
        else:
            yield EventSpan(
                entry.host, instance, entry.time_s - duration_s, label, None, duration_s, model,
                sha256 if model == known else None,
            )  # fmt: skip
