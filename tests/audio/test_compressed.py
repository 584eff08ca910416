"""MP3, Ogg and FLAC of unknown, estimated and hidden lengths."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomon.audio import ogg
from audiomon.audio.file import FileSource
from audiomon.audio.mpeg import behind_id3
from audiomon.audio.partial_file import FileBytes
from audiomon.errors import InputError
from tests.audio.test_file import RATE, as_float, noise, read_all, read_until_error, write

MP3_RATE = 22_050
LENGTH = 3 * MP3_RATE
OGGS = [("a.ogg", {}), ("a.opus", {"format": "OGG", "subtype": "OPUS"})]


def mp3(path: Path, *, quiet_s: float = 0, loud_first: bool = True, stated: bool = True, **options) -> bytes:
    """An MP3 of noise and silence; where its length is not stated, without the frame that libmp3lame puts first."""
    quiet, loud = np.zeros(int(quiet_s * MP3_RATE), np.int16), noise(LENGTH)[:, 0]
    write(path, np.concatenate([loud, quiet] if loud_first else [quiet, loud]), MP3_RATE, **options)
    data = path.read_bytes()
    if not stated:
        # The next frame begins with the same two bytes.
        data = data[data.index(data[:2], 60) :]
        assert b"Xing" not in data[:200]
        assert b"Info" not in data[:200]
    path.write_bytes(data)
    return data


def seconds(path: Path) -> float:
    source = FileSource(path)
    return len(read_all(source)) / source.sample_rate


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("quiet_s", [0, 6])
@pytest.mark.parametrize("loud_first", [True, False])
def test_an_mp3_that_does_not_state_its_length_is_whole_and_heard_to_its_end(tmp_path, mode, quiet_s, loud_first):
    path = tmp_path / "a.mp3"
    mp3(path, quiet_s=quiet_s, loud_first=loud_first, stated=False, bitrate_mode=mode)
    assert seconds(path) == pytest.approx(3 + quiet_s, abs=0.12)


def test_the_header_put_before_an_mp3_changes_none_of_its_samples(tmp_path):
    path = tmp_path / "a.mp3"
    mp3(path, bitrate_mode="CONSTANT")
    stated = read_all(FileSource(path))
    mp3(path, stated=False, bitrate_mode="CONSTANT")
    counted = read_all(FileSource(path))
    start = max(range(2500), key=lambda offset: float(np.dot(stated[4000:6000, 0], counted[offset + 4000 :][:2000, 0])))
    np.testing.assert_allclose(counted[start + 4000 : start + 60_000], stated[4000:60_000], atol=1e-4)


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_an_mp3_read_in_blocks_gives_the_samples_that_it_gives_at_once(tmp_path, mode):
    path = tmp_path / "a.mp3"
    mp3(path, bitrate_mode=mode)
    at_once, _ = soundfile.read(path, dtype="float32", always_2d=True)
    np.testing.assert_allclose(read_all(FileSource(path), 1000), at_once, atol=1e-6)


def test_an_mp3_in_a_wav_is_heard_to_its_end(tmp_path):
    content = mp3(tmp_path / "a.mp3", stated=False, bitrate_mode="VARIABLE", quiet_s=4, loud_first=True)
    fmt = b"\x55\0\1\0" + MP3_RATE.to_bytes(4, "little") + (4000).to_bytes(4, "little") + b"\1\0\0\0\x0c\0"
    fmt += b"\1\0\2\0\0\0\x80\2\1\0\0\0"
    chunks = b"fmt " + len(fmt).to_bytes(4, "little") + fmt + b"data" + len(content).to_bytes(4, "little") + content
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF" + (4 + len(chunks)).to_bytes(4, "little") + b"WAVE" + chunks)
    assert seconds(path) == pytest.approx(7, abs=0.12)


@pytest.mark.parametrize("stated", [(True, True), (True, False), (False, True), (False, False)])
def test_joined_mp3s_are_heard_to_the_end(tmp_path, stated):
    parts = [mp3(tmp_path / "part.mp3", stated=one) for one in stated]
    path = tmp_path / "both.mp3"
    path.write_bytes(parts[0] + b"TAG" + bytes(125) + b"ID3\3\0\0\0\0\0\x0a" + bytes(10) + parts[1])
    assert seconds(path) == pytest.approx(6, abs=0.25)


def test_tags_around_an_mp3_are_no_sound(tmp_path):
    path = tmp_path / "a.mp3"
    data = mp3(path)
    length = seconds(path)
    path.write_bytes(b"ID3\3\0\0\0\0\1\0" + bytes(128) + data + b"TAG" + b"\xff" * 125)
    with path.open("rb") as file:
        assert behind_id3(FileBytes(file.fileno()), 0, 10_000) == 138
    assert seconds(path) == length


def test_an_mp3_through_a_pipe_or_without_its_suffix_is_an_mp3(tmp_path):
    for stated in (True, False):
        mp3(tmp_path / "a.mp3", stated=stated)
        length = seconds(tmp_path / "a.mp3")
        assert length == pytest.approx(3, abs=0.12)
        (tmp_path / "a.mp3").rename(tmp_path / "recording")
        assert seconds(tmp_path / "recording") == length


def test_an_mp3_without_its_beginning_is_heard(tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(mp3(path)[3000:])
    assert 1.5 < seconds(path) < 3


def test_a_cut_off_mp3_that_states_its_length_is_truncated(tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(mp3(path)[:-10_000])
    assert "truncated: its header promises 3.00 s" in read_until_error(FileSource(path))[1]


@pytest.mark.parametrize(("name", "options"), OGGS)
def test_chained_ogg_streams_are_all_heard(tmp_path, name, options):
    one = write(tmp_path / name, noise(48_000), 24_000, **options)
    single = read_all(FileSource(one))
    one.write_bytes(one.read_bytes() * 3)
    assert FileSource(one).rewind(10) == 0
    np.testing.assert_array_equal(read_all(FileSource(one)), np.concatenate([single] * 3))


def test_an_ogg_cut_off_within_a_page_is_truncated_whatever_its_codec(tmp_path):
    for name, options in OGGS:
        path = write(tmp_path / name, noise(48_000), 24_000, **options)
        path.write_bytes(path.read_bytes()[:-700])
        assert "truncated" in read_until_error(FileSource(path))[1]


@pytest.mark.parametrize(("name", "options"), OGGS)
def test_where_a_chained_ogg_is_cut_off_counts_from_the_beginning_of_the_file(tmp_path, name, options):
    path = write(tmp_path / name, noise(72_000), 24_000, **options)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:-300])
    count, message = read_until_error(FileSource(path))
    assert 72_000 < count < 144_000
    assert f"the data end at {count / 24_000:.2f} s" in message


@pytest.mark.parametrize("known", [True, False])
def test_where_the_last_of_joined_flacs_is_cut_off_counts_from_the_beginning_of_the_file(tmp_path, known):
    path = tmp_path / "both.flac"
    path.write_bytes(flac(path, noise(3 * RATE), known=known) + flac(path, noise(2 * RATE), known=known)[:-3000])
    count, message = read_until_error(FileSource(path))
    assert 3.5 * RATE < count < 5 * RATE
    assert f"truncated after {count / RATE:.2f} s" in message


def link(path: Path, frames: int, options: dict[str, str]) -> tuple[bytes, list[int]]:
    """An Ogg of 24 kHz, and where its pages begin."""
    data = write(path, noise(frames), 24_000, **options).read_bytes()
    return data, [found.start() for found in re.finditer(b"OggS", data)]


def heard_with(path: Path, data: bytes) -> tuple[float, str]:
    """Seconds of what is heard, and what is said at the end; nothing if all is well."""
    path.write_bytes(data)
    source = FileSource(path)
    count, message = 0, ""
    try:
        while (block := source.read(1000)) is not None:
            count += len(block.samples)
    except InputError as error:
        message = str(error).removeprefix(f"{path}: ")
    return count / 24_000, message


@pytest.mark.parametrize(("name", "options"), OGGS)
def test_a_chained_ogg_is_heard_past_a_link_that_is_cut_off_within_a_page(tmp_path, name, options):
    path = tmp_path / name
    (whole, pages), (after, pages_after) = link(path, 48_000, options), link(path, 36_000, options)
    last = pages[-1]
    in_the_header = [last + count for count in (1, 4, 5, 6, 10, 26, 27, 30)]
    # As long as the first page of what follows: the cut page then seems to end where a page begins.
    in_the_data = [len(whole) - missing for missing in (1, 3, 100, pages_after[1], pages_after[2])]
    for place in in_the_header + in_the_data:
        alone_s, _ = heard_with(path, whole[:place])
        assert 0 < alone_s < 2
        length_s, message = heard_with(path, whole[:place] + after)
        assert length_s == pytest.approx(alone_s + 1.5, abs=0.001), place
        assert message == f"damaged: sound is missing after {alone_s:.2f} s", place


@pytest.mark.parametrize(("name", "options"), OGGS)
def test_a_link_that_is_cut_off_before_its_first_sample_is_passed_over(tmp_path, name, options):
    path = tmp_path / name
    whole, pages = link(path, 48_000, options)
    for place in (10, 40, pages[1] + 5, pages[1] + 50, pages[2] + 10):
        assert heard_with(path, whole[:place] + whole) == (2.0, "damaged: sound is missing at the beginning"), place
        in_the_middle = whole + whole[:place] + whole
        assert heard_with(path, in_the_middle) == (4.0, "damaged: sound is missing after 2.00 s"), place


@pytest.mark.parametrize(("name", "options"), OGGS)
def test_every_link_that_is_cut_off_is_named_up_to_a_few(tmp_path, name, options):
    path = tmp_path / name
    cut = link(path, 48_000, options)[0][:-100]
    one_s, _ = heard_with(path, cut)
    length_s, message = heard_with(path, cut * 7)
    assert length_s == pytest.approx(7 * one_s)
    named = ", ".join(f"after {count * one_s:.2f} s" for count in range(1, 5))
    expected = f"the data end at {7 * one_s:.2f} s; sound is missing {named} … (6 places)"
    assert message == f"truncated: {expected}"


@pytest.mark.parametrize(("name", "options"), OGGS)
def test_an_ogg_that_lacks_bytes_in_its_middle_says_where_and_is_heard_to_its_end(tmp_path, name, options):
    path = tmp_path / name
    whole, pages = link(path, 24_000 * 8, options)
    start, end = pages[-4] + 300, pages[-3]
    length_s, message = heard_with(path, whole[:start] + whole[end:] + whole)
    assert 12 < length_s < 16
    assert message == f"damaged: sound is missing before byte {start}"


@pytest.mark.parametrize(("name", "options"), OGGS)
def test_zeros_behind_an_ogg_are_padding_and_hide_no_cut(tmp_path, name, options):
    path = tmp_path / name
    whole, _ = link(path, 48_000, options)
    assert heard_with(path, whole + bytes(5000)) == (2.0, "")
    assert heard_with(path, whole + bytes(100_000) + whole) == (4.0, "")
    assert heard_with(path, whole[:-100] + bytes(5000))[1].startswith("truncated: ")


def test_many_links_that_cannot_be_read_are_given_up_soon(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)  # without ffmpeg, which takes long to start
    whole, _ = link(tmp_path / "a.ogg", 4000, {})
    empty_link = (b"OggS\0\2" + bytes(21) + b"OggS\0\0" + bytes(21)) * 200
    (tmp_path / "a.ogg").write_bytes(whole + empty_link)
    source = FileSource(tmp_path / "a.ogg")
    assert read_until_error(source) == (4000, f"{source.path}: what follows after 0.17 s cannot be read")
    assert (source._part, len(source._parts)) == (100, 201)


def test_what_looks_like_many_pages_is_searched_once(tmp_path):
    """Pages that claim to be long, and are not, or have a wrong checksum."""
    longest = b"OggS" + bytes(22) + b"\xff" * 256
    for content in (b"OggS\0\2", longest, longest + bytes(66_000), b"OggS\0\xff", bytes(7)):
        path = tmp_path / "a.ogg"
        path.write_bytes(b"OggS\0\0" + content * (1_500_000 // len(content)))
        with path.open("rb") as opened:
            file = CountedBytes(opened.fileno())
            assert len(ogg.parts_of(file, 0, file.size)) == 1
        assert file.count < 2 * file.size, content[:10]


class CountedBytes(FileBytes):
    count = 0

    def at(self, place: int, count: int) -> bytes:
        data = super().at(place, count)
        self.count += len(data)
        return data


def ogg_checksum(page: bytes) -> int:
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C1_1DB7 if value >> 31 else 0)) & 0xFFFF_FFFF
    return value


@pytest.mark.parametrize(("name", "options"), OGGS)
def test_an_ogg_whose_last_page_does_not_say_so_is_whole(tmp_path, name, options):
    path = write(tmp_path / name, noise(48_000), 24_000, **options)
    data = bytearray(path.read_bytes())
    at = data.rindex(b"OggS")
    data[at + 5] &= ~4
    data[at + 22 : at + 26] = bytes(4)
    data[at + 22 : at + 26] = ogg_checksum(bytes(data[at:])).to_bytes(4, "little")
    path.write_bytes(data)
    assert seconds(path) == pytest.approx(2, abs=0.03)


def flac(path: Path, samples: np.ndarray, *, known: bool = True) -> bytes:
    """A FLAC, with or without its length, as a writer into a pipe leaves it."""
    data = bytearray(write(path, samples).read_bytes())
    if not known:
        data[21] &= 0xF0
        data[22:42] = bytes(20)  # and without the checksum of all samples
    path.write_bytes(data)
    return bytes(data)


@pytest.mark.parametrize("length", [1, 4095, 4096, 4097, 50_001])
def test_a_flac_of_unknown_length_is_heard_to_the_last_sample(tmp_path, length):
    samples = noise(length)
    flac(tmp_path / "a.flac", samples, known=False)
    np.testing.assert_array_equal(read_all(FileSource(tmp_path / "a.flac")), as_float(samples))


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("length", [637, 4096, 50_001])
@pytest.mark.parametrize("zeros", [1, 4096, 3_000_000])
def test_zeros_behind_a_flac_are_padding_and_hide_no_cut(tmp_path, known, length, zeros):
    path, samples = tmp_path / "a.flac", noise(length)
    data = flac(path, samples, known=known)
    path.write_bytes(data + bytes(zeros))
    np.testing.assert_array_equal(read_all(FileSource(path)), as_float(samples))
    path.write_bytes(data[:-300] + bytes(zeros))
    assert "truncated" in read_until_error(FileSource(path))[1]


def test_a_flac_of_unknown_length_may_itself_end_in_a_zero(tmp_path):
    path = tmp_path / "a.flac"
    # The last byte is one of a checksum: every 256th length, about, ends in a zero.
    data = next(data for frames in range(600, 5000) if (data := flac(path, noise(frames), known=False))[-1] == 0)
    for zeros in (0, 1, 100):
        path.write_bytes(data + bytes(zeros))
        source = FileSource(path)
        assert len(read_all(source)) == source.frames


def test_all_of_a_flac_of_unknown_length_is_heard_before_garbage_behind_it_is_reported(tmp_path):
    path = tmp_path / "a.flac"
    garbage = np.random.default_rng(1).bytes(700)
    path.write_bytes(flac(path, noise(50_000), known=False) + garbage)
    count, message = read_until_error(FileSource(path))
    assert count == 50_000
    assert "damaged or truncated after 6.25 s" in message


def test_a_flac_of_unknown_length_can_be_gone_back_in(tmp_path):
    samples = noise(50_000)
    flac(tmp_path / "a.flac", samples, known=False)
    source = FileSource(tmp_path / "a.flac")
    source.read(30_000)
    assert source.rewind(20_000) == 20_000
    np.testing.assert_array_equal(source.read(5000).samples, samples[10_000:15_000])


def test_a_flac_of_unknown_length_that_is_cut_off_says_so(tmp_path):
    path = tmp_path / "a.flac"
    path.write_bytes(flac(path, noise(50_000), known=False)[:-3000])
    count, message = read_until_error(FileSource(path))
    assert count > 40_000
    assert "damaged or truncated" in message


@pytest.mark.parametrize("known", [(True, True), (False, True), (True, False), (False, False)])
def test_joined_flacs_are_heard_one_after_the_other(tmp_path, known):
    first, second = noise(9000), noise(20_000)[9000:]
    path = tmp_path / "both.flac"
    path.write_bytes(flac(path, first, known=known[0]) + flac(path, second, known=known[1]))
    np.testing.assert_array_equal(read_all(FileSource(path)), as_float(np.concatenate([first, second])))


@pytest.mark.parametrize("known", [True, False])
def test_joined_flacs_are_heard_past_one_that_is_cut_off(tmp_path, known):
    path = tmp_path / "both.flac"
    first = flac(path, noise(3 * RATE), known=known)[:-3000]
    path.write_bytes(first + flac(path, noise(2 * RATE), known=known))
    count, message = read_until_error(FileSource(path))
    assert 4 * RATE < count < 5 * RATE
    assert message == f"{path}: damaged: sound is missing after {count / RATE - 2:.2f} s"
