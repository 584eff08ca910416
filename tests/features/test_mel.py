import numpy as np
import pytest

from audiomon.features import LogMelSpec
from audiomon.features.mel import hz_to_mel, mel_filter_bank, mel_to_hz, window_function

HZ = np.array([0.0, 100.0, 999.0, 1000.0, 6400.0, 11_025.0, 96_000.0])


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_mels_turn_back_into_the_hz_they_came_from(scale):
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(HZ, scale), scale), HZ, rtol=1e-12, atol=1e-9)


def test_the_slaney_scale_is_linear_below_1_khz_and_has_27_steps_for_a_factor_of_6_4_above():
    np.testing.assert_allclose(hz_to_mel(np.array([0.0, 200.0, 1000.0, 6400.0]), "slaney"), [0, 3, 15, 42])


def test_the_htk_scale_has_1000_mel_at_1_khz():
    assert hz_to_mel(np.array([1000.0]), "htk")[0] == pytest.approx(1000, abs=0.02)


@pytest.mark.parametrize(("name", "mean"), [("hann", 0.5), ("hamming", 0.54), ("blackman", 0.42), ("rectangular", 1.0)])
def test_a_window_is_periodic_and_has_the_mean_of_its_formula(name, mean):
    window = window_function(LogMelSpec(n_fft=64, hop_length=32, window=name))
    assert window.mean() == pytest.approx(mean)
    # Periodic: what would come after the last sample is the first one, so all others mirror each other.
    np.testing.assert_allclose(window[1:], window[:0:-1], atol=1e-12)
    assert window[32] == pytest.approx(1.0)


def test_a_short_window_lies_in_the_middle_of_the_transform():
    window = window_function(LogMelSpec(n_fft=16, hop_length=8, win_length=9, window="rectangular"))
    np.testing.assert_array_equal(window, [0] * 3 + [1] * 9 + [0] * 4)


def test_neighbouring_triangles_add_up_to_1():
    spec = LogMelSpec(norm="none", fmin=500.0, fmax=8000.0)
    bank = mel_filter_bank(spec)
    hz = np.fft.rfftfreq(spec.n_fft, 1 / spec.sample_rate)
    edges = mel_to_hz(np.linspace(*hz_to_mel(np.array([500.0, 8000.0]), "slaney"), 42), "slaney")
    inner = (hz >= edges[1]) & (hz <= edges[-2])
    np.testing.assert_allclose(bank[:, inner].sum(axis=0), 1, atol=1e-12)
    assert not bank[:, (hz < 500) | (hz > 8000)].any()


def test_slaneys_norm_gives_every_band_the_same_area():
    spec = LogMelSpec(n_fft=32_768)
    areas_hz = mel_filter_bank(spec).sum(axis=1) * spec.sample_rate / spec.n_fft
    np.testing.assert_allclose(areas_hz, 1, rtol=1e-3)


def test_a_band_narrower_than_a_bin_is_empty():
    bank = mel_filter_bank(LogMelSpec(n_fft=256, hop_length=128, n_mels=128))
    assert not bank.any(axis=1).all()
    assert np.isfinite(bank).all()
