"""Windows cut from a stream: the same bits as from the whole recording at once, and every lost frame counted."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomon.audio.mono import MonoStream
from audiomon.features import LogMel, LogMelSpec, Normalization, WaveformSpec
from audiomon.pipeline.windows import open_windows
from tests.manual_clock import ManualClock
from tests.pipeline.fakes import TICK_NS, ArraySource, TickingClock, noise

SPEC = LogMelSpec(sample_rate=16_000, n_fft=256, hop_length=100, n_mels=12, frames=9)
RAW = WaveformSpec(sample_rate=16_000, samples=900)
FINISHED = {
    "plain": SPEC,
    "ref max, top_db": LogMelSpec(
        sample_rate=16_000, n_fft=256, hop_length=100, n_mels=12, frames=9, ref="max", top_db=30
    ),
    "normalised": LogMelSpec(
        sample_rate=16_000, n_fft=256, hop_length=256, n_mels=12, frames=9, normalization=Normalization(per_window=True)
    ),
}
HOP_S = 0.025  # 4 frames of SPEC, 400 samples of RAW


def windows_of(source: ArraySource, spec, hop_s: float = HOP_S):
    """Every window as (data, end, lost), copied; and the stream of windows when it has ended."""
    stream = open_windows(MonoStream(source, spec.sample_rate), spec, hop_s, ManualClock())
    found: list[tuple[np.ndarray, int, int]] = []
    while not stream.ended:
        window = stream.next()
        if window is not None:
            found.append((window.data.copy(), window.end, window.lost))
    return found, stream


def cut(samples: np.ndarray, spec, hop_s: float = HOP_S) -> list[tuple[np.ndarray, int]]:
    """What the windows of a whole recording must be: (data, end), by the batch front end and plain slices."""
    if isinstance(spec, WaveformSpec):
        hop = round(hop_s * spec.sample_rate)
        return [
            (samples[start : start + spec.samples], start + spec.samples)
            for start in range(0, len(samples) - spec.samples + 1, hop)
        ]
    front_end = LogMel(spec)
    frames = front_end.frames(np.ascontiguousarray(samples))
    return [
        (front_end.finish(frames[first : first + spec.frames]), first * spec.hop_length + spec.window_samples)
        for first in range(0, len(frames) - spec.frames + 1, spec.hop_frames(hop_s))
    ]


def real(samples: np.ndarray) -> np.ndarray:
    return samples[:, 0].astype(np.float32) / np.float32(32768)


def assert_windows(found, expected, lost: int = 0) -> None:
    assert [end for _, end, _ in found] == [end for _, end in expected]
    for (data, _, _), (wanted, _) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(data, wanted)
    assert [count for _, _, count in found] == [lost, *[0] * (len(found) - 1)][: len(found)]


@settings(max_examples=15, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**6), largest=st.sampled_from([7, 100, 399, 5000]), stalls=st.booleans())
@pytest.mark.parametrize("spec", [*FINISHED.values(), RAW], ids=[*FINISHED, "waveform"])
def test_windows_are_slices_of_the_whole_recording_to_the_bit_whatever_the_chunks(spec, seed, largest, stalls):
    samples = noise(6000)
    chunks = random.Random(seed)
    source = ArraySource(samples, 16_000, chunk=lambda: chunks.randint(0 if stalls else 1, largest))
    found, stream = windows_of(source, spec)
    expected = cut(real(samples), spec)
    assert len(expected) > 2
    assert_windows(found, expected)
    assert stream.unused_samples == len(samples) - expected[-1][1]


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("spec", [SPEC, RAW], ids=["log-mel", "waveform"])
@pytest.mark.parametrize("largest", [50, 1000, 100_000])
def test_windows_of_a_resampled_stream_are_those_of_the_resampled_recording_to_the_bit(rate, spec, largest):
    soxr = pytest.importorskip("soxr")
    samples = noise(rate // 3)
    chunks = random.Random(rate)
    found, stream = windows_of(ArraySource(samples, rate, chunk=lambda: chunks.randint(1, largest)), spec)
    resampled = soxr.resample(real(samples), rate, 16_000, quality="HQ")
    expected = [(data, round(end * rate / 16_000)) for data, end in cut(resampled, spec)]
    assert len(expected) > 5
    assert_windows(found, expected)
    assert stream.unused_samples == len(resampled) - cut(resampled, spec)[-1][1]


@pytest.mark.parametrize("spec", [*FINISHED.values(), RAW], ids=[*FINISHED, "waveform"])
@pytest.mark.parametrize("at", [1, 899, 900, 901, 2000, 4321])
def test_after_a_gap_windows_begin_again_and_the_first_one_carries_the_loss(spec, at):
    samples, lost = noise(12_000), 777
    found, stream = windows_of(ArraySource(samples, 16_000, gaps=[(at, at + lost)]), spec)
    before = cut(real(samples[:at]), spec) if at >= 256 else []
    after = [(data, at + lost + end) for data, end in cut(real(samples[at + lost :]), spec)]
    assert_windows(found[: len(before)], before)
    assert_windows(found[len(before) :], after, lost)
    assert stream.lost == 0


def test_a_gap_in_a_resampled_stream_is_counted_in_the_sources_own_samples():
    soxr = pytest.importorskip("soxr")
    samples, at, lost = noise(24_000), 12_345, 1234
    found, _ = windows_of(ArraySource(samples, 48_000, chunk=lambda: 1000, gaps=[(at, at + lost)]), SPEC)
    resampled = soxr.resample(real(samples[at + lost :]), 48_000, 16_000, quality="HQ")
    after = [(data, at + lost + 3 * end) for data, end in cut(resampled, SPEC)]
    assert_windows(found[-len(after) :], after, lost)
    assert sum(count for _, _, count in found) == lost


def test_gaps_too_close_for_a_window_between_them_add_up():
    samples = noise(6000)
    gaps = [(2000, 2100), (2500, 2503), (2503, 2510), (3000, 3001)]
    found, _ = windows_of(ArraySource(samples, 16_000, gaps=gaps), SPEC)
    assert [(end, count) for _, end, count in found if count] == [(3001 + SPEC.window_samples, 100 + 3 + 7 + 1)]


def test_a_loss_that_no_window_follows_is_still_counted():
    samples = noise(3000)
    found, stream = windows_of(ArraySource(samples, 16_000, gaps=[(2500, 2600)]), SPEC)
    assert sum(count for _, _, count in found) == 0
    assert stream.lost == 100


def test_samples_that_no_window_used_are_counted_across_a_gap():
    samples = noise(3000)
    found, stream = windows_of(ArraySource(samples, 16_000, gaps=[(2500, 2600)]), SPEC)
    assert stream.unused_samples == 2500 - found[-1][1] + 400


@settings(max_examples=30, derandomize=True, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 5999), max_size=8, unique=True).map(sorted),
    largest=st.sampled_from([50, 500, 5000]),
    spec=st.sampled_from([SPEC, RAW]),
)
def test_every_frame_is_in_a_window_or_unused_or_lost(cuts, largest, spec):
    gaps = list(zip(cuts[::2], cuts[1::2], strict=False))
    chunks = random.Random(1)
    source = ArraySource(noise(6000), 16_000, chunk=lambda: chunks.randint(1, largest), gaps=gaps)
    found, stream = windows_of(source, spec)
    assert sum(count for _, _, count in found) + stream.lost == sum(end - first for first, end in gaps)
    assert [end for _, end, _ in found] == sorted({end for _, end, _ in found})
    for _, end, _ in found:
        assert not any(first < end and end - spec.window_samples < last for first, last in gaps), "a window has a gap"


@pytest.mark.parametrize(
    ("hop_s", "frames"),
    [(0.5, 22), (0.01, 1), (0.0348, 1), (0.0349, 2), (0.25, 11), (0.9, 39), (0.998, 43), (1.0, 43), (60.0, 43)],
)
def test_the_hop_is_the_nearest_number_of_whole_frames_from_one_to_a_window(hop_s, frames):
    spec = LogMelSpec()
    stream = open_windows(MonoStream(ArraySource(noise(10), 22_050), 22_050), spec, hop_s, ManualClock())
    assert stream.hop_s == frames * 512 / 22_050


@pytest.mark.parametrize(("hop_s", "samples"), [(0.01, 160), (0.00001, 1), (0.05625, 900), (1.0, 900)])
def test_the_hop_of_raw_windows_is_a_whole_number_of_samples_up_to_a_window(hop_s, samples):
    found, stream = windows_of(ArraySource(noise(3000), 16_000), RAW, hop_s)
    assert stream.hop_s == samples / 16_000
    assert [end for _, end, _ in found] == list(range(900, 3001, samples))


def test_a_window_knows_when_its_last_sample_was_captured():
    clock = ManualClock()
    source = ArraySource(noise(16_000), 16_000, chunk=lambda: 333, clock=clock)
    stream = open_windows(MonoStream(source, 16_000), SPEC, HOP_S, clock)
    windows = [window for _ in range(40) if (window := stream.next()) is not None]
    assert len(windows) > 5
    for window in windows:
        assert window.captured_ns == source.captured_ns(window.end)


def test_an_incomplete_window_is_none_after_each_read_and_loses_nothing():
    turns = iter([500, 0, 400, 0, 0, 100_000])
    source = ArraySource(noise(SPEC.window_samples), 16_000, chunk=lambda: next(turns, 100_000))
    stream = open_windows(MonoStream(source, 16_000), SPEC, HOP_S, ManualClock())
    assert [stream.next() for _ in range(5)] == [None] * 5
    assert not stream.ended
    assert stream.unused_samples == 900
    window = stream.next()
    assert window is not None
    assert window.end == SPEC.window_samples
    assert stream.next() is None
    assert stream.ended


@pytest.mark.parametrize("spec", [SPEC, RAW], ids=["log-mel", "waveform"])
def test_the_time_that_computing_took_is_measured_without_the_waiting(spec):
    clock = TickingClock()
    stream = open_windows(MonoStream(ArraySource(noise(16_000), 16_000), 16_000), spec, HOP_S, clock)
    window = stream.next()
    assert window is not None
    assert window.features_us == TICK_NS / 1e3


@pytest.mark.parametrize("window_s", [12, 60])
@pytest.mark.parametrize("kind", ["log-mel", "waveform"])
def test_a_long_window_is_gathered_in_steps_of_a_second_so_that_its_reader_is_never_away_for_longer(kind, window_s):
    rate = 2000
    spec = {
        "log-mel": LogMelSpec(sample_rate=rate, n_fft=200, hop_length=200, n_mels=4, frames=window_s * 10),
        "waveform": WaveformSpec(sample_rate=rate, samples=window_s * rate),
    }[kind]
    clock = ManualClock()
    samples = noise((window_s + 2) * rate)
    source = ArraySource(samples, rate, chunk=lambda: rate, clock=clock)
    stream = open_windows(MonoStream(source, rate), spec, 0.5, clock)
    found, asked_s = [], []
    while not stream.ended:
        asked_s.append(clock.monotonic_ns() / 1e9)
        if (window := stream.next()) is not None:
            found.append((window.data.copy(), window.end, window.lost))
    assert np.diff(asked_s).max() <= 1
    assert_windows(found, cut(real(samples), spec, 0.5))
    assert len(found) == 5
