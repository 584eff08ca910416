import numpy as np
import pytest

from audiomon.pipeline.tally import Latency, Percentiles


@pytest.mark.parametrize("count", [1, 2, 3, 99, 100, 101, 7200, 8000])
def test_percentiles_are_numpy_s_of_the_last_7200(count):
    values = np.random.default_rng(count).exponential(100, count).astype(np.float32)
    latency = Latency()
    for value in values:
        latency.add(float(value))
    kept = values[-7200:].astype(np.float64)
    found = latency.percentiles()
    assert [found.p50, found.p95, found.p99] == pytest.approx(np.percentile(kept, (50, 95, 99)), rel=1e-6)
    assert found.max == kept.max()


def test_without_measurements_they_are_0():
    assert Latency().percentiles() == Percentiles(0.0, 0.0, 0.0, 0.0)
