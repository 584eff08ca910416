"""What the journal says was heard: read back, and summed up.

Minute summaries say how much of each label was heard, whatever else was written; what no summary covers, the last
minute and that of a process that was killed, is put together from the predictions that were written. Events are counted
where they were written.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
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
_LONGEST_S = 60.0
_KINDS = {message_id: kind for kind, message_id in MESSAGE_IDS.items()}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of ours.

    Attributes:
        time_s: when journald took it, in seconds since 1970-01-01 UTC.
        kind: which of `MESSAGE_IDS`.
        fields: those whose names begin with ``AUDIOMON_``, without that, in lower case.
    """

    time_s: float
    kind: str
    fields: dict[str, str]

    def number(self, name: str) -> float:
        """Return a field as a number; 0 where it is missing."""
        return float(self.fields.get(name) or 0)


@dataclass(slots=True)
class LabelReport:
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
class Report:
    """All of it.

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
        lost: samples overwritten before they were classified, not captured while the microphone was opened anew, or not
            delivered by it.
        away: how often the microphone was away.
        away_s: for how long, as far as it came back.
        swaps: changes of the model.
        refusals: changes of the configuration that were refused.
        starts: how often listening began.
        entries_lost: entries that journald did not take.
    """

    begin_s: float = 0.0
    end_s: float = 0.0
    entries: int = 0
    models: list[str] = field(default_factory=list)
    heard_s: float = 0.0
    labels: dict[str, LabelReport] = field(default_factory=dict)
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


def read_entries(instance: str, since: datetime, until: datetime | None, folder: Path | None) -> Iterator[Entry]:
    """Read our entries back, oldest first.

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
    reader.seek_realtime(since)
    found = False
    for entry in reader:
        time_s = entry["__REALTIME_TIMESTAMP"] / 1e6
        if until is not None and time_s > until.timestamp():
            break
        found = True
        fields = {name[9:].lower(): value.decode() for name, value in entry.items() if name.startswith("AUDIOMON_")}
        yield Entry(time_s, _KINDS[entry["MESSAGE_ID"].decode()], fields)
    if not found:
        raise UserError(_nothing_found(reader, instance))


def _nothing_found(reader: Any, instance: str) -> str:
    others = sorted(set(reader.query_unique("AUDIOMON_INSTANCE")) - {instance})
    if others:
        return f"the journal has nothing of the instance {instance!r} from that time; it knows: {', '.join(others)}"
    return (
        "the journal has no entries of audiomon that you may read; with sudo, or in the group systemd-journal, "
        "you may read all"
    )


def summarise(entries: Iterable[Entry]) -> Report:
    """Sum entries up."""
    report = Report()
    levels: list[float] = []
    measured: dict[str, list[float]] = {name: [] for name in LATENCIES}
    by_minute: list[Entry] = []
    unsummed: list[Entry] = []
    models: Counter[str] = Counter()
    for entry in entries:
        report.begin_s = report.begin_s or entry.time_s
        report.end_s = entry.time_s
        report.entries += 1
        if model := entry.fields.get("model"):
            models[model] += 1
        match entry.kind:
            case "prediction":
                unsummed.append(entry)
                for name, values in measured.items():
                    values.append(entry.number(name))
            case "event-on":
                _label(report, entry.fields["label"]).events += 1
            case "event-off":
                label, duration_s = _label(report, entry.fields["label"]), entry.number("duration_s")
                label.on_s += duration_s
                label.longest_s = max(label.longest_s, duration_s)
            case "summary":
                by_minute.append(entry)
                if "level_dbfs" in entry.fields:
                    levels.append(entry.number("level_dbfs"))
                _add_minute(report, entry)
                # The summary is of the newest; one of before its minute may have been written after that of before.
                if (left_over := len(unsummed) - int(entry.number("predictions"))) > 1:
                    _add_written(report, unsummed[:left_over])
                unsummed = []
            case _:
                _add_incident(report, entry)
    _add_written(report, unsummed)
    report.models = list(models)
    report.latencies_of = len(measured["lag_ms"])
    report.latencies = {
        name: _percentiles(values) if values else _highest(by_minute, name) for name, values in measured.items()
    }
    if levels:
        report.levels_dbfs = (min(levels), float(np.median(levels)), max(levels))
    report.labels = dict(sorted(report.labels.items(), key=lambda item: -item[1].heard_s))
    return report


def _label(report: Report, name: str) -> LabelReport:
    return report.labels.setdefault(name, LabelReport())


def _add_minute(report: Report, entry: Entry) -> None:
    # What was below the gate was heard too, and nothing in it.
    heard_s, windows = entry.number("heard_s"), entry.number("predictions") + entry.number("gated")
    report.heard_s += heard_s
    report.gated += int(entry.number("gated"))
    report.saved_s += entry.number("gate_saved_s")
    for name, count in msgspec.json.decode(entry.fields.get("by_label", "{}"), type=dict[str, int]).items():
        label = _label(report, name)
        label.predictions += count
        label.heard_s += heard_s * count / windows


def _add_written(report: Report, predictions: list[Entry]) -> None:
    """Add all but the last, each for as long as it is until the one after it."""
    for one, following in pairwise(predictions):
        label, heard_s = _label(report, one.fields["label"]), min(_LONGEST_S, following.time_s - one.time_s)
        label.predictions += 1
        label.heard_s += heard_s
        report.heard_s += heard_s


def _add_incident(report: Report, entry: Entry) -> None:
    match entry.kind:
        case "audio-lost" | "undelivered" | "model-swapped" | "config-applied":
            report.lost += int(entry.number("lost"))
            report.swaps += entry.kind == "model-swapped"
        case "swap-refused":
            report.refusals += 1
        case "device-lost" | "device-absent":
            report.away += 1
        case "device-back":
            report.away_s += entry.number("lost_s")
        case "listening":
            report.starts += 1
        case "journal-lost":
            report.entries_lost += int(entry.number("entries_lost"))


def _percentiles(values: list[float]) -> Percentiles:
    p50, p95, p99, highest = (float(value) for value in np.percentile(values, (50, 95, 99, 100)))
    return Percentiles(p50, p95, p99, highest)


def _highest(by_minute: list[Entry], name: str) -> Percentiles:
    """Put percentiles of minutes together as far as that is possible: what is true of all of them."""
    heard = [entry for entry in by_minute if entry.number("predictions")]
    if not heard:
        return Percentiles(0.0, 0.0, 0.0, 0.0)
    p50 = float(np.median([entry.number(f"{name}_p50") for entry in heard]))
    p95, p99, highest = (max(entry.number(f"{name}_{which}") for entry in heard) for which in ("p95", "p99", "max"))
    return Percentiles(p50, p95, p99, highest)
