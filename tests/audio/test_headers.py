"""Lengths that headers do not know, hide or get wrong, in the containers that people's recorders write."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomon.audio.file import FileSource
from audiomon.errors import InputError
from tests.audio.test_file import RATE, as_float, noise, read_all, read_until_error, with_sizes, write

SAMPLES = noise(16_000)
BYTES = 2 * len(SAMPLES)


def wave(path: Path, data_size: int, content: bytes = SAMPLES.tobytes(), behind: bytes = b"") -> Path:
    """A WAV of 8 kHz mono with any size in its header."""
    fmt = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    sizes = struct.pack("<I", (36 + data_size) & 0xFFFF_FFFF), struct.pack("<I", data_size)
    head = b"RIFF" + sizes[0] + b"WAVEfmt " + struct.pack("<I", 16) + fmt + b"data" + sizes[1]
    path.write_bytes(head + content + behind)
    return path


def heard(path: Path) -> np.ndarray:
    return read_all(FileSource(path))


def assert_whole(path: Path, samples: np.ndarray = SAMPLES) -> None:
    np.testing.assert_array_equal(heard(path), as_float(samples))


@pytest.mark.parametrize("size", [BYTES // 3, 2 * RATE, 4, 0])
def test_sound_that_the_header_leaves_out_is_heard(tmp_path, size):
    assert_whole(wave(tmp_path / "a.wav", size))


@pytest.mark.parametrize("too_much", [1, 2, 8, 36, 44, 488])
def test_a_size_that_counts_the_header_is_no_truncation(tmp_path, too_much):
    assert_whole(wave(tmp_path / "a.wav", BYTES + too_much))


@pytest.mark.parametrize("size", [0x7F00_0000, 0x3FFF_FFFF, 0x7FFF_F000, 0x8000_0024, 0xFFFF_F000, 0xFFFF_FFFF])
def test_placeholders_of_streaming_writers_are_no_promise(tmp_path, size):
    assert_whole(wave(tmp_path / "a.wav", size))


@pytest.mark.parametrize(
    "behind",
    [
        b"LIST" + struct.pack("<I", 4) + b"INFO",
        b"iXML" + struct.pack("<I", 3) + b"<x>\0" + b"bext" + struct.pack("<I", 2) + b"ab",
        b"LIST" + struct.pack("<I", 4000) + b"INFO",  # itself cut off
        b"TAG" + bytes(125),
        bytes(30_000),
        b"?" * 100,
    ],
)
def test_what_stands_behind_the_data_and_is_no_sound_is_not_heard(tmp_path, behind):
    assert_whole(wave(tmp_path / "a.wav", BYTES, behind=behind))


def test_recordings_joined_by_cat_are_heard_one_after_the_other(tmp_path):
    first = write(tmp_path / "1.wav", SAMPLES).read_bytes()
    second = write(tmp_path / "2.wav", SAMPLES[::-1]).read_bytes()
    (tmp_path / "both.wav").write_bytes(first + second)
    assert_whole(tmp_path / "both.wav", np.concatenate([SAMPLES, SAMPLES[::-1]]))


def test_one_that_goes_on_in_another_format_is_heard_so_far_and_then_named(tmp_path):
    first = write(tmp_path / "1.wav", SAMPLES).read_bytes()
    second = write(tmp_path / "2.wav", SAMPLES, 16_000).read_bytes()
    (tmp_path / "both.wav").write_bytes(first + second)
    count, message = read_until_error(FileSource(tmp_path / "both.wav"))
    assert count == len(SAMPLES)
    assert "goes on in another format after 2.00 s (16000 Hz, channels: 1)" in message


def test_going_back_stays_within_one_of_several_joined_recordings(tmp_path):
    one = write(tmp_path / "1.wav", SAMPLES).read_bytes()
    (tmp_path / "both.wav").write_bytes(one + one)
    source = FileSource(tmp_path / "both.wav")
    while source.read(4000).position < 16_000:
        pass
    assert source.rewind(9999) == 4000
    np.testing.assert_array_equal(source.read(100).samples, SAMPLES[:100])


def test_a_header_with_no_samples_and_chunks_behind_it_is_empty(tmp_path):
    path = wave(tmp_path / "a.wav", 0, content=b"", behind=b"LIST" + struct.pack("<I", 4) + b"INFO")
    with pytest.raises(InputError, match="holds no samples"):
        FileSource(path)


@pytest.mark.parametrize("size", [0, BYTES // 2])
def test_an_rf64_whose_ds64_was_never_written_is_heard(tmp_path, size):
    path = write(tmp_path / "a.wav", SAMPLES, format="RF64")
    raw = bytearray(path.read_bytes())
    at = raw.index(b"ds64") + 8
    raw[at : at + 24] = struct.pack("<QQQ", 0, size, 0)
    path.write_bytes(raw)
    assert_whole(path)


def test_a_bw64_is_read_as_the_rf64_that_it_is(tmp_path):
    path = write(tmp_path / "a.wav", SAMPLES, format="RF64")
    path.write_bytes(path.read_bytes().replace(b"RF64", b"BW64", 1))
    assert_whole(path)


@pytest.mark.parametrize("size", [0, BYTES // 2, BYTES + 24, 0x7F00_0000, 0xFFFF_FFFF])
def test_an_au_of_unknown_or_wrong_size_is_heard(tmp_path, size):
    path = write(tmp_path / "a.au", SAMPLES)
    raw = bytearray(path.read_bytes())
    raw[8:12] = struct.pack(">I", size)
    path.write_bytes(raw)
    assert_whole(path)


@pytest.mark.parametrize("size", [(1 << 64) - 1, 4, BYTES // 2])
def test_a_caf_of_unknown_or_wrong_size_is_heard(tmp_path, size):
    path = write(tmp_path / "a.caf", SAMPLES)
    raw = bytearray(path.read_bytes())
    at = raw.rindex(b"data", 0, len(raw) - BYTES) + 4
    raw[at : at + 8] = struct.pack(">Q", size)
    path.write_bytes(raw)
    assert_whole(path)


@pytest.mark.parametrize("size", [0, BYTES // 2, 0x7F00_0000 - 8, 0xFFFF_FFFF - 8])
def test_an_aiff_of_unknown_or_wrong_size_is_heard(tmp_path, size):
    path = write(tmp_path / "a.aiff", SAMPLES)
    raw = bytearray(path.read_bytes())
    common, sound = raw.index(b"COMM"), raw.index(b"SSND")
    raw[common + 10 : common + 14] = struct.pack(">I", size // 2)
    raw[sound + 4 : sound + 8] = struct.pack(">I", size + 8)
    path.write_bytes(raw)
    assert_whole(path)


@pytest.mark.parametrize("size", [24, 24 + BYTES // 2])
def test_a_wave64_whose_size_was_never_updated_is_heard(tmp_path, size):
    path = write(tmp_path / "a.w64", SAMPLES)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"data\xf3\xac\xd3\x11") + 16
    raw[at : at + 8] = struct.pack("<Q", size)
    path.write_bytes(raw)
    assert_whole(path)


def sparse(path: Path, data_size: int, there: int) -> Path:
    """A WAV with a hole of zeros, then a click."""
    wave(path, data_size, content=b"")
    with path.open("r+b") as file:
        file.truncate(44 + there)
        file.seek(44 + there - 2)
        file.write(struct.pack("<h", 12_345))
    return path


@pytest.mark.parametrize("said", [RATE * 4, 0, 0xFFFF_FFFF])
def test_a_wav_past_4_gib_is_heard_to_its_end(tmp_path, said):
    there = (1 << 32) + RATE * 4
    source = FileSource(sparse(tmp_path / "a.wav", said, there))
    assert source.frames == there // 2
    # As a reader that has come this far: decoding 4 GiB of zeros proves no more.
    source._position = there // 2 - 10
    source._decoder.seek(there // 2 - 10)
    block = source.read(100)
    assert block.samples.ravel().tolist() == [0] * 9 + [12_345]
    assert source.read(1) is None


def test_no_header_however_damaged_raises_anything_but_an_input_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)  # without ffmpeg, which takes long to start
    rng = np.random.default_rng(7)
    for name in ("a.wav", "a.aiff", "a.au", "a.caf", "a.w64", "a.rf64", "a.flac", "a.ogg", "a.mp3"):
        path = write(tmp_path / name, noise(2000))
        whole = path.read_bytes()
        for _ in range(20):
            broken = bytearray(whole)
            for place in rng.integers(0, 120, 3):
                broken[place] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
            path.write_bytes(broken)
            try:
                source = FileSource(path)
                while source.read(4000) is not None and source._position < 100_000:
                    pass
            except InputError:
                pass


def test_a_file_that_is_whole_is_opened_as_it_is(tmp_path):
    for name in ("a.wav", "a.aiff", "a.au", "a.caf", "a.w64", "a.rf64", "a.flac", "a.ogg"):
        source = FileSource(write(tmp_path / name, SAMPLES))
        assert [(part.head, part.start) for part in source._parts] == [(b"", 0)], name


def test_sizes_of_zero_in_a_big_endian_wav_are_understood(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, SAMPLES, RATE, format="WAV", endian="BIG")
    raw = bytearray(path.read_bytes())
    assert raw[:4] == b"RIFX"
    at = raw.index(b"data") + 4
    raw[at : at + 4] = bytes(4)
    path.write_bytes(raw)
    assert_whole(path)


def test_with_sizes_is_what_a_truncated_file_is_not(tmp_path):
    count, message = read_until_error(FileSource(with_sizes(write(tmp_path / "a.wav", SAMPLES), 100_036, 100_000)))
    assert count == len(SAMPLES)
    assert "truncated: its header promises 6.25 s" in message
