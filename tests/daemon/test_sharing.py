"""Two models on one microphone: two instances, which share the device through the sound server."""

import shutil

import numpy as np
import pytest
import soundfile

from tests.daemon.daemon import running_daemon, wait_until

pytestmark = pytest.mark.mic

# Nothing is said while the microphone is silent, so that whoever says something has heard what was played.
CONFIG = "model: {}\nhop_s: 0.1\ngate_dbfs: -50\nmicrophone:\n  device: mic\n"


@pytest.fixture
def folders(tmp_path, packages):
    """One for each instance."""
    for name in ("kitchen", "hall"):
        shutil.copytree(packages, tmp_path / name / "models")
    return tmp_path / "kitchen", tmp_path / "hall"


def test_two_instances_with_two_models_hear_the_same_microphone(folders, own_virtual_microphone, tmp_path):
    noise = np.random.default_rng(1).integers(-8000, 8000, 3 * 22_050).astype(np.int16)
    soundfile.write(tmp_path / "noise.wav", noise, 22_050)
    environment = own_virtual_microphone.environment
    kitchen, hall = folders
    with (
        running_daemon(kitchen, environment, CONFIG.format("float32")) as first,
        running_daemon(hall, environment, CONFIG.format("waveform")) as second,
    ):
        for daemon in (first, second):
            daemon.wait_for("listening")
            daemon.wait_told("STATUS", "windows below the gate")
            assert daemon.predictions() == []
        with own_virtual_microphone.playing("mic", tmp_path / "noise.wav") as playing:
            for daemon, model in ((first, "float32"), (second, "waveform")):
                wait_until(lambda heard=daemon: len(heard.predictions()) >= 5, f"predictions of {model}")
                assert {line["model"] for line in daemon.predictions()} == {model}
            playing.wait(30)
        for daemon in (first, second):
            assert daemon.stop() == 0
            ended = daemon.wait_for_end("summary")
            assert ended["predictions"] == len(daemon.predictions())
            assert ended["gated"] > 0
            assert ended["lost"] == 0
