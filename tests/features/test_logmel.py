import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomon.features import LogMel, LogMelSpec, Normalization
from tests.features.grid import specs
from tests.features.signals import chirp, everything, noise, quantised, silence, tone

SPEC = LogMelSpec()
LINEAR = LogMelSpec(log="none", norm="none")


def window_of(spec, samples):
    front_end = LogMel(spec)
    return front_end.finish(front_end.frames(samples))


class TestFrames:
    @pytest.mark.parametrize(("samples", "frames"), [(0, 0), (2047, 0), (2048, 1), (2559, 1), (2560, 2), (23552, 43)])
    def test_are_counted_only_where_they_lie_whole_within_the_samples(self, samples, frames):
        assert LogMel(SPEC).count(samples) == frames
        assert LogMel(SPEC).frames(silence(samples)).shape == (frames, 40)

    def test_of_a_tone_hold_its_power(self):
        # Under a periodic Hann window a sine of amplitude a, k whole cycles in n samples, has the power (a·n/4)² in bin
        # k and a quarter of that on either side. Triangles without a norm add up to 1 between the outer bands.
        n = LINEAR.n_fft
        samples = (0.5 * np.sin(2 * np.pi * 200 * np.arange(n) / n)).astype(np.float32)
        bands = LogMel(LINEAR).frames(samples)[0]
        assert bands.sum() == pytest.approx(1.5 * (0.5 * n / 4) ** 2, rel=1e-5)

    @pytest.mark.parametrize("power", [1, 2])
    def test_of_a_tone_ten_times_as_loud_are_20_db_higher_whether_powers_or_magnitudes_are_summed(self, power):
        front_end = LogMel(LogMelSpec(power=power))
        loud = np.sin(2 * np.pi * 200 * np.arange(2048) / 2048).astype(np.float32)
        band = front_end.frames(loud)[0].argmax()
        difference_db = front_end.frames(loud)[0, band] - front_end.frames(loud / 10)[0, band]
        assert difference_db == pytest.approx(20, abs=1e-4)

    def test_of_a_tone_peak_in_the_band_around_it(self):
        # 42 edges, evenly spaced in mel, from 0 to 2595·log10(1 + 11025/700).
        spec = LogMelSpec(mel_scale="htk")
        highest = 2595 * np.log10(1 + 11_025 / 700)
        for band in (5, 20, 38):
            middle_hz = 700 * (10 ** ((band + 1) * highest / 41 / 2595) - 1)
            assert LogMel(spec).frames(tone(2048, middle_hz / 22_050))[0].argmax() == band

    def test_of_silence_are_amin(self):
        assert LogMel(SPEC).frames(silence(4096)) == pytest.approx(-100, abs=1e-4)

    def test_are_written_where_the_caller_wants_them(self):
        samples = noise(SPEC.window_samples)
        room = np.full((50, 40), np.nan, dtype=np.float32)
        written = LogMel(SPEC).frames(samples, room[3:46])
        assert np.shares_memory(written, room)
        np.testing.assert_array_equal(room[3:46], LogMel(SPEC).frames(samples))
        assert np.isnan(room[:3]).all()
        assert np.isnan(room[46:]).all()

    def test_do_not_need_contiguous_samples(self):
        samples = noise(20_000)
        np.testing.assert_array_equal(LogMel(SPEC).frames(samples[::2]), LogMel(SPEC).frames(samples[::2].copy()))

    def test_do_not_change_the_samples(self):
        samples = noise(SPEC.window_samples)
        samples.setflags(write=False)
        LogMel(SPEC).frames(samples)

    def test_of_damaged_samples_leave_their_neighbours_alone(self):
        samples = noise(2048 + 40 * 512)
        expected = LogMel(SPEC).frames(samples)
        samples[20 * 512 + 100] = np.nan
        frames = LogMel(SPEC).frames(samples)
        heard = [frame for frame in range(41) if not frame * 512 <= 20 * 512 + 100 < frame * 512 + 2048]
        assert len(heard) == 37
        np.testing.assert_array_equal(frames[heard], expected[heard])


class TestTheSameBits:
    @settings(max_examples=60, deadline=None)
    @given(spec=specs(), calls=st.lists(st.integers(1, 60), min_size=1, max_size=8), data=st.data())
    def test_whatever_calls_the_signal_comes_in(self, spec, calls, data):
        count = sum(calls)
        before = data.draw(st.integers(0, 16), label="samples before, so that memory is aligned otherwise")
        samples = everything(before + spec.n_fft + (count - 1) * spec.hop_length)[before:]
        together = LogMel(spec).frames(samples)
        front_end = LogMel(spec)
        first = 0
        for frames in calls:
            start = first * spec.hop_length
            part = samples[start : start + spec.n_fft + (frames - 1) * spec.hop_length]
            assert front_end.frames(part).tobytes() == together[first : first + frames].tobytes()
            first += frames

    def test_one_frame_at_a_time_or_ten_thousand(self):
        spec = LogMelSpec(hop_length=80)
        samples = everything(spec.n_fft + 9_999 * spec.hop_length)
        front_end = LogMel(spec)
        together = front_end.frames(samples)
        assert together.shape == (10_000, 40)
        alone = np.empty_like(together)
        for frame in range(10_000):
            start = frame * spec.hop_length
            front_end.frames(samples[start : start + spec.n_fft], alone[frame : frame + 1])
        assert alone.tobytes() == together.tobytes()


class TestFinish:
    def test_has_nothing_to_do_for_most_specs(self):
        frames = LogMel(SPEC).frames(noise(SPEC.window_samples))
        assert LogMel(SPEC).finish(frames) is frames

    @pytest.mark.parametrize(
        "spec",
        [
            SPEC,
            LogMelSpec(ref="max"),
            LogMelSpec(top_db=30.0),
            LogMelSpec(normalization=Normalization(mean=-20.0, std=10.0)),
            LogMelSpec(normalization=Normalization(per_window=True)),
        ],
    )
    def test_leaves_the_frames_for_the_next_window(self, spec):
        frames = LogMel(spec).frames(chirp(spec.window_samples))
        frames.setflags(write=False)
        out = np.empty_like(frames)
        assert LogMel(spec).finish(frames, out) is out
        np.testing.assert_array_equal(LogMel(spec).finish(frames), out)

    def test_makes_the_loudest_value_0_db(self):
        plain = window_of(SPEC, chirp(SPEC.window_samples))
        window = window_of(LogMelSpec(ref="max"), chirp(SPEC.window_samples))
        np.testing.assert_array_equal(window, plain - plain.max())

    def test_raises_what_is_far_below_the_windows_own_loudest_value(self):
        plain = window_of(SPEC, chirp(SPEC.window_samples))
        window = window_of(LogMelSpec(top_db=30.0), chirp(SPEC.window_samples))
        np.testing.assert_array_equal(window, np.maximum(plain, plain.max() - 30))
        assert (plain < window).any()

    def test_normalises_last_of_all(self):
        mean, std = tuple(np.linspace(-40, -1, 40)), tuple(np.linspace(1, 40, 40))
        spec = LogMelSpec(ref="max", normalization=Normalization(mean=mean, std=std))
        expected = (window_of(LogMelSpec(ref="max"), noise(spec.window_samples)) - np.array(mean)) / np.array(std)
        np.testing.assert_allclose(window_of(spec, noise(spec.window_samples)), expected, rtol=1e-5, atol=1e-6)

    def test_gives_every_window_the_mean_0_and_the_deviation_1_if_asked(self):
        window = window_of(LogMelSpec(normalization=Normalization(per_window=True)), chirp(SPEC.window_samples))
        assert window.mean(dtype=np.float64) == pytest.approx(0, abs=1e-5)
        assert window.std(dtype=np.float64) == pytest.approx(1, abs=1e-5)

    @pytest.mark.parametrize("frames", [1, 3, 43, 77])
    def test_leaves_silence_silent_when_its_own_deviation_is_0(self, frames):
        spec = LogMelSpec(frames=frames, normalization=Normalization(per_window=True))
        np.testing.assert_array_equal(window_of(spec, silence(spec.window_samples)), 0)


def test_a_long_transform_needs_little_memory():
    # Scratch is bounded: a row of 32 768 is computed alone, and right.
    spec = LogMelSpec(n_fft=32_768, hop_length=32_768, frames=2, log="none")
    samples = quantised(np.cos(2 * np.pi * 0.01 * np.arange(spec.window_samples)) / 2)
    front_end = LogMel(spec)
    scratch = sum(value.nbytes for value in vars(front_end).values() if isinstance(value, np.ndarray))
    assert scratch < 3_000_000
    assert front_end.frames(samples).tobytes() == b"".join(
        front_end.frames(samples[start : start + 32_768]).tobytes() for start in (0, 32_768)
    )


@pytest.mark.parametrize(
    ("power", "log", "expected"),
    [
        (2, "ln", np.log),
        (2, "log10", np.log10),
        (2, "db", lambda bands: 10 * np.log10(bands)),
        (1, "db", lambda bands: 20 * np.log10(bands)),
    ],
)
def test_every_logarithm_is_that_of_the_linear_bands(power, log, expected):
    samples = noise(SPEC.window_samples)
    linear = window_of(LogMelSpec(power=power, log="none"), samples).astype(np.float64)
    window = window_of(LogMelSpec(power=power, log=log), samples)
    np.testing.assert_allclose(window, expected(linear), rtol=1e-5, atol=1e-5)


def test_the_feature_package_imports_numpy_and_msgspec_and_nothing_else():
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import audiomon.features\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(new - sys.stdlib_module_names))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = {name for name in result.stdout.split() if not name.startswith(("_cython", "cython_runtime"))}
    # msgspec takes typing_extensions where it is installed.
    assert modules - {"typing_extensions"} == {"audiomon", "msgspec", "numpy"}
