"""Held to what librosa computed, also where librosa cannot be installed."""

import msgspec
import numpy as np
import pytest

from audiomon.features import LogMel
from tests.features.golden import GOLDEN, SAMPLES
from tests.features.grid import SPECS
from tests.features.oracle import allowed_in_bands


def sums_one_after_another() -> bool:
    """Whether this BLAS adds up a dot product in a row, as Debian's reference BLAS does, and loses what is small."""
    small = np.full((1, 4096), 2.0**-25, dtype=np.float32)
    small[0, 0] = 1
    return bool((small @ np.ones((4096, 2), dtype=np.float32))[0, 0] == 1)


# Such a sum of a thousand numbers is up to ten times as far from the truth.
TIMES_ALLOWED = 10 if sums_one_after_another() else 1


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def samples(golden):
    return golden["samples"] * np.float32(1 / 32768)


def test_the_recording_is_long_enough_for_every_spec():
    assert max(spec.window_samples for spec in SPECS.values()) == SAMPLES


def test_nothing_golden_is_left_over(golden):
    windows = {key.removesuffix(": window") for key in golden if key.endswith(": window")}
    assert windows == set(SPECS)


@pytest.mark.parametrize("name", SPECS)
def test_bands_are_those_of_librosa(golden, samples, name):
    spec = SPECS[name]
    linear = msgspec.structs.replace(spec, log="none", ref=1.0, top_db=None, normalization=None)
    bands = LogMel(linear).frames(samples[: spec.window_samples])
    expected = golden[f"{name}: bands"]
    assert bands.shape == expected.shape == spec.shape
    assert bands.dtype == np.float32
    assert np.all(np.abs(bands - expected) <= TIMES_ALLOWED * allowed_in_bands(expected, spec))


@pytest.mark.parametrize("name", SPECS)
def test_a_window_is_what_a_model_trained_with_librosa_expects(golden, samples, name):
    spec = SPECS[name]
    front_end = LogMel(spec)
    window = front_end.finish(front_end.frames(samples[: spec.window_samples]))
    expected = golden[f"{name}: window"]
    assert window.shape == spec.shape
    assert window.dtype == np.float32
    assert np.all(np.abs(window - expected) <= TIMES_ALLOWED * golden[f"{name}: allowed"])
