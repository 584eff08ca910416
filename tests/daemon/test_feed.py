"""The feed of a real daemon on a virtual microphone."""

import json
import socket

import pytest

from tests.daemon.daemon import running_daemon, wait_until

pytestmark = pytest.mark.mic

CONFIG = "model: float32\nhop_s: 0.1\nmicrophone:\n  device: mic\n"
WANT = b'{"want": ["event", "status", "state", "prediction", "level", "columns"]}\n'


@pytest.fixture
def path(folder):
    return folder / "feed.sock"


@pytest.fixture
def daemon(folder, own_virtual_microphone, path):
    with running_daemon(folder, own_virtual_microphone.environment, CONFIG, "--feed", str(path)) as daemon:
        daemon.wait_predictions(3)
        yield daemon


@pytest.fixture
def lines(daemon, path):
    """A client that wants everything: waits for the next line of a type, and returns it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(60)
        client.connect(str(path))
        client.sendall(WANT)
        received = client.makefile("rb")

        def next_of(kind, true=lambda line: True):
            for line in map(json.loads, received):
                if line["type"] == kind and true(line):
                    return line
            raise AssertionError(f"it ended without {kind}")

        yield next_of


def test_a_client_gets_all_that_a_running_listener_hears(daemon, lines):
    hello = lines("hello")
    assert (hello["instance"], hello["model"], hello["spectrogram"]) == ("kitchen", "float32", False)
    assert hello["state"]["health"] == "listening"
    prediction = lines("prediction")
    assert prediction["model"] == "float32"
    wait_until(lambda: prediction in [{**line} for line in daemon.predictions()], "the same prediction on stdout")
    assert lines("level")["rms_dbfs"] <= 0
    assert lines("state")["state"]["predictions"] > 0


def test_a_change_of_the_configuration_is_announced_and_lets_columns_out(daemon, lines):
    daemon.edit(CONFIG.replace("float32", "logits") + "feed: {spectrogram: true}\n")
    assert lines("status", lambda line: line["kind"] == "model-swapped")["facts"]["model"] == "logits"
    columns = lines("columns")
    assert columns["bands"] > 1
    assert 0 < columns["duration_s"] < 1
    daemon.edit(CONFIG.replace("float32", "logits"))
    assert lines("hello", lambda line: not line["spectrogram"])["model"] == "logits"


def test_the_end_is_said_and_the_socket_removed(daemon, lines, path):
    lines("hello")
    assert daemon.stop() == 0
    assert lines("goodbye")["reason"] == "the listener has stopped"
    assert not path.exists()
