"""``audiomon record`` on a real microphone, as far as a virtual one is real."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

RATE = 22_050
PATIENCE_S = 60


class Recording:
    """The command, running on a virtual microphone."""

    def __init__(self, audiomon, microphone, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "audiomon", "record", *map(str, arguments), "--device", "mic"],
            cwd=audiomon.folder,
            env={**audiomon.environment, **microphone.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until_it_listens(self):
        line = self.process.stderr.readline()
        assert line.startswith("Recording "), line + self.process.stderr.read()

    def ended(self):
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err


@pytest.fixture
def recording(audiomon, virtual_microphone):
    running = []

    def start(*arguments):
        running.append(Recording(audiomon, virtual_microphone, *arguments))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def tone(path, seconds=2.0, level=0.5):
    sine = level * np.sin(2 * np.pi * 800 * np.arange(int(seconds * RATE)) / RATE)
    soundfile.write(path, sine, RATE, subtype="PCM_16")
    return path


@pytest.mark.mic
def test_a_clip_on_sound_is_what_was_played_with_half_a_second_before_it(recording, virtual_microphone, tmp_path):
    running = recording("bell", "--to", tmp_path, "--on-sound", "--seconds", "2")
    running.wait_until_it_listens()
    time.sleep(1)  # for a room of a second, to tell a sound from; a longer one is as good
    wav = tone(tmp_path / "tone.wav")
    with virtual_microphone.playing("mic", wav):
        status, out, err = running.ended()
    assert status == 0, err
    (clip,) = (tmp_path / "bell").iterdir()
    assert out.startswith(str(clip))
    assert "SILENT" not in out
    samples, rate = soundfile.read(clip, dtype="int16")
    assert (rate, len(samples)) == (RATE, 2 * RATE)
    onset = int(np.flatnonzero(samples)[0])
    assert 0.4 * RATE <= onset <= 0.6 * RATE
    played, _ = soundfile.read(wav, dtype="int16")
    first = int(np.flatnonzero(played)[0])
    np.testing.assert_array_equal(samples[onset:], played[first : first + len(samples) - onset])


@pytest.mark.mic
def test_silence_and_full_scale_are_warned_of_and_clips_are_numbered(recording, virtual_microphone, tmp_path):
    running = recording("hum", "--to", tmp_path, "--count", "2", "--seconds", "0.3", "--countdown", "0")
    status, out, err = running.ended()
    assert status == 0, err
    assert out.count("SILENT: is the microphone muted") == 2
    assert len(list((tmp_path / "hum").glob("*-0[12].flac"))) == 2
    running = recording("loud", "--to", tmp_path, "--on-sound", "--seconds", "1")
    running.wait_until_it_listens()
    time.sleep(1)
    square = np.sign(np.sin(2 * np.pi * 300 * np.arange(2 * RATE) / RATE))
    soundfile.write(tmp_path / "square.wav", square, RATE, subtype="PCM_16")
    with virtual_microphone.playing("mic", tmp_path / "square.wav"):
        status, out, err = running.ended()
    assert status == 0, err
    assert "CLIPPED: " in out


@pytest.mark.mic
def test_ctrl_c_keeps_the_clips_that_are_whole_and_ends_well(recording, tmp_path):
    running = recording("hum", "--to", tmp_path, "--count", "99", "--seconds", "0.3", "--countdown", "0")
    assert "hum/" in running.process.stdout.readline()
    os.kill(running.process.pid, signal.SIGINT)
    status, out, err = running.ended()
    assert status == 0
    assert "of 99 recorded" in err
    assert "Traceback" not in err
    clips = list((tmp_path / "hum").iterdir())
    assert len(clips) == out.count("\n") + 1
    assert all(soundfile.info(clip).frames == round(0.3 * RATE) for clip in clips)


@pytest.mark.parametrize("label", ["", " ", "a/b", "../up", ".hidden"])
def test_a_label_that_can_be_no_folder_is_refused(audiomon, label):
    assert "cannot be a folder's name" in audiomon("record", label, model=None).refused()


def test_a_clip_must_be_longer_than_what_comes_before_its_sound(audiomon):
    assert "--seconds 0.4" in audiomon("record", "x", "--on-sound", "--seconds", "0.4", model=None).refused()


def test_an_absent_microphone_is_one_clear_line(audiomon, tmp_path):
    refused = audiomon("record", "x", "--device", "no such microphone", "--to", tmp_path, model=None).refused()
    assert "microphone" in refused or "PortAudio" in refused
    assert not list(tmp_path.iterdir())
