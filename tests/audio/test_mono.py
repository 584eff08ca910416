import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomon.audio.mono import MonoStream
from audiomon.errors import DeviceError
from tests.audio.lists import ListedSource


def noise(frames: int, channels: int = 1, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-32_768, 32_768, (frames, channels)).astype(np.int16)


def read_all(stream: MonoStream, count: int) -> np.ndarray:
    got = [np.empty(0, dtype=np.float32)]
    while (stretch := stream.read(count)) is not None:
        assert len(stretch.samples) <= count
        got.append(stretch.samples.copy())
    return np.concatenate(got)


def cut(samples: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    ends = [end for end in np.cumsum(sizes) if end < len(samples)]
    return [piece for piece in np.split(samples, ends) if len(piece)]


@pytest.mark.parametrize("channels", [1, 2, 3, 8])
@pytest.mark.parametrize("channel", ["mix", 0])
def test_int16_and_the_float32_of_the_same_samples_give_the_same_bits(channels, channel):
    samples = noise(5000, channels)
    as_float = samples.astype(np.float32) / np.float32(32_768)
    from_int = read_all(MonoStream(ListedSource([samples], 8000, channels), 8000, channel), 512)
    from_float = read_all(MonoStream(ListedSource([as_float], 8000, channels), 8000, channel), 512)
    assert from_int.dtype == np.float32
    np.testing.assert_array_equal(from_int, from_float)


def test_the_mix_is_the_mean_of_all_channels():
    samples = np.array([[100, 200, 600], [-32_768, -32_768, -32_768], [32_767, -32_768, 1]], dtype=np.int16)
    mixed = read_all(MonoStream(ListedSource([samples], 8000, 3), 8000), 10)
    np.testing.assert_allclose(mixed * 32_768, [300, -32_768, 0], atol=2e-3)


def test_full_scale_stays_within_minus_one_and_one():
    samples = np.array([[-32_768], [32_767], [0], [1]], dtype=np.int16)
    assert read_all(MonoStream(ListedSource([samples], 8000), 8000), 10).tolist() == [
        -1,
        32_767 / 32_768,
        0,
        1 / 32_768,
    ]


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_one_channel_can_be_picked(channel):
    samples = noise(1000, 3)
    picked = read_all(MonoStream(ListedSource([samples], 8000, 3), 8000, channel), 300)
    np.testing.assert_array_equal(picked, samples[:, channel] / np.float32(32_768))


@pytest.mark.parametrize("channel", [-1, 2, 5])
def test_a_channel_that_the_source_has_not_is_refused(channel):
    with pytest.raises(DeviceError, match=r"has 2 channel\(s\), numbered from 0; there is no channel"):
        MonoStream(ListedSource([], 8000, 2), 8000, channel)


@pytest.mark.parametrize(
    ("of_source", "of_model"), [(48_000, 22_050), (44_100, 22_050), (8000, 16_000), (11_025, 8000)]
)
@settings(max_examples=25)
@given(data=st.data())
def test_resampling_gives_the_bits_of_one_shot_soxr_for_any_chunking(of_source, of_model, data):
    soxr = pytest.importorskip("soxr")
    samples = noise(data.draw(st.integers(1, 6000)))
    sizes = data.draw(st.lists(st.integers(1, 2000), min_size=1, max_size=30))
    stream = MonoStream(ListedSource(cut(samples, sizes), of_source), of_model)
    got = read_all(stream, data.draw(st.integers(1, 3000)))
    whole = soxr.ResampleStream(of_source, of_model, 1, dtype="float32", quality="HQ")
    expected = whole.resample_chunk(samples[:, 0] / np.float32(32_768), last=True)
    np.testing.assert_array_equal(got, expected)
    assert len(got) == pytest.approx(len(samples) * of_model / of_source, abs=1)


@pytest.mark.parametrize(("of_source", "of_model"), [(16_000, 16_000), (48_000, 16_000), (44_100, 22_050)])
def test_the_position_follows_what_was_delivered_in_the_source_s_frames(of_source, of_model):
    pytest.importorskip("soxr")
    stream = MonoStream(ListedSource([noise(48_000)], of_source), of_model)
    delivered = 0
    while (stretch := stream.read(700)) is not None:
        delivered += len(stretch.samples)
        assert stream.position == round(delivered * of_source / of_model)
    assert stream.position == pytest.approx(48_000, abs=2)


def test_the_capture_time_of_a_live_source_is_that_of_the_last_sample_delivered():
    pytest.importorskip("soxr")
    stream = MonoStream(ListedSource([noise(4800) for _ in range(20)], 48_000, live=True), 16_000)
    while (stretch := stream.read(500)) is not None and len(stretch.samples):
        assert stream.captured_ns == pytest.approx(stream.position / 48_000 * 1e9, abs=1000)


@pytest.mark.parametrize("of_model", [16_000, 8000])
def test_after_a_gap_nothing_from_before_it_sounds_on(of_model):
    """Full scale before the gap, silence after it: a filter that remembered would ring."""
    if of_model != 16_000:
        pytest.importorskip("soxr")
    loud, silent = np.full((4000, 1), 30_000, dtype=np.int16), np.zeros((4000, 1), dtype=np.int16)
    stream = MonoStream(ListedSource([loud, 123, silent], 16_000), of_model)
    lost, after = 0, []
    while (stretch := stream.read(1000)) is not None:
        if stretch.lost:
            assert not lost
            assert stream.position >= 4123
        lost += stretch.lost
        if lost:
            after.append(stretch.samples.copy())
    assert lost == 123
    heard = np.concatenate(after)
    assert len(heard) >= 0.9 * 4000 * of_model / 16_000
    assert not heard.any()
    assert stream.position == pytest.approx(8123, abs=2)


def test_a_loss_before_an_empty_read_is_not_forgotten():
    stream = MonoStream(ListedSource([noise(10), 7, None, noise(10)], 8000), 8000)
    losses = []
    while (stretch := stream.read(10)) is not None:
        losses.append((len(stretch.samples), stretch.lost))
    assert losses == [(10, 0), (0, 0), (10, 7)]


def test_a_read_that_brought_nothing_is_not_the_end():
    stream = MonoStream(ListedSource([None, noise(5)], 8000), 8000)
    assert len(stream.read(5).samples) == 0
    assert len(stream.read(5).samples) == 5
    assert stream.read(5) is None
    assert stream.read(5) is None


def test_without_soxr_a_differing_rate_is_refused_and_the_same_rate_needs_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(
        DeviceError, match=r"delivers 48000 Hz and the model wants 16000 Hz, but this machine has no soxr"
    ):
        MonoStream(ListedSource([], 48_000), 16_000)
    MonoStream(ListedSource([], 16_000), 16_000)
