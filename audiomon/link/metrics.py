"""What Prometheus scrapes: counts and times of what listeners send, and what the link does with it.

Counters start at 0 when this process, the listener or its model does; Prometheus makes up for that. A model may have
ten thousand labels: beyond the first `MAX_LABELS` of them all are counted as ``other``.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sized

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from audiomon import __version__
from audiomon.foreign import shown
from audiomon.link.ledger import Ledger
from audiomon.link.state import Listener, Lost, Message, State
from audiomon.link.toggle import Toggle
from audiomon.outputs.feed_protocol import EventLine, Hello, Kind, LevelLine, PredictionLine
from audiomon.outputs.snapshot import Snapshot

MAX_LABELS = 50
OTHER = "other"
_MAX_LABEL_LENGTH = 80

# Seconds: a small model on a desktop takes 0.1 ms, a large one on a Pi 0.3 s.
_WORK_BOUNDS_S = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0)
_LAG_BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0)

_HEALTHS = ("absent", "opening", "listening", "doubtful", "lost", "stuck", "down")


class Histogram:
    """Times, counted by how long they are.

    Args:
        bounds: upper ones of the buckets, rising.
    """

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count one."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return upper bounds, and how many are at most that."""
        total, buckets = 0, []
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound == float("inf") else repr(bound), float(total)))
        return buckets


class Counts:
    """What is counted of one label."""

    __slots__ = ("events", "on_s", "predictions")

    def __init__(self) -> None:
        self.predictions = 0
        self.events = 0
        self.on_s = 0.0


class Heard:
    """What one listener's lines add up to.

    Attributes:
        labels: counts by label, of `MAX_LABELS` at most and `OTHER`.
        features: computing windows, in seconds.
        inference: running the model, in seconds.
        lag: from capture to prediction, in seconds.
        level_dbfs: of the last second; None before the first.
    """

    def __init__(self) -> None:
        self._model = ""
        self.labels: dict[str, Counts] = {}
        self.features, self.inference = Histogram(_WORK_BOUNDS_S), Histogram(_WORK_BOUNDS_S)
        self.lag = Histogram(_LAG_BOUNDS_S)
        self.level_dbfs: float | None = None

    def take(self, message: Message) -> None:
        """Take in what a listener sends."""
        match message:
            case Hello():
                if message.fingerprint != self._model:
                    self._model, self.labels = message.fingerprint, {}
                    for label in list(message.labels)[:MAX_LABELS]:
                        self.of(label)
            case PredictionLine():
                self.of(message.label).predictions += 1
                self.features.add(message.features_us / 1e6)
                self.inference.add(message.inference_us / 1e6)
                self.lag.add(message.lag_ms / 1e3)
            case EventLine(state="on"):
                self.of(message.label).events += 1
            case EventLine():
                self.of(message.label).on_s += message.duration_s
            case LevelLine():
                self.level_dbfs = message.rms_dbfs
            case Lost():
                self.level_dbfs = None
            case _:
                pass

    def name_of(self, label: str) -> str:
        """Return the name that a label is counted by."""
        name = shown(label, _MAX_LABEL_LENGTH)
        return name if name in self.labels or len(self.labels) < MAX_LABELS else OTHER

    def of(self, label: str) -> Counts:
        """Return the counts of a label."""
        return self.labels.setdefault(self.name_of(label), Counts())


class Metrics(Collector):
    """Everything that is scraped.

    Args:
        state: what listeners are like.
        ledger: what the other parts have done.
        actions: whether actions are done.
        watchers: open pages.

    Attributes:
        kinds: of lines that `hear` is to be called with.
    """

    kinds: tuple[Kind, ...] = ("event", "prediction", "level")

    def __init__(self, state: State, ledger: Ledger, actions: Toggle, watchers: Sized) -> None:
        self._state = state
        self._ledger = ledger
        self._actions = actions
        self._watchers = watchers
        self._heard: dict[str, Heard] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        for listener in state.listeners.values():
            if listener.hello is not None:
                self.hear(listener, listener.hello)

    def hear(self, listener: Listener, message: Message) -> None:
        """Take in what a listener sends."""
        self._heard.setdefault(listener.name, Heard()).take(message)

    def exposition(self, accepted: str) -> tuple[bytes, str]:
        """Write them all.

        Args:
            accepted: the formats that the scraper names, as in HTTP's ``Accept``.

        Returns:
            The text, and its content type.
        """
        encoder, content_type = choose_encoder(accepted)
        return encoder(self._registry), content_type

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        yield from self._of_link()
        listeners = sorted(self._state.listeners.values(), key=lambda listener: listener.name)
        yield from _of_listeners(listeners)
        yield from _of_accounts([one for one in listeners if one.snapshot is not None])
        heard = [(one, self._heard[one.name]) for one in listeners if one.name in self._heard]
        yield from _of_labels(heard)
        yield from _of_times(heard)

    def _of_link(self) -> Iterator[Metric]:
        yield _gauge("audiomon_page_watchers", "Open pages.", len(self._watchers))
        yield _counter("audiomon_feed_reconnects", "Feeds that ended.", self._state.reconnects)
        if (problem := self._state.problems.get("mqtt")) is not None:
            yield _gauge("audiomon_mqtt_connected", "1 while the broker is connected.", int(not problem))
        yield _gauge("audiomon_actions_paused", "1 while actions are paused.", int(not self._actions.on))
        actions = CounterMetricFamily("audiomon_actions", "What came of actions.", labels=("action", "outcome"))
        for (action, outcome), count in sorted(self._ledger.outcomes.items()):
            actions.add_metric((action, outcome), count)
        yield actions


def _of_listeners(listeners: list[Listener]) -> Iterator[Metric]:
    info = GaugeMetricFamily(
        "audiomon_build_info", "Version and model.", labels=("listener", "version", "model", "link")
    )
    up = GaugeMetricFamily("audiomon_listener_up", "1 while the listener is followed.", labels=("listener",))
    health = GaugeMetricFamily("audiomon_health", "1 for the state that capture is in.", labels=("listener", "state"))
    missed = CounterMetricFamily("audiomon_feed_lines_missed", "Lines not read in time.", labels=("listener",))
    for one in listeners:
        up.add_metric((one.name,), int(one.up))
        missed.add_metric((one.name,), one.missed)
        if one.hello is not None:
            info.add_metric((one.name, shown(one.hello.version, 40), shown(one.hello.model, 80), __version__), 1)
        current = one.snapshot.health if one.snapshot is not None else "down"
        for state in _HEALTHS:
            health.add_metric((one.name, state), int(state == current))
    yield from (info, up, health, missed)


# Of a listener's accounts: name, what it counts, and where that stands.
_ACCOUNTS = (
    ("audiomon_samples_classified", "Sample frames that a prediction was made of.", "classified"),
    ("audiomon_samples_shed", "Sample frames passed over, to keep up.", "shed"),
    ("audiomon_samples_lost", "Sample frames overwritten or not captured.", "lost"),
    ("audiomon_samples_undelivered", "Sample frames, about, that the microphone did not deliver.", "undelivered"),
    ("audiomon_windows_shed", "Windows passed over, to keep up.", "windows_shed"),
    ("audiomon_windows_gated", "Windows below the gate, for which the model was not run.", "gated"),
    ("audiomon_journal_entries_lost", "Entries that journald did not take in time.", "entries_lost"),
    ("audiomon_stage_failures", "Stages that were restarted.", "stage_failures"),
)


def _of_accounts(listeners: list[Listener]) -> Iterator[Metric]:
    for name, what, field in _ACCOUNTS:
        family = CounterMetricFamily(name, what, labels=("listener",))
        for one in listeners:
            assert isinstance(one.snapshot, Snapshot)
            family.add_metric((one.name,), getattr(one.snapshot, field))
        yield family


def _of_labels(heard: list[tuple[Listener, Heard]]) -> Iterator[Metric]:
    by_label = ("listener", "label")
    predictions = CounterMetricFamily("audiomon_predictions", "Predictions, by the highest score.", labels=by_label)
    events = CounterMetricFamily("audiomon_events", "Labels that turned on.", labels=by_label)
    on = GaugeMetricFamily("audiomon_label_on", "1 while a label is on.", labels=by_label)
    on_s = CounterMetricFamily(
        "audiomon_label_on_seconds", "Time that labels were on, once they are off.", labels=by_label
    )
    for listener, sums in heard:
        on_now = {sums.name_of(label) for label in listener.on}
        for label, counts in sums.labels.items():
            predictions.add_metric((listener.name, label), counts.predictions)
            events.add_metric((listener.name, label), counts.events)
            on.add_metric((listener.name, label), int(label in on_now))
            on_s.add_metric((listener.name, label), counts.on_s)
    yield from (predictions, events, on, on_s)


def _of_times(heard: list[tuple[Listener, Heard]]) -> Iterator[Metric]:
    level = GaugeMetricFamily(
        "audiomon_level_dbfs", "Level of the last second, dB of full scale.", labels=("listener",)
    )
    for listener, sums in heard:
        if sums.level_dbfs is not None:
            level.add_metric((listener.name,), sums.level_dbfs)
    yield level
    for name, what in (
        ("features", "Computing a window."),
        ("inference", "Running the model on a window."),
        ("lag", "From the capture of a window's last sample to its prediction."),
    ):
        family = HistogramMetricFamily(f"audiomon_{name}_seconds", what, labels=("listener",))
        for listener, sums in heard:
            histogram: Histogram = getattr(sums, name)
            family.add_metric((listener.name,), histogram.buckets(), histogram.sum)
        yield family


def _gauge(name: str, what: str, value: float) -> Metric:
    family = GaugeMetricFamily(name, what)
    family.add_metric((), value)
    return family


def _counter(name: str, what: str, value: float) -> Metric:
    family = CounterMetricFamily(name, what)
    family.add_metric((), value)
    return family
