"""What the journal says was heard, summed up.

Minute summaries say how much of each label was heard, whatever else was written; what no summary covers, the last
minute and that of a process that was killed, is put together from the predictions that were written. Events are counted
where they were written.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from audiomon.diagnostics.journal_entries import UNREADABLE, Entry, Host
from audiomon.errors import UserError
from audiomon.foreign import shown
from audiomon.pipeline.losses import Losses
from audiomon.pipeline.tally import Percentiles

LATENCIES = {"features_us": "features, µs", "inference_us": "inference, µs", "lag_ms": "lag, ms"}
# A prediction stands for the time until the next one, but never for more than the minute of a summary.
_MAX_HEARD_S = 60.0
# Predictions that no summary has covered yet: more than a minute has of them.
_MAX_UNCOVERED = 10_000
# More labels or models than there are; what a stranger's journal files make up is not kept.
_MAX_NAMES = 10_000
_MAX_OUTCOMES = 20


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
        begin_s: time of the earliest entry, in seconds since 1970-01-01 UTC.
        end_s: time of the latest one.
        entries: how many there were.
        models: names of the models that listened.
        model: name of the one that listened last.
        model_sha256: fingerprint of it; empty if that was not written.
        health: of capture, by the last entry that says it; ``stopped`` after the service has ended.
        heard_s: seconds of audio.
        labels: by name.
        latencies: by name, in its own unit.
        latencies_of: how many predictions those are measured on; 0 if they are put together from the summaries, where
            50 % is the median of theirs, and the others the highest.
        levels_dbfs: lowest, median and highest level of a minute; None where there was none.
        gated: windows below the gate.
        saved_s: seconds of inference that the gate saved.
        losses: samples that were not heard, by cause.
        actions: what came of the link's actions: by rule, how often each outcome.
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
    model: str = ""
    model_sha256: str = ""
    health: str = ""
    heard_s: float = 0.0
    labels: dict[str, LabelHeard] = field(default_factory=dict)
    latencies: dict[str, Percentiles] = field(default_factory=dict)
    latencies_of: int = 0
    levels_dbfs: tuple[float, float, float] | None = None
    gated: int = 0
    saved_s: float = 0.0
    losses: Losses = field(default_factory=Losses)
    actions: dict[str, dict[str, int]] = field(default_factory=dict)
    away: int = 0
    away_s: float = 0.0
    swaps: int = 0
    refusals: int = 0
    starts: int = 0
    entries_lost: int = 0
    unreadable: int = 0


def summarise(entries: Iterable[Entry]) -> Heard:
    """Sum entries of one machine up, each as it comes: what is kept does not grow with how many there are.

    Raises:
        UserError: they are of several machines.
    """
    summing = _Summing()
    host: Host | None = None
    for entry in entries:
        host = host or entry.host
        if entry.host != host:
            raise UserError(
                f"there are entries of several machines, {shown(host.name)} and {shown(entry.host.name)} among them: "
                "name one with --host, or ask for each with --by-host"
            )
        summing.add(entry)
    return summing.result()


def summarise_by_host(entries: Iterable[Entry]) -> dict[Host, Heard]:
    """Sum entries up for each machine that they are from, by name."""
    summing: dict[Host, _Summing] = {}
    for entry in entries:
        summing.setdefault(entry.host, _Summing()).add(entry)
    return {host: summing[host].result() for host in sorted(summing, key=lambda host: (host.name, host.machine_id))}


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
        heard.begin_s = min(heard.begin_s or entry.time_s, entry.time_s)
        heard.end_s = max(heard.end_s, entry.time_s)
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
        except UNREADABLE:
            heard.unreadable += 1
            return
        self._add_state(entry)

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

    def _add_state(self, entry: Entry) -> None:
        heard, fields = self._heard, entry.fields
        model, sha256 = fields.get("model"), fields.get("model_sha256", "")
        if model:
            if model != heard.model or sha256:
                heard.model, heard.model_sha256 = model, sha256
            if len(self._models) < _MAX_NAMES:
                self._models[model] = None
        ends = {"listening": "listening", "stopped": "stopped", "failed": "failed", "waiting": "waiting"}
        heard.health = ends.get(entry.kind) or fields.get("health") or heard.health

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
            heard.losses += losses_of(entry)
            heard.swaps += entry.kind == "model-swapped"
        case "swap-refused":
            heard.refusals += 1
        case "device-lost" | "device-absent":
            heard.away += 1
        case "device-back":
            away_s, losses = entry.number("lost_s"), losses_of(entry)
            heard.away_s += away_s
            heard.losses += losses
        case "listening":
            heard.starts += 1
        case "link-action-done" | "link-action-failed":
            name, outcome = entry.fields["action"], entry.fields["outcome"]
            outcomes = heard.actions.setdefault(name, {})
            if len(heard.actions) > _MAX_NAMES or len(outcomes) > _MAX_OUTCOMES:
                raise ValueError("more actions than there are")
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
        case "journal-lost":
            heard.entries_lost += int(entry.number("entries_lost"))


def losses_of(entry: Entry) -> Losses:
    """Return what an entry says was not heard.

    Raises:
        ValueError: a count is no number.
    """
    counts = (int(entry.number(name)) for name in ("lost", "lost_away", "lost_reopened", "undelivered"))
    return Losses(*counts)


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
