"""What befalls a microphone: the daemon on real PortAudio and a sound server that is unplugged, frozen and killed."""

import os
import signal
import subprocess
import time

import numpy as np
import pytest
import soundfile

from tests.daemon.daemon import PATIENCE_S, running_daemon, wait_until
from tests.faults import CONFIG

pytestmark = pytest.mark.mic


def restart_server(microphone):
    """Start the sound server again, in the place of one that was killed."""
    script = [os.path.join(os.path.dirname(__file__), os.pardir, "virtual_microphone.sh"), "start"]
    subprocess.run([*script, microphone.folder, str(microphone.sample_rate), "mic"], check=True, stdout=subprocess.PIPE)


def test_a_sound_server_that_is_killed_and_started_again_is_listened_to_again(daemon, own_virtual_microphone):
    own_virtual_microphone("kill")
    gone = daemon.wait_for("device-lost")
    assert "mic: the microphone has failed: " in gone["reason"]
    assert gone["health"] == "lost"
    restart_server(own_virtual_microphone)
    assert daemon.wait_for("device-back")["lost_s"] > 0
    daemon.wait_predictions(3)
    assert len(daemon.of_kind("device-lost")) == 1


def name_microphone(microphone, name):
    """Call what the sound server offers by another name, as another microphone in the place of the first would be."""
    path = microphone.folder / "asoundrc"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("pcm.")]
    made = f'type pulse server "unix:{microphone.folder / "socket"}" device "mic.monitor"'
    path.write_text("\n".join([*lines, f"pcm.{name} {{ {made} }}", ""]))


def test_another_device_in_its_place_is_said_and_not_listened_to(daemon, own_virtual_microphone):
    own_virtual_microphone("unplug", "mic")
    daemon.wait_for("device-lost")
    name_microphone(own_virtual_microphone, "microphone2")
    own_virtual_microphone("plug", "mic")
    assert "'microphone2' is not listened to in its place" in daemon.wait_for("device-other")["reason"]
    daemon.wait_told("STATUS", "lost: mic is not there, and")
    heard = len(daemon.predictions())
    name_microphone(own_virtual_microphone, "mic")
    daemon.wait_for("device-back")
    assert len(daemon.of_kind("listening")) == 2
    daemon.wait_predictions(3)
    assert len(daemon.predictions()) > heard
    assert len(daemon.of_kind("device-other")) == 1


def test_another_device_is_listened_to_in_its_place_when_the_configuration_allows_it_and_that_is_said(
    daemon, own_virtual_microphone
):
    daemon.edit(CONFIG + "  accept_other: true\n")
    daemon.wait_for("config-applied")
    own_virtual_microphone("unplug", "mic")
    daemon.wait_for("device-lost")
    name_microphone(own_virtual_microphone, "microphone2")
    own_virtual_microphone("plug", "mic")
    back = daemon.wait_for("device-back")
    assert (back["source"], back["before"], back["severity"]) == ("microphone2", "mic", "warning")
    assert "microphone2 is there, in place of mic" in back["message"]


def test_a_stream_that_stalls_without_an_error_is_noticed_torn_down_and_recovered(daemon, own_virtual_microphone):
    own_virtual_microphone("freeze")
    gone = daemon.wait_for("device-lost")
    assert "has delivered nothing for" in gone["reason"]
    own_virtual_microphone("thaw")
    daemon.wait_for("device-back")
    daemon.wait_predictions(3)
    assert daemon.of_kind("stage-failed") == []


def test_a_stream_that_is_not_released_is_reported_and_only_then_given_up(daemon, own_virtual_microphone):
    own_virtual_microphone("freeze")
    daemon.wait_told("STATUS", "stuck: ")
    assert daemon.process.wait(PATIENCE_S) == 1
    assert "does not release it" in daemon.process.stderr.read()
    assert daemon.of_kind("summary")


@pytest.mark.parametrize("fate", ["unplug", "kill", "freeze"])
def test_sigterm_during_any_of_it_ends_with_the_last_summary(daemon, own_virtual_microphone, fate):
    own_virtual_microphone(fate, *(["mic"] if fate == "unplug" else []))
    daemon.wait_for("device-lost")
    began = time.monotonic()
    assert daemon.stop() == 0
    print(f"{fate}: stopped in {time.monotonic() - began:.2f} s")
    assert daemon.wait_for_end("summary")["predictions"] == len(daemon.predictions())


def test_a_microphone_that_delivers_only_zeros_is_doubted_once_and_until_it_does_not(
    daemon, own_virtual_microphone, tmp_path
):
    doubt = daemon.wait_for("sound-doubtful")  # nothing is played: the virtual microphone is perfectly silent
    assert doubt["severity"] == "warning"
    assert "nothing but zeros" in doubt["message"]
    daemon.wait_told("STATUS", "doubtful: nothing but zeros")
    daemon.wait_predictions(20)
    assert len(daemon.of_kind("sound-doubtful")) == 1
    samples = np.random.default_rng(1).integers(-3000, 3000, 22_050 * 20).astype(np.int16)
    soundfile.write(tmp_path / "noise.wav", samples, 22_050)
    own_virtual_microphone("loop", "mic", tmp_path / "noise.wav")
    daemon.wait_for("sound-plausible")
    daemon.wait_told("STATUS", "listening · ")


def test_clipping_is_doubted_as_well(daemon, own_virtual_microphone, tmp_path):
    square = (np.sign(np.sin(np.arange(22_050 * 20) / 10)) * 32_767).astype(np.int16)
    soundfile.write(tmp_path / "square.wav", square, 22_050)
    own_virtual_microphone("loop", "mic", tmp_path / "square.wav")
    wait_until(lambda: any("full scale" in one["reason"] for one in daemon.of_kind("sound-doubtful")), "a doubt")


def test_a_daemon_that_is_stopped_for_a_while_blames_nobody_and_says_what_it_could_not_hear(
    folder, own_virtual_microphone
):
    # The sound server keeps 4 MiB for a client: 4 s of so many channels, where it would be minutes of one.
    many_channels = CONFIG + "  channel: 31\n"
    with running_daemon(folder, own_virtual_microphone.environment, many_channels) as daemon:
        daemon.wait_predictions(60)
        daemon.process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        time.sleep(12)  # that time passes is what is tested: more than the server keeps, and than patience lasts
        daemon.process.send_signal(signal.SIGCONT)
        stopped_s = time.monotonic() - stopped
        daemon.wait_predictions(10)
        undelivered = daemon.wait_for("undelivered")
        assert 5 < undelivered["lost_s"] < stopped_s + undelivered["uncertain_s"]
        assert undelivered["uncertain_s"] < 1
        assert daemon.of_kind("device-lost") == []
        assert daemon.of_kind("stage-failed") == []
