import contextlib
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomon.audio.file import FileSource
from audiomon.errors import InputError
from tests.manual_clock import ManualClock

RATE = 8000


def noise(frames: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(3).integers(-20_000, 20_000, (frames, channels)).astype(np.int16)


def write(path: Path, samples: np.ndarray, rate: int = RATE, **options) -> Path:
    soundfile.write(path, samples, rate, **options)
    return path


def as_float(samples: np.ndarray) -> np.ndarray:
    return samples / np.float32(32_768) if samples.dtype == np.int16 else samples


def read_all(source: FileSource, frames: int = 1000) -> np.ndarray:
    """Everything, in [-1, 1] whatever the file's encoding."""
    got = [np.empty((0, source.channels), dtype=np.float32)]
    position = 0
    while (block := source.read(frames)) is not None:
        assert block.position == position
        assert block.samples.shape[1] == source.channels
        position += len(block.samples)
        got.append(as_float(block.samples.copy()))
    return np.concatenate(got)


def read_until_error(source: FileSource) -> tuple[int, str]:
    counts = []
    with pytest.raises(InputError) as caught:
        counts.extend(len(block.samples) for block in iter(lambda: source.read(1000), None))
    return sum(counts), str(caught.value)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff", "a.w64", "a.rf64", "a.au", "a.caf"])
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (192_000, 2), (44_100, 8)])
def test_a_16_bit_file_of_any_rate_and_channels_gives_its_own_samples(tmp_path, name, rate, channels):
    samples = noise(5003, channels)
    path = write(tmp_path / name, samples, rate)
    assert FileSource(path).read(10).samples.dtype == np.int16
    source = FileSource(path)
    assert (source.sample_rate, source.channels, source.frames) == (rate, channels, 5003)
    np.testing.assert_array_equal(read_all(source, 700), samples / np.float32(32_768))


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg"])
def test_a_complete_compressed_file_is_not_taken_for_truncated(tmp_path, name):
    source = FileSource(write(tmp_path / name, noise(22_050), 22_050))
    assert len(read_all(source)) == source.frames == 22_050


def test_one_sample_is_a_file(tmp_path):
    assert read_all(FileSource(write(tmp_path / "a.wav", noise(1)))).shape == (1, 1)


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        FileSource(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_files_that_are_no_audio_are_refused_with_what_they_are(tmp_path):
    assert "no such file" in refused(tmp_path / "missing.wav")
    assert "is a folder" in refused(tmp_path)
    (tmp_path / "empty.wav").touch()
    assert "is empty" in refused(tmp_path / "empty.wav")
    (tmp_path / "text.wav").write_text("RIFF is how a WAV begins, and this is not one")
    assert "is not audio" in refused(tmp_path / "text.wav")
    (tmp_path / "short.wav").write_bytes(b"RIFF")
    assert "is not audio" in refused(tmp_path / "short.wav")
    (tmp_path / "noise.mp3").write_bytes(bytes(range(256)) * 40)
    assert "is not audio" in refused(tmp_path / "noise.mp3")
    assert "holds no samples" in refused(write(tmp_path / "none.wav", noise(0)))


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.w64", "a.rf64", "a.au"])
@pytest.mark.parametrize("part", [0.3, 0.9])
def test_a_truncated_file_gives_all_that_is_there_and_then_says_what_is_missing(tmp_path, name, part):
    samples = noise(16_000)
    path = write(tmp_path / name, samples)
    whole = path.read_bytes()
    header_bytes = len(whole) - 2 * len(samples)
    there = int(len(samples) * part)
    path.write_bytes(whole[: header_bytes + 2 * there])
    source = FileSource(path)
    count, message = read_until_error(source)
    assert count == pytest.approx(there, abs=30)
    assert message.startswith(f"{path}: truncated: its header promises ")
    promised_s, there_s = (float(word) for word in message.split() if word.replace(".", "").isdigit())
    assert promised_s == pytest.approx(2.0, rel=0.02)
    assert there_s == pytest.approx(there / RATE, abs=0.006)


@pytest.mark.parametrize("name", ["a.flac", "a.mp3", "a.ogg"])
def test_a_truncated_compressed_file_gives_what_can_be_decoded_and_then_an_error(tmp_path, name):
    path = write(tmp_path / name, noise(60_000), 22_050)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * 0.9)])
    count, message = read_until_error(FileSource(path))
    assert 0.7 * 60_000 < count < 60_000
    assert message.startswith(f"{path}: ")
    assert "truncated" in message


def with_sizes(path: Path, riff: int, data: int) -> Path:
    """Overwrite the two sizes in a WAV's header, as writers do that cannot go back."""
    raw = bytearray(path.read_bytes())
    at = raw.index(b"data")
    raw[4:8] = struct.pack("<I", riff)
    raw[at + 4 : at + 8] = struct.pack("<I", data)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(
    ("riff", "data"),
    [
        (0, 0),
        (36, 0),
        (0xFFFF_FFFF, 0xFFFF_FFFF),
        (0xFFFF_FFFF, 0xFFFF_FFFF - 36),
        (0x7FFF_FFFF, 0x7FFF_FFFF - 36),
        (0x8000_0024, 0x8000_0000),
    ],
)
def test_sizes_that_a_streaming_writer_could_not_know_are_harmless(tmp_path, riff, data):
    samples = noise(5000)
    path = with_sizes(write(tmp_path / "a.wav", samples), riff, data)
    np.testing.assert_array_equal(read_all(FileSource(path)), samples / np.float32(32_768))


def test_an_unsized_wav_is_found_behind_other_chunks(tmp_path):
    samples = noise(5000)
    path = with_sizes(write(tmp_path / "a.wav", samples), 0, 0)
    raw = path.read_bytes()
    at = raw.index(b"data")
    path.write_bytes(raw[:at] + b"junk" + struct.pack("<I", 3) + b"abc\0" + raw[at:])
    np.testing.assert_array_equal(read_all(FileSource(path)), samples / np.float32(32_768))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 2500, 7999])
def test_nan_and_infinity_are_refused_with_their_place(tmp_path, bad, at):
    samples = np.zeros((8000, 2), dtype=np.float32)
    samples[at, 1] = bad
    source = FileSource(write(tmp_path / "a.wav", samples, subtype="FLOAT"))
    count, message = read_until_error(source)
    assert count == at // 1000 * 1000
    assert f"not a number at {at / RATE:.3f} s" in message


@pytest.mark.filterwarnings("error")
def test_infinities_that_cancel_are_noticed(tmp_path):
    samples = np.zeros(8000, dtype=np.float32)
    samples[10], samples[11] = np.inf, -np.inf
    assert "not a number" in read_until_error(FileSource(write(tmp_path / "a.wav", samples, subtype="FLOAT")))[1]


def test_samples_above_full_scale_are_audio(tmp_path):
    samples = np.full((100, 1), 3.5, dtype=np.float32)
    np.testing.assert_array_equal(read_all(FileSource(write(tmp_path / "a.wav", samples, subtype="FLOAT"))), samples)


def test_realtime_gives_samples_no_sooner_than_a_microphone_would(tmp_path):
    clock = ManualClock()
    samples = noise(RATE * 60)
    source = FileSource(write(tmp_path / "a.wav", samples), realtime=True, clock=clock)
    assert source.live
    got = 0
    while (block := source.read(900)) is not None:
        got += len(block.samples)
        assert clock.monotonic_ns() >= got * 1_000_000_000 // RATE
        assert max(clock.slept_s, default=0) <= 0.25
    assert got == len(samples)
    assert clock.monotonic_ns() == pytest.approx(60e9, abs=0.2e9)


def test_realtime_asked_for_much_lets_the_caller_look_up_and_loses_nothing(tmp_path):
    clock = ManualClock()
    samples = noise(RATE * 3)
    source = FileSource(write(tmp_path / "a.wav", samples), realtime=True, clock=clock)
    blocks = []
    while (block := source.read(RATE)) is not None:
        blocks.append(block.samples.copy())
    assert [len(block) for block in blocks if len(block)] == [RATE] * 3
    assert sum(not len(block) for block in blocks) >= 9
    np.testing.assert_array_equal(np.concatenate(blocks), samples)


def test_without_realtime_nothing_sleeps(tmp_path):
    clock = ManualClock()
    read_all(FileSource(write(tmp_path / "a.wav", noise(RATE * 60)), clock=clock))
    assert not clock.slept_s


def test_closing_ends_the_stream(tmp_path):
    source = FileSource(write(tmp_path / "a.wav", noise(5000)))
    assert source.read(10) is not None
    source.close()
    source.close()
    assert source.read(10) is None


def test_going_back_gives_the_same_samples_again(tmp_path):
    samples = noise(5000)
    source = FileSource(write(tmp_path / "a.flac", samples))
    source.read(3000)
    assert source.rewind(1000) == 1000
    block = source.read(500)
    assert block.position == 2000
    np.testing.assert_array_equal(block.samples, samples[2000:2500])
    assert source.rewind(9999) == 2500
    assert source.read(1).position == 0


def test_numbers_that_no_recording_has_are_refused_before_they_leave_the_range_of_float32(tmp_path):
    samples = np.zeros((4000, 1), dtype=np.float32)
    samples[3000] = -1e30
    _, message = read_until_error(FileSource(write(tmp_path / "a.wav", samples, subtype="FLOAT")))
    assert message.endswith(f"no audio at {3000 / RATE:.3f} s: a sample of 1e+30")


def test_a_float_recording_may_be_louder_than_full_scale(tmp_path):
    samples = np.full((4000, 1), 900.0, dtype=np.float32)
    np.testing.assert_array_equal(read_all(FileSource(write(tmp_path / "a.wav", samples, subtype="FLOAT"))), samples)


def test_damaged_mp3_says_nothing_past_the_user(tmp_path, capfd):
    path = write(tmp_path / "a.mp3", noise(22_050), 22_050)
    data = bytearray(path.read_bytes())
    data[900:2900] = bytes(range(250)) * 8
    path.write_bytes(data)
    with contextlib.suppress(InputError):
        read_all(FileSource(path))
    assert capfd.readouterr().err == ""


def open_files(path: Path) -> int:
    return sum(1 for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink() and fd.resolve() == path.resolve())


def unsized(path: Path, samples: np.ndarray) -> Path:
    """A WAV whose writer did not live to fill in the size."""
    content = bytearray(write(path, samples).read_bytes())
    content[40:44] = bytes(4)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("writes", [write, unsized])
def test_closing_closes_the_file_and_a_context_does_it_by_itself(tmp_path, writes):
    path = writes(tmp_path / "a.wav", noise(100))
    with FileSource(path) as source:
        assert len(source.read(10).samples) == 10
        assert open_files(path) == 1
    assert open_files(path) == 0
    assert source.read(10) is None
    assert source.rewind(5) == 0
    assert source.captured_end == 10
    source.close()


@pytest.mark.parametrize("writes", [write, unsized])
def test_a_source_that_nobody_closed_closes_with_its_last_reference(tmp_path, writes, recwarn):
    path = writes(tmp_path / "a.wav", noise(100))
    source = FileSource(path)
    del source
    assert open_files(path) == 0
    assert not recwarn.list


def test_closing_during_a_read_leaves_the_file_to_the_read(tmp_path):
    """The clock is read while a block is made, so closing from there is closing in the middle."""

    class ClosingClock(ManualClock):
        source: FileSource | None = None

        def monotonic_ns(self) -> int:
            if self.source is not None:
                self.source.close()
            return super().monotonic_ns()

    clock = ClosingClock()
    path = write(tmp_path / "a.wav", noise(100))
    source = FileSource(path, clock=clock)
    clock.source = source
    np.testing.assert_array_equal(source.read(60).samples, noise(100)[:60])
    assert open_files(path) == 0
    assert source.read(10) is None
