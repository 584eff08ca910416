"""What the journal says was heard: read back, and summed up.

Minute summaries say how much of each label was heard, whatever else was written; what no summary covers, the last
minute and that of a process that was killed, is put together from the predictions that were written. Events are counted
where they were written.
"""

import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from audiomon.errors import UserError
from audiomon.extras import install_systemd_python
from audiomon.outputs.message_ids import MESSAGE_IDS
from audiomon.pipeline.tally import Percentiles

LATENCIES = {"features_us": "features, µs", "inference_us": "inference, µs", "lag_ms": "lag, ms"}
# A prediction stands for the time until the next one, but never for more than the minute of a summary.
_MAX_HEARD_S = 60.0
# Predictions that no summary has covered yet: more than a minute has of them.
_MAX_UNCOVERED = 10_000
# Longer, or more of them, than audiomon writes.
_MAX_FIELD_BYTES = 1 << 20
_MAX_NAMES = 10_000
_KINDS = {message_id: kind for kind, message_id in MESSAGE_IDS.items()}
# What a field that is not what it should be makes of reading it.
_UNREADABLE = (ValueError, KeyError, OverflowError, msgspec.DecodeError)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of ours.

    Attributes:
        time_s: when journald took it, in seconds since 1970-01-01 UTC.
        kind: which of `MESSAGE_IDS`; empty if it cannot be read.
        fields: those whose names begin with ``AUDIOMON_``, without that, in lower case.
    """

    time_s: float
    kind: str
    fields: dict[str, str]

    def number(self, name: str) -> float:
        """Return a field as a number; 0 where it is missing.

        Raises:
            ValueError: it is no finite number.
        """
        number = float(self.fields.get(name) or 0)
        if not math.isfinite(number):
            raise ValueError(f"{name} is {number}")
        return number


@dataclass(slots=True)
class LabelHeard:
    """What was heard of one label.

    Attributes:
        predictions: how often it had the highest score.
        heard_s: for how long, in seconds.
        events: how often it turned on.
        on_s: for how long it was on, in seconds.
        longest_s: the longest of those.
    """

    predictions: int = 0
    heard_s: float = 0.0
    events: int = 0
    on_s: float = 0.0
    longest_s: float = 0.0


@dataclass(slots=True)
class Heard:
    """All that was heard.

    Attributes:
        begin_s: time of the first entry, in seconds since 1970-01-01 UTC.
        end_s: time of the last one.
        entries: how many there were.
        models: names of the models that listened.
        heard_s: seconds of audio.
        labels: by name.
        latencies: by name, in its own unit.
        latencies_of: how many predictions those are measured on; 0 if they are put together from the summaries, where
            50 % is the median of theirs, and the others the highest.
        levels_dbfs: lowest, median and highest level of a minute; None where there was none.
        gated: windows below the gate.
        saved_s: seconds of inference that the gate saved.
        lost: samples overwritten before they were classified, not captured while the microphone was reopened, or not
            delivered by it.
        away: how often the microphone was away.
        away_s: for how long, as far as it came back.
        swaps: changes of the model.
        refusals: changes of the configuration that were refused.
        starts: how often listening began.
        entries_lost: entries that journald did not take.
        unreadable: entries that are left out here, because a field is not what it should be.
    """

    begin_s: float = 0.0
    end_s: float = 0.0
    entries: int = 0
    models: list[str] = field(default_factory=list)
    heard_s: float = 0.0
    labels: dict[str, LabelHeard] = field(default_factory=dict)
    latencies: dict[str, Percentiles] = field(default_factory=dict)
    latencies_of: int = 0
    levels_dbfs: tuple[float, float, float] | None = None
    gated: int = 0
    saved_s: float = 0.0
    lost: int = 0
    away: int = 0
    away_s: float = 0.0
    swaps: int = 0
    refusals: int = 0
    starts: int = 0
    entries_lost: int = 0
    unreadable: int = 0


def read_entries(instance: str, since: datetime, until: datetime | None, folder: Path | None) -> Iterator[Entry]:
    """Read back what one listener's service wrote, oldest first.

    Any user may send journald an entry that looks like one of ours; which unit it came from journald says itself.

    Args:
        instance: which listener's.
        since: from when on; with a time zone.
        until: up to when; None for now.
        folder: of journal files copied from elsewhere; None for this machine's journal.

    Raises:
        UserError: systemd-python is not installed, or there are no entries.
    """
    try:
        from systemd import journal
    except ImportError:
        raise UserError(f"reading the journal needs systemd-python: {install_systemd_python()}") from None

    class RawReader(journal.Reader):  # type: ignore[misc]  # untyped
        # Every field of every entry is converted otherwise, most of them for nothing: 42 µs an entry instead of 15.
        def _convert_entry(self, entry: dict[str, Any]) -> dict[str, Any]:
            return entry

    try:
        reader: Any = RawReader(path=str(folder) if folder else None)
    except OSError as error:
        raise UserError(f"the journal cannot be read: {error.strerror}") from None
    for message_id in MESSAGE_IDS.values():
        reader.add_match(MESSAGE_ID=message_id)
    reader.add_match(AUDIOMON_INSTANCE=instance)
    reader.add_match(_SYSTEMD_UNIT=unit_of(instance))
    reader.seek_realtime(since)
    found = False
    for entry in reader:
        time_s = entry["__REALTIME_TIMESTAMP"] / 1e6
        if until is not None and time_s > until.timestamp():
            break
        found = True
        yield entry_of(time_s, entry)
    if not found:
        raise UserError(_nothing_found(reader, instance))


def unit_of(instance: str) -> str:
    """Return the systemd unit that an instance runs as."""
    return "audiomon.service" if instance == "audiomon" else f"audiomon@{instance}.service"


def entry_of(time_s: float, raw: Mapping[str, Any]) -> Entry:
    """Make an entry of what the journal has: bytes, or a list of them where a field was given more than once.

    Args:
        time_s: when journald took it, in seconds since 1970-01-01 UTC.
        raw: its fields.

    Returns:
        The entry; of no kind and without fields if it is none of ours or one that audiomon would not write.
    """
    fields: dict[str, str] = {}
    try:
        kind = _KINDS[_text(raw["MESSAGE_ID"])]
        for name, value in raw.items():
            if name.startswith("AUDIOMON_"):
                fields[name[9:].lower()] = _text(value)
    except _UNREADABLE:
        return Entry(time_s, "", {})
    return Entry(time_s, kind, fields)


def _text(value: object) -> str:
    if not isinstance(value, bytes) or len(value) > _MAX_FIELD_BYTES:
        raise ValueError("not one text of a reasonable length")
    return value.decode()


def _nothing_found(reader: Any, instance: str) -> str:
    others = sorted(set(reader.query_unique("AUDIOMON_INSTANCE")) - {instance})
    if others:
        return f"the journal has nothing of the instance {instance!r} from that time; it knows: {', '.join(others)}"
    return (
        "the journal has no entries of audiomon that you may read; with sudo, or in the group systemd-journal, "
        "you may read all"
    )


def summarise(entries: Iterable[Entry]) -> Heard:
    """Sum entries up, each as it comes: what is kept does not grow with how many there are."""
    summing = _Summing()
    for entry in entries:
        summing.add(entry)
    return summing.result()


class _Summing:
    """What has been heard up to the entry added last."""

    def __init__(self) -> None:
        self._heard = Heard()
        self._levels: Counter[float] = Counter()
        self._measured = {name: Counter[float]() for name in LATENCIES}
        self._medians = {name: Counter[float]() for name in LATENCIES}
        self._highest = {name: [0.0, 0.0, 0.0] for name in LATENCIES}
        self._uncovered: deque[tuple[float, str]] = deque()
        self._models: dict[str, None] = {}

    def add(self, entry: Entry) -> None:
        """Take one in, or count it as unreadable."""
        heard = self._heard
        heard.begin_s = heard.begin_s or entry.time_s
        heard.end_s = entry.time_s
        heard.entries += 1
        try:
            match entry.kind:
                case "prediction":
                    self._add_prediction(entry)
                case "event-on":
                    self._label(entry.fields["label"]).events += 1
                case "event-off":
                    duration_s = entry.number("duration_s")
                    label = self._label(entry.fields["label"])
                    label.on_s += duration_s
                    label.longest_s = max(label.longest_s, duration_s)
                case "summary":
                    self._add_minute(entry)
                case "":
                    raise ValueError("no entry of ours")
                case _:
                    _add_incident(heard, entry)
        except _UNREADABLE:
            heard.unreadable += 1
            return
        if (model := entry.fields.get("model")) and len(self._models) < _MAX_NAMES:
            self._models[model] = None

    def result(self) -> Heard:
        """Return the sums."""
        heard = self._heard
        while len(self._uncovered) > 1:
            self._add_oldest()
        heard.models = list(self._models)
        heard.latencies_of = self._measured["lag_ms"].total()
        heard.latencies = {
            name: Percentiles(*_quantiles(values, (0.5, 0.95, 0.99, 1.0)))
            if values
            else Percentiles(_quantiles(self._medians[name], (0.5,))[0], *self._highest[name])
            for name, values in self._measured.items()
        }
        if self._levels:
            low, median, high = _quantiles(self._levels, (0.0, 0.5, 1.0))
            heard.levels_dbfs = (low, median, high)
        heard.labels = dict(sorted(heard.labels.items(), key=lambda item: -item[1].heard_s))
        return heard

    def _label(self, name: str) -> LabelHeard:
        if name not in self._heard.labels and len(self._heard.labels) >= _MAX_NAMES:
            raise ValueError("more labels than models have")
        return self._heard.labels.setdefault(name, LabelHeard())

    def _add_prediction(self, entry: Entry) -> None:
        latencies = {name: entry.number(name) for name in LATENCIES}
        self._uncovered.append((entry.time_s, entry.fields["label"]))
        for name, value in latencies.items():
            self._measured[name][_rounded(value)] += 1
        if len(self._uncovered) > _MAX_UNCOVERED:
            self._add_oldest()

    def _add_minute(self, entry: Entry) -> None:
        # What was below the gate was heard too, and nothing in it.
        heard_s, predictions, gated = entry.number("heard_s"), entry.number("predictions"), entry.number("gated")
        saved_s, level_dbfs = entry.number("gate_saved_s"), entry.number("level_dbfs")
        by_label = msgspec.json.decode(entry.fields.get("by_label", "{}"), type=dict[str, int])
        windows = predictions + gated
        if sum(by_label.values()) > windows:
            raise ValueError("more predictions by label than in all")
        of_minute = {
            name: [entry.number(f"{name}_{which}") for which in ("p50", "p95", "p99", "max")] for name in LATENCIES
        }
        for name, count in by_label.items():
            label = self._label(name)
            label.predictions += count
            label.heard_s += heard_s * count / windows
        heard = self._heard
        heard.heard_s += heard_s
        heard.gated += int(gated)
        heard.saved_s += saved_s
        if "level_dbfs" in entry.fields:
            self._levels[_rounded(level_dbfs)] += 1
        if predictions:
            # Percentiles of minutes are put together as far as that is possible: what is true of all of them.
            for name, (median, *highest) in of_minute.items():
                self._medians[name][_rounded(median)] += 1
                self._highest[name] = [max(pair) for pair in zip(self._highest[name], highest, strict=True)]
        # The summary is of the newest; one of before its minute may have been written after that of before.
        left_over = len(self._uncovered) - int(predictions)
        for _ in range(left_over - 1):
            self._add_oldest()
        self._uncovered.clear()

    def _add_oldest(self) -> None:
        """Add the oldest prediction that no summary covers, for as long as it is until the one after it."""
        at_s, name = self._uncovered.popleft()
        heard_s = min(_MAX_HEARD_S, max(0.0, self._uncovered[0][0] - at_s))
        try:
            label = self._label(name)
        except ValueError:
            self._heard.unreadable += 1
            return
        label.predictions += 1
        label.heard_s += heard_s
        self._heard.heard_s += heard_s


def _add_incident(heard: Heard, entry: Entry) -> None:
    match entry.kind:
        case "audio-lost" | "undelivered" | "model-swapped" | "config-applied":
            heard.lost += int(entry.number("lost"))
            heard.swaps += entry.kind == "model-swapped"
        case "swap-refused":
            heard.refusals += 1
        case "device-lost" | "device-absent":
            heard.away += 1
        case "device-back":
            heard.away_s += entry.number("lost_s")
        case "listening":
            heard.starts += 1
        case "journal-lost":
            heard.entries_lost += int(entry.number("entries_lost"))


def _rounded(value: float) -> float:
    """Round to four digits, so that however many values there are, few of them differ."""
    return float(f"{value:.4g}")


def _quantiles(values: Counter[float], which: Sequence[float]) -> list[float]:
    """Return quantiles of values that are counted, as `np.quantile` does of values in a row; 0 where there are none."""
    if not values:
        return [0.0] * len(which)
    distinct = np.array(sorted(values))
    ends = np.cumsum([values[value] for value in distinct.tolist()])
    places = np.array(which) * (ends[-1] - 1)
    below, above = (distinct[np.searchsorted(ends, to_whole(places), side="right")] for to_whole in (np.floor, np.ceil))
    return [float(value) for value in below + (above - below) * (places - np.floor(places))]
