"""Clips are what the source gave, begin where the sound does, and never replace one another."""

import numpy as np
import pytest
import soundfile

from audiomon.audio.recorder import Recorder, Take, write_take
from audiomon.audio.source import Block
from audiomon.errors import DeviceError, UserError

RATE = 8000


class Played:
    """A source that gives what it is given, without waiting, and then fails as a microphone does."""

    name = "played"
    sample_rate = RATE
    channels = 1
    live = True

    def __init__(self, samples, lost_at=()):
        self.samples = samples.astype(np.int16)[:, np.newaxis]
        self.lost_at = set(lost_at)
        self.position = 0

    def read(self, frames):
        samples = self.samples[self.position : self.position + frames]
        if not len(samples):
            return None
        lost = 100 if any(self.position <= at < self.position + len(samples) for at in self.lost_at) else 0
        self.position += len(samples)
        return Block(self.position - len(samples), samples, lost, 0)

    captured_end = 0

    def rewind(self, frames):
        return 0

    def close(self):
        pass


def quiet(_):
    pass


def room(seconds, loudness=20, seed=1):
    return np.random.default_rng(seed).normal(0, loudness, int(seconds * RATE))


def test_clips_follow_one_another_without_a_sample_between():
    samples = np.arange(3 * RATE) % 1000
    recorder = Recorder(Played(samples), 1.0)
    clips = [recorder.take(quiet).samples[:, 0] for _ in range(3)]
    np.testing.assert_array_equal(np.concatenate(clips), samples)


def test_what_passes_in_a_countdown_is_not_kept():
    samples = np.arange(2 * RATE) % 1000
    recorder = Recorder(Played(samples), 0.5)
    recorder.pause(1.0, quiet)
    np.testing.assert_array_equal(recorder.take(quiet).samples[:, 0], samples[RATE : RATE + RATE // 2])


@pytest.mark.parametrize("loudness", [0, 5, 100])
def test_a_clip_on_sound_begins_half_a_second_before_it_however_loud_the_room(loudness):
    samples = np.concatenate([room(4, loudness), room(2, 6000, 2)])
    recorder = Recorder(Played(samples), 1.5)
    recorder.wait_for_sound(quiet)
    take = recorder.take(quiet)
    onset = np.flatnonzero(np.abs(take.samples[:, 0]) > 2000)[0]
    # It begins with the block (50 ms) that ends half a second after the first block that is kept.
    assert 0.4 * RATE <= onset <= 0.55 * RATE
    assert len(take.samples) == 1.5 * RATE


def test_a_steady_room_is_no_sound():
    with pytest.raises(DeviceError, match="played: has ended"):
        Recorder(Played(room(8, 300)), 1.0).wait_for_sound(quiet)


def test_samples_at_full_scale_are_counted():
    loud = np.array([0, 32_767, -32_768, 32_766, -32_767], dtype=np.int16).repeat(2)
    assert Recorder(Played(loud), 10 / RATE).take(quiet).clipped == 6


def test_lost_samples_count_for_the_clip_that_lacks_them():
    recorder = Recorder(Played(np.ones(3 * RATE), lost_at=[RATE + 10]), 1.0)
    assert [recorder.take(quiet).lost for _ in range(3)] == [0, 100, 0]


def test_silence_is_distinguished_from_a_faint_sound_and_a_constant_is_silence():
    faint = (200 * np.sin(np.arange(100))).astype(np.int16)[:, np.newaxis]
    assert not Take(faint, RATE, 0, 0).is_silent
    assert not Take(faint + np.int16(5000), RATE, 0, 0).is_silent
    for samples in (np.zeros((100, 1)), np.full((100, 1), 5000), np.empty((0, 1))):
        assert Take(samples.astype(np.int16), RATE, 0, 0).is_silent


@pytest.mark.parametrize("offset", [-5000, 0, 1035, 5000])
def test_a_clip_on_sound_begins_with_the_sound_whatever_constant_lies_under_it(offset):
    tone = 3000 * np.sin(np.arange(2 * RATE) / 3)
    samples = np.concatenate([room(4), tone]) + offset
    recorder = Recorder(Played(samples), 1.5)
    recorder.wait_for_sound(quiet)
    take = recorder.take(quiet)
    onset = np.flatnonzero(np.abs(take.samples[:, 0] - offset) > 1000)[0]
    assert 0.4 * RATE <= onset <= 0.55 * RATE


class Stalling(Played):
    """Delivers nothing for a while after each of the given positions."""

    def __init__(self, samples, stalls):
        super().__init__(samples)
        self.stalls = dict(stalls)

    def read(self, frames):
        if self.stalls.get(self.position):
            self.stalls[self.position] -= 1
            return Block(self.position, self.samples[:0], 0, 0)
        return super().read(frames)


def test_a_stall_is_no_quiet_room_so_that_the_room_after_it_is_no_sound():
    """The room is at -44 dBFS: above the least level of a sound, and far above nothing."""
    samples = np.concatenate([room(8, 200), room(2, 6000, 2)])
    recorder = Recorder(Stalling(samples, {2 * RATE: 200, 4 * RATE: 200}), 1.0)
    shown = []
    recorder.wait_for_sound(shown.append)
    assert recorder._source.position >= 8 * RATE
    assert min(shown) > -60


def test_a_clip_is_written_to_the_bit_and_never_over_another(tmp_path):
    takes = [Take(room(0.1, 3000, seed).astype(np.int16)[:, np.newaxis], RATE, 0, 0) for seed in range(3)]
    (tmp_path / "door").mkdir()
    (tmp_path / "door" / "now-02.flac").write_bytes(b"somebody else's")
    paths = [write_take(take, tmp_path / "door", "now") for take in takes]
    assert [path.name for path in paths] == ["now-01.flac", "now-03.flac", "now-04.flac"]
    assert (tmp_path / "door" / "now-02.flac").read_bytes() == b"somebody else's"
    for take, path in zip(takes, paths, strict=True):
        np.testing.assert_array_equal(soundfile.read(path, dtype="int16")[0], take.samples[:, 0])
    assert {path.name for path in (tmp_path / "door").iterdir()} == {f"now-0{n}.flac" for n in range(1, 5)}


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "door").write_bytes(b"a file")
    with pytest.raises(UserError, match=r"door: cannot be written"):
        write_take(Take(np.zeros((8, 1), dtype=np.int16), RATE, 0, 0), tmp_path / "door", "now")
