"""The daemon on a stream: a camera that fails is noticed, reported and accounted for like a microphone."""

import time
from collections.abc import Iterator

import pytest

from tests.daemon.camera import Camera
from tests.daemon.daemon import running_daemon, wait_until

RATE = 16_000  # the tiny model's


@pytest.fixture
def camera(tmp_path) -> Iterator[Camera]:
    camera = Camera(tmp_path / "camera", RATE)
    yield camera
    camera.end()


def config(folder, **keys) -> str:
    lines = [f"  {name}: {value}" for name, value in {"device": f"stream:{folder / 'camera'}", **keys}.items()]
    return "\n".join(["model: float32", "hop_s: 0.1", "microphone:", *lines, ""])


def test_a_stream_is_listened_to_and_one_that_hangs_or_restarts_is_lost_and_found(folder, camera):
    name = f"stream:{folder / 'camera'}"
    with running_daemon(folder, {}, config(folder)) as daemon:
        daemon.wait_predictions(3)
        assert name in daemon.wait_for("listening")["message"]
        camera.hangs = True
        assert f"{name}: has delivered nothing for " in daemon.wait_for("device-lost")["reason"]
        camera.hangs = False
        assert daemon.wait_for("device-back")["lost_s"] > 0
        daemon.wait_predictions(3)
        camera.end()
        assert daemon.wait_for("device-lost", 2)["reason"] == f"{name}: the stream has ended"
        daemon.wait_told("STATUS", f"lost: {name}: there is no stream: nothing sends there")
        camera.start()
        daemon.wait_for("device-back", 2)
        daemon.wait_predictions(3)
        assert daemon.stop() == 0
        summary = daemon.wait_for_end("summary")
    assert summary["lost"] == 0 < summary["lost_away"]


def test_a_raw_stream_of_another_rate_than_said_is_not_listened_to_and_the_right_one_is(folder, camera):
    camera.raw = True
    camera.speed = 2.0
    with running_daemon(folder, {}, config(folder, stream_rate=RATE)) as daemon:
        reason = daemon.wait_for("device-lost")["reason"]
        assert "samples a second, and is said to send 16000: set microphone.stream_rate" in reason
        daemon.edit(config(folder, stream_rate=2 * RATE))
        wait_until(lambda: daemon.of_kind("config-applied"), "the change")
        daemon.wait_predictions(3)


@pytest.mark.parametrize("speed", [0.5, 3.0])
def test_a_raw_stream_that_changes_its_rate_is_lost_and_found_once_it_is_back_at_the_right_one(
    folder, camera, speed, capsys
):
    camera.raw = True
    with running_daemon(folder, {}, config(folder, stream_rate=RATE)) as daemon:
        daemon.wait_predictions(20)
        assert daemon.of_kind("device-lost") == []
        camera.speed, changed_s = speed, time.monotonic()
        reason = daemon.wait_for("device-lost")["reason"]
        noticed_s = time.monotonic() - changed_s
        assert f"samples a second, and is said to send {RATE}: set microphone.stream_rate" in reason
        before = len(daemon.of_kind("device-back"))
        camera.speed, changed_s = 1.0, time.monotonic()
        daemon.wait_for("device-back", before + 1)
        daemon.wait_predictions(3)
        heard_s = time.monotonic() - changed_s
    with capsys.disabled():
        print(f"\n{speed:g} times the rate: noticed after {noticed_s:.2f} s, heard again after {heard_s:.2f} s")


def test_a_stream_takes_a_microphones_place_by_one_saved_line(folder, camera):
    with running_daemon(folder, {}, config(folder, device="stream:nowhere")) as daemon:
        assert "stream:nowhere: there is no stream: nothing sends there" in daemon.wait_for("device-absent")["reason"]
        daemon.edit(config(folder))
        daemon.wait_predictions(3)
