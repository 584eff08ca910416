"""Features come from the front end that serves, whatever the size of a file; bad recordings are named."""

import tracemalloc

import numpy as np
import pytest
import soundfile

from audiomon.errors import InputError
from audiomon.features import LogMel
from audiomon.lab.train import features
from audiomon.lab.train.dataset import Split, divide, find_sounds
from audiomon.lab.train.features import compute_frames, duplicates, finish_windows, powers_spec
from audiomon.lab.train.preparation import prepare
from tests.lab.train.sounds import RATE, hiss, hum, write


def quiet(*_):
    pass


def computed(dataset, settings, speed=1.0):
    sounds = divide(dataset, find_sounds(dataset), Split(folds=r"(\d)-"))
    return sounds, *compute_frames(sounds, settings.spec, speed, quiet)


def prepared(dataset, settings, **options):
    return prepare(dataset, Split(folds=r"(\d)-"), settings, quiet, **options)


def test_frames_read_in_pieces_are_those_of_the_whole_recording(dataset, settings, monkeypatch):
    monkeypatch.setattr(features, "_SAMPLES_AT_ONCE", 1000)
    sounds, frames, refused = computed(dataset, settings)
    assert not refused
    for sound, one in zip(sounds, frames, strict=True):
        samples, _ = soundfile.read(sound.path, dtype="float32")
        np.testing.assert_array_equal(one.open(), LogMel(powers_spec(settings.spec)).frames(samples))


def test_finished_windows_are_what_the_daemon_s_front_end_makes(dataset, settings):
    sounds, frames, _ = computed(dataset, settings)
    samples, _ = soundfile.read(sounds[0].path, dtype="float32")
    log_mel = LogMel(settings.spec)
    size = settings.spec.frames
    served = log_mel.finish(log_mel.frames(samples)[7 : 7 + size])
    np.testing.assert_allclose(
        finish_windows(frames[0].open()[7 : 7 + size][np.newaxis], settings.spec)[0], served, atol=1e-4
    )


def test_a_second_time_nothing_is_computed(dataset, settings, monkeypatch):
    first = computed(dataset, settings)[1]
    monkeypatch.setattr(features, "_write_frames", None)
    assert computed(dataset, settings)[1] == first


def test_a_recording_that_changed_is_computed_anew(dataset, settings):
    first = computed(dataset, settings)[1][0]
    write(dataset / "beeps" / "1-0.wav", hiss(2, 77))
    assert computed(dataset, settings)[1][0].digest != first.digest


def test_another_speed_is_shorter_by_that_much(dataset, settings):
    assert computed(dataset, settings, 1.25)[1][0].duration_s == pytest.approx(1 / 1.25, abs=0.02)


def test_an_hour_needs_no_more_memory_than_its_pieces(dataset, settings):
    write(dataset / "hum" / "1-long.wav", np.tile(hum(10, 3), 360))
    (sound,) = [sound for sound in find_sounds(dataset) if "long" in sound.name]
    tracemalloc.start()
    try:
        (frames,), _ = compute_frames([sound], settings.spec, 1.0, quiet)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert frames.count == (3600 * RATE - 256) // 128 + 1
    assert peak_bytes < 12e6  # the samples alone would take 115 MB


def test_a_long_recording_s_frames_stay_on_disk(dataset, settings, monkeypatch):
    monkeypatch.setattr(features, "_MAPPED_FROM_BYTES", 1000)
    assert isinstance(computed(dataset, settings)[1][0].open(), np.memmap)


def test_a_clip_shorter_than_a_frame_has_one(dataset, settings):
    write(dataset / "hum" / "1-short.wav", hum(0.01, 1))
    sounds, frames, refused = computed(dataset, settings)
    (short,) = [one.count for sound, one in zip(sounds, frames, strict=True) if "short" in sound.name]
    assert short == 1
    assert not refused


def test_unreadable_files_among_good_ones_are_all_named(dataset, settings):
    (dataset / "hum" / "1-broken.wav").write_bytes(b"RIFF....WAVEfmt nothing of the kind")
    (dataset / "hiss" / "2-empty.flac").touch()
    with pytest.raises(InputError, match="2 recordings cannot be used") as refused:
        prepared(dataset, settings)
    assert "hum/1-broken.wav" in str(refused.value)
    assert "hiss/2-empty.flac" in str(refused.value)
    assert "--skip-bad" in str(refused.value)


def test_bad_recordings_can_be_left_out(dataset, settings):
    (dataset / "hum" / "1-broken.wav").write_bytes(b"no sound")
    found = prepared(dataset, settings, skip_bad=True)
    assert len(found.sounds) == len(found.materials) == 18
    assert list(found.left_out) == ["hum/1-broken.wav"]


def test_a_class_of_silence_is_refused(dataset, settings):
    (dataset / "nothing").mkdir()
    for number in range(6):
        write(dataset / "nothing" / f"{1 + number % 2}-{number}.wav", np.zeros(RATE))
    with pytest.raises(InputError, match=r"6 recordings cannot be used: .*nothing/1-0\.wav: is silent"):
        prepared(dataset, settings)


def test_the_same_recording_on_both_sides_of_a_split_is_refused_whatever_its_name_and_format(dataset, settings):
    samples, rate = soundfile.read(dataset / "hum" / "1-0.wav", dtype="int16")
    soundfile.write(dataset / "hum" / "2-again.flac", samples, rate)
    with pytest.raises(InputError, match=r"hum/1-0\.wav and hum/2-again\.flac are the same recording"):
        prepared(dataset, settings)


def test_the_same_recording_twice_on_one_side_is_no_fault(dataset, settings):
    samples, rate = soundfile.read(dataset / "hum" / "1-0.wav", dtype="int16")
    soundfile.write(dataset / "hum" / "1-again.flac", samples, rate)
    sounds, frames, _ = computed(dataset, settings)
    assert duplicates(sounds, frames) == []


def test_a_recording_with_two_labels_is_refused(dataset, settings):
    samples, rate = soundfile.read(dataset / "hum" / "1-0.wav", dtype="int16")
    soundfile.write(dataset / "hiss" / "1-again.flac", samples, rate)
    with pytest.raises(InputError, match="the same recording, of hiss in fold 1, hum in fold 1"):
        prepared(dataset, settings)


def test_a_class_on_one_side_only_is_refused(dataset, settings):
    for path in (dataset / "hum").glob("2-*.wav"):
        path.rename(path.with_name(path.name.replace("2-", "1-x")))
    with pytest.raises(InputError, match="hum: nothing to learn from without fold 1"):
        prepared(dataset, settings).sides("1", False)
