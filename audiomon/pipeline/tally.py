"""What a listener has done so far, in numbers of fixed size however long it runs."""

import threading
from typing import cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.pipeline.accounts import Fates
from audiomon.pipeline.losses import Losses
from audiomon.pipeline.prediction import Prediction

# Latencies kept for percentiles: the last hour at two predictions a second.
_KEPT = 7200


class Percentiles(msgspec.Struct, frozen=True):
    """Of one kind of latency, over the last 7200 predictions at most; in that latency's own unit."""

    p50: float
    p95: float
    p99: float
    max: float


class Latency:
    """The last few thousand measurements of one thing."""

    def __init__(self) -> None:
        self._kept: NDArray[np.float32] = np.empty(_KEPT, dtype=np.float32)
        # The same memory: one number is written there in a fifth of the time that it takes an array.
        self._slots = cast("memoryview[float]", self._kept.data)
        self._count = 0

    def add(self, value: float) -> None:
        """Take in one measurement."""
        self._slots[self._count % _KEPT] = value
        self._count += 1

    def percentiles(self) -> Percentiles:
        """Summarise what is kept; all 0 when there is nothing."""
        kept = self._kept[: min(self._count, _KEPT)]
        if not len(kept):
            return Percentiles(0.0, 0.0, 0.0, 0.0)
        # What numpy.percentile gives, which would import numpy.ma and sort several times as long.
        last = len(kept) - 1
        places = [divmod(last * percent, 100) for percent in (50, 95, 99)]
        wanted = {place for below, _ in places for place in (below, min(last, below + 1))} | {last}
        ordered = np.partition(kept, sorted(wanted))
        p50, p95, p99 = (
            float(ordered[below]) + rest / 100 * (float(ordered[min(last, below + 1)]) - float(ordered[below]))
            for below, rest in places
        )
        return Percentiles(p50, p95, p99, float(ordered[last]))


class Tally(msgspec.Struct):
    """Running totals. ``classified + shed + lost + left_over`` is the number of samples captured; see `Fates`.

    Attributes:
        predictions: windows classified.
        by_label: how often each label had the highest score.
        events: how often a label turned on.
        classified: samples in windows classified.
        shed: samples passed over, since the model was too slow.
        lost: samples captured and lost: overwritten before they were read, or out of a new model's reach.
        left_over: samples after the last window of streams that have ended.
        windows_shed: windows passed over.
        undelivered: samples, about, that a device never delivered; not among those captured.
        away: samples that there would have been while no microphone was there; not among those captured.
        reopened: the same while one was reopened for a change.
        gated: windows below the gate, for which the model was not run.
        saved_s: seconds of inference that this saved, going by the mean of what was run.
        features_us: latency of the feature stage, in microseconds.
        inference_us: latency of the model, in microseconds.
        lag_ms: from a window's last sample to its prediction, in milliseconds.
    """

    predictions: int = 0
    by_label: dict[str, int] = {}
    events: int = 0
    classified: int = 0
    shed: int = 0
    lost: int = 0
    left_over: int = 0
    windows_shed: int = 0
    undelivered: int = 0
    away: int = 0
    reopened: int = 0
    gated: int = 0
    saved_s: float = 0.0
    features_us: Latency = msgspec.field(default_factory=Latency)
    inference_us: Latency = msgspec.field(default_factory=Latency)
    lag_ms: Latency = msgspec.field(default_factory=Latency)

    @property
    def losses(self) -> Losses:
        """What was not heard."""
        return Losses(self.lost, self.away, self.reopened, self.undelivered)

    def add(self, prediction: Prediction, turned_on: int, fates: Fates) -> None:
        """Count one prediction, the events that it led to, and the samples since the one before."""
        self.predictions += 1
        self.events += turned_on
        self.by_label[prediction.label] = self.by_label.get(prediction.label, 0) + 1
        self.add_fates(fates)
        self.features_us.add(prediction.features_us)
        self.inference_us.add(prediction.inference_us)
        self.lag_ms.add(prediction.lag_ms)

    def add_fates(self, fates: Fates) -> None:
        """Count samples."""
        self.classified += fates.classified
        self.shed += fates.shed
        self.lost += fates.lost
        self.left_over += fates.left_over
        self.windows_shed += fates.windows_shed


class Counting:
    """A tally of everything, and one of what is new since it was last taken. Safe for several threads.

    Attributes:
        total: of everything; others may look at any time.
    """

    def __init__(self) -> None:
        self.total = Tally()
        self._period = Tally()
        self._inference_s = 0.0
        self._lock = threading.Lock()

    def add(self, prediction: Prediction, turned_on: int, fates: Fates) -> None:
        """Count one prediction, how many labels it turned on, and the samples since the one before."""
        with self._lock:
            self._inference_s += prediction.inference_us / 1e6
            self.total.add(prediction, turned_on, fates)
            self._period.add(prediction, turned_on, fates)

    def add_gated(self, fates: Fates) -> None:
        """Count a window below the gate, and the samples since the window before."""
        with self._lock:
            mean_s = self._inference_s / max(1, self.total.predictions)
            for tally in (self.total, self._period):
                tally.gated += 1
                tally.saved_s += mean_s
                tally.add_fates(fates)

    def add_fates(self, fates: Fates) -> None:
        """Count samples that no prediction reports."""
        with self._lock:
            self.total.add_fates(fates)
            self._period.add_fates(fates)

    def add_undelivered(self, samples: int) -> None:
        """Count samples that never came."""
        with self._lock:
            self.total.undelivered += samples
            self._period.undelivered += samples

    def add_missed(self, missed: Losses) -> None:
        """Count samples that there would have been between two streams."""
        with self._lock:
            for tally in (self.total, self._period):
                tally.away += missed.away
                tally.reopened += missed.reopened

    def take_period(self) -> Tally:
        """Return the tally of what was counted since the last call."""
        with self._lock:
            period, self._period = self._period, Tally()
        return period
