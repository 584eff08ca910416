import math

import msgspec
import pytest

from audiomon.features import LogMelSpec, Normalization


def test_the_default_is_a_second_in_43_frames_of_40_bands():
    spec = LogMelSpec()
    assert spec.shape == (43, 40)
    assert spec.window_samples == 2048 + 42 * 512
    assert spec.window_s == pytest.approx(1.068, abs=1e-3)


@pytest.mark.parametrize(("hop_s", "frames"), [(0.5, 22), (0.1, 4), (0.0, 1), (0.011, 1), (1.0, 43), (99.0, 43)])
def test_the_hop_between_windows_is_a_whole_number_of_frames(hop_s, frames):
    assert LogMelSpec().hop_frames(hop_s) == frames


@pytest.mark.parametrize("name", ["fmin", "fmax", "ref", "amin", "top_db"])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e39])
def test_a_number_that_float32_cannot_hold_is_refused_by_name(name, number):
    with pytest.raises(ValueError, match=f"^{name}: must be a finite number"):
        LogMelSpec(**{name: number})


@pytest.mark.parametrize("name", ["mean", "std"])
@pytest.mark.parametrize("number", [math.nan, math.inf, 1e39])
@pytest.mark.parametrize("by_band", [False, True])
def test_a_normalisation_that_float32_cannot_hold_is_refused_by_name(name, number, by_band):
    values = (1.0,) * 39 + (number,) if by_band else number
    with pytest.raises(ValueError, match=rf"^normalization\.{name}: must be finite numbers"):
        LogMelSpec(normalization=Normalization(**{name: values}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"center": True}, "center: true is not supported: .* train with center=False"),
        ({"win_length": 0}, r"win_length: must be from 1 to n_fft \(2048\)"),
        ({"win_length": 2049}, r"win_length: must be from 1 to n_fft \(2048\)"),
        ({"hop_length": 2049}, r"hop_length: must be at most n_fft \(2048\)"),
        ({"fmax": 11_026.0}, r"fmax: must lie above fmin \(0 Hz\) and at or below half the sample rate \(11025 Hz\)"),
        ({"fmin": 400.0, "fmax": 400.0}, r"fmax: must lie above fmin \(400 Hz\)"),
        ({"fmin": 11_025.0}, r"fmin: must lie below half the sample rate \(11025 Hz\)"),
        ({"frames": 3000}, "frames: must make a window of at most 60 s; 3000 frames of 512 samples make 70 s"),
        ({"ref": 0.0}, "ref: must be greater than 0, or max"),
        ({"ref": -1.0}, "ref: must be greater than 0, or max"),
        ({"top_db": -1.0}, "top_db: must be 0 or more"),
        ({"top_db": 80.0, "log": "ln"}, "top_db: goes with log: db only"),
        ({"ref": "max", "log": "log10"}, "ref: goes with log: db only"),
        ({"normalization": Normalization(mean=(1.0, 2.0))}, "normalization.mean: has 2 values for 40 mel bands"),
        ({"normalization": Normalization(std=0.0)}, "normalization.std: must be greater than 0"),
        ({"normalization": Normalization(std=(0.0,) * 40)}, "normalization.std: must be greater than 0"),
        ({"normalization": Normalization(std=1e-40)}, "normalization.std: must be greater than 0"),
        ({"normalization": Normalization(per_window=True, std=2.0)}, "normalization: per_window takes no mean"),
    ],
)
def test_what_contradicts_itself_is_refused_with_the_key_first(changes, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        LogMelSpec(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"sample_rate": 999},
        {"n_fft": 15},
        {"n_fft": 65_536},
        {"hop_length": 0},
        {"n_mels": 0},
        {"n_mels": 513},
        {"frames": 0},
        {"fmin": -1.0},
        {"amin": 0.0},
        {"amin": 1e-40},
        {"power": 3},
        {"window": "kaiser"},
        {"mel_scale": "bark"},
        {"norm": "l2"},
        {"log": "log2"},
        {"ref": "min"},
        {"n_ftt": 2048},
    ],
)
def test_what_is_out_of_range_or_unknown_is_refused_when_read(changes):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(changes, LogMelSpec)


def test_more_bands_than_bins_are_allowed_as_in_librosa():
    assert LogMelSpec(n_fft=64, hop_length=32, n_mels=128).shape == (43, 128)


def test_what_is_written_is_read_back():
    spec = LogMelSpec(fmax=7600.0, ref="max", top_db=80.0, normalization=Normalization(mean=(0.5,) * 40))
    assert msgspec.convert(msgspec.to_builtins(spec), LogMelSpec) == spec
