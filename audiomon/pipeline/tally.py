"""What a listener has done so far, in numbers of fixed size however long it runs."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audiomon.pipeline.prediction import Prediction

# Latencies kept for percentiles: the last hour at two predictions a second.
_KEPT = 7200


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of one kind of latency, over the last 7200 predictions at most; in that latency's own unit."""

    p50: float
    p95: float
    p99: float
    max: float


class Latency:
    """The last few thousand measurements of one thing."""

    def __init__(self) -> None:
        self._kept: NDArray[np.float32] = np.empty(_KEPT, dtype=np.float32)
        self._count = 0

    def add(self, value: float) -> None:
        """Take in one measurement."""
        self._kept[self._count % _KEPT] = value
        self._count += 1

    def percentiles(self) -> Percentiles:
        """Summarise what is kept; all 0 when there is nothing."""
        kept = self._kept[: min(self._count, _KEPT)]
        if not len(kept):
            return Percentiles(0.0, 0.0, 0.0, 0.0)
        p50, p95, p99 = (float(value) for value in np.percentile(kept, (50, 95, 99)))
        return Percentiles(p50, p95, p99, float(kept.max()))


@dataclass(slots=True)
class Tally:
    """Running totals. Written by the inference worker alone; others may look at any time.

    Attributes:
        predictions: windows classified.
        by_label: how often each label had the highest score.
        events: how often a label turned on.
        lost: sample frames lost.
        features_us: latency of the feature stage, in microseconds.
        inference_us: latency of the model, in microseconds.
        lag_ms: from a window's last sample to its prediction, in milliseconds.
    """

    predictions: int = 0
    by_label: dict[str, int] = field(default_factory=dict)
    events: int = 0
    lost: int = 0
    features_us: Latency = field(default_factory=Latency)
    inference_us: Latency = field(default_factory=Latency)
    lag_ms: Latency = field(default_factory=Latency)

    def add(self, prediction: Prediction) -> None:
        """Count one prediction."""
        self.predictions += 1
        self.by_label[prediction.label] = self.by_label.get(prediction.label, 0) + 1
        self.lost += prediction.lost
        self.features_us.add(prediction.features_us)
        self.inference_us.add(prediction.inference_us)
        self.lag_ms.add(prediction.lag_ms)
