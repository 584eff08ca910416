"""The keeper as a process, with the listener's real hand-over at its other end."""

import json
import os
import random
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from audiomon.outputs.clip_protocol import Lines
from audiomon.outputs.clip_requests import List
from audiomon.outputs.keeper_client import KeeperClient
from tests.keeper.offers import NOISE, files, opened
from tests.keeper.running import Keeping, keeping, until


@pytest.fixture
def house(tmp_path):
    with keeping(tmp_path) as made:
        made.start()
        yield made


def raw(house: Keeping, line: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(house.socket))
        try:
            connection.sendall(line)
            return connection.recv(1 << 20)
        except ConnectionError:
            return b""


def test_clips_and_events_arrive_and_can_be_asked_for(house):
    house.refuse("rain")
    house.offer(1, "dog_bark")
    house.settle(1)
    with KeeperClient(house.socket) as client:
        bark, rain = client.events(List(), 100)
        assert (rain.label, rain.outcome, rain.reason) == ("rain", "refused", "speech 0.41")
        assert (bark.label, bark.instance, bark.model, bark.clip.source) == ("dog_bark", "attic", "home", "usb mic")
        clip, file = client.fetch(bark.clip.id)
    samples, _ = soundfile.read(file, dtype="int16")
    np.testing.assert_array_equal(samples, NOISE)
    assert clip == bark.clip


def test_pages_go_on_where_the_last_one_ended(house):
    for number in range(7):
        house.offer(number)
        house.settle(number + 1)
    with KeeperClient(house.socket) as client:
        found = [event.time_ns for event in client.events(List(limit=2), 100)]
        assert len(found) == len(set(found)) == 7
        assert len(list(client.events(List(limit=2), 3))) == 3


@pytest.mark.parametrize(
    "line",
    [b"hello\n", b"\xff\n", b"{}\n", b'{"do":"burn"}\n', b"[" * 50_000 + b"\n",
     b'{"do":"list","since_ns":99999999999999999999}\n',
     b'{"do":"mark","clips":["x"],"review":"label","label":"../x"}\n', b'{"do":"fetch","clip":"../../etc/passwd"}\n'],
)  # fmt: skip
def test_nonsense_is_refused_in_one_line_and_the_next_request_is_answered(house, line):
    assert json.loads(raw(house, line))["error"]
    assert b"error" not in raw(house, b'{"do":"list"}\n')


def test_a_line_without_an_end_is_hung_up_on(house):
    assert raw(house, b"x" * 200_000) == b""
    assert house.answers()


def test_keeper_yaml_holds_as_soon_as_it_is_saved_and_a_mistake_changes_nothing(house):
    for number in range(3):
        house.offer(number)
        house.settle(number + 1)
    house.config.write_text("max_per_label: many\n")
    until(lambda: b"max_per_label" in house.process.stderr.readline())
    assert len(files(house.folder)) == 3
    house.config.write_text("max_per_label: 1\nmin_free_mb: 0\n")
    until(lambda: len(files(house.folder)) == 1)


def test_a_wrong_keeper_yaml_ends_it_with_the_line(tmp_path):
    with keeping(tmp_path, "keep_days: -1\n") as house:
        command = [sys.executable, "-m", "audiomon", "clips", "keep", "--to", house.folder, "--config", house.config]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ)
        assert finished.returncode == 2
        assert "keeper.yaml:1: keep_days: is -1, must be a number from 0.01 to 36500" in finished.stderr


def kill_at_random(folder, kills: int) -> None:
    chance = random.Random(1)
    with keeping(folder) as house:
        number = 0
        for _ in range(kills):
            house.start()
            for _ in range(3):
                if house.handover.counts.on_their_way < 4:
                    number += 1
                    house.offer(number)
            time.sleep(chance.uniform(0, 0.1))  # when it is killed is chance
            house.process.kill()
            house.process.communicate()
        house.start()
        until(lambda: house.handover.counts.on_their_way == 0)
        counts = house.handover.counts
        assert counts.kept + counts.dropped.get("away", 0) == number
    store = opened(house.folder)
    assert files(house.folder) == store.index.all_clips()
    # What was answered for is there, and nothing twice; what was dropped may have been written and not answered for.
    assert 0 < counts.kept <= len(files(house.folder)) <= number
    assert list((house.folder / "incoming").iterdir()) == []
    for path in house.folder.glob("clips/*/*.flac"):
        np.testing.assert_array_equal(soundfile.read(path, dtype="int16")[0], NOISE)
    store.close()


def test_killed_at_any_moment_it_has_whole_clips_and_an_index_that_agrees(tmp_path):
    kill_at_random(tmp_path, 10)


@pytest.mark.long
@pytest.mark.timeout(1800)  # a hundred starts of Python
def test_killed_at_a_hundred_random_moments(tmp_path):
    kill_at_random(tmp_path, 100)


def test_surplus_files_beside_a_line_are_closed():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        before = len(os.listdir("/proc/self/fd"))
        socket.send_fds(ours, [b"x\n"], [0, 1, 2])
        lines = Lines(theirs)
        lines.receive()
        line, file = lines.take()
        assert line == b"x"
        os.close(file)
        assert len(os.listdir("/proc/self/fd")) == before
