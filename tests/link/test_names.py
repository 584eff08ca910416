"""What machines, listeners and labels are called elsewhere; and secrets."""

import socket
import subprocess
import sys

import pytest

from audiomon.credentials import credential
from audiomon.daemon.health import Health
from audiomon.errors import UserError
from audiomon.link import machine as machine_module
from audiomon.link.discovery import HEALTH, announced, title
from audiomon.link.machine import Machine
from audiomon.link.settings import Mqtt
from audiomon.link.topics import MachineTopics, level_of, slug_of, slugs_of


def this(monkeypatch, tmp_path, host, machine_id="0123"):
    path = tmp_path / "machine-id"
    path.write_text(machine_id)
    monkeypatch.setattr(machine_module, "MACHINE_ID", path)
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    return Machine.this()


def test_a_machine_is_called_by_its_host_name_and_a_common_one_is_made_unique(monkeypatch, tmp_path):
    assert this(monkeypatch, tmp_path, "attic.home.arpa").name == "attic"
    one, other = (this(monkeypatch, tmp_path, "raspberrypi", machine_id) for machine_id in ("0123", "4567"))
    assert one.name == f"raspberrypi-{one.id[:4]}" != other.name
    assert this(monkeypatch, tmp_path, "raspberrypi") == one
    assert "0123" not in one.id


def test_without_a_machine_id_the_host_name_does(monkeypatch, tmp_path):
    monkeypatch.setattr(machine_module, "MACHINE_ID", tmp_path / "none")
    monkeypatch.setattr(socket, "gethostname", lambda: "")
    assert Machine.this().name.startswith("audiomon-")


def test_labels_become_names_that_a_topic_can_hold_and_no_two_the_same():
    labels = ["dog_bark", "Dog bark", "dog-bark!", "Çığlık", "吠える", "🐶", "a/+/#", "", "x" * 300]
    slugs = slugs_of(labels)
    assert list(slugs) == labels
    assert [slugs[label] for label in labels[:4]] == ["dog_bark", "dog_bark_2", "dog_bark_3", "cglk"]
    assert len(set(slugs.values())) == len(labels)
    assert all(slug.isascii() and slug.replace("_", "").isalnum() and len(slug) <= 60 for slug in slugs.values())


def test_a_name_that_looks_like_a_topic_is_one_level():
    assert level_of("a/b+#c") == "a_b__c"
    assert MachineTopics("audiomon/pi").listener("a/b").online == "audiomon/pi/a_b/listener"
    assert slug_of("a/b") == "a_b"


def test_titles_are_words():
    assert (title("dog_bark"), title("x\x1b[31m"), title("_")) == ("Dog bark", "X\\x1b[31m", "?")


@pytest.mark.parametrize(
    "message", [b"", b"{", b"[]", b'{"cmps": 5}', b'{"cmps": {"a": 5}}', b'{"cmps": {"a": {"q": 1, "r": 2}}}']
)
def test_a_strange_message_announces_nothing(message):
    assert announced(message) == {}


def test_home_assistant_knows_every_state_of_health():
    assert set(HEALTH) == {str(state) for state in Health}


@pytest.mark.parametrize(
    ("broker", "tls", "expected"),
    [
        ("host", "auto", ("host", 1883)),
        ("host:2883", "auto", ("host", 2883)),
        ("host", True, ("host", 8883)),
        ("[::1]:2883", "auto", ("::1", 2883)),
        ("[::1]", "auto", ("::1", 1883)),
    ],
)
def test_a_broker_is_a_host_with_or_without_a_port(broker, tls, expected):
    assert Mqtt(broker=broker, tls=tls).address == expected


def test_a_secret_is_the_one_line_of_its_file(tmp_path):
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    (tmp_path / "a").write_text(" two words\n")
    assert credential("a", environment) == " two words"
    assert credential("none", environment) is None
    assert credential("a", {}) is None
    for strange in (b"\xff", b"a\nb\n", b"x" * 5000):
        (tmp_path / "a").write_bytes(strange)
        with pytest.raises(UserError, match="is no secret"):
            credential("a", environment)


def test_the_link_never_imports_what_only_listening_and_the_lab_need():
    code = (
        "import sys, audiomon.cli.link, audiomon.link.process; "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), "
        "*(name for name in sys.modules if name.startswith('audiomon.')))"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(finished.stdout.split())
    assert "audiomon.link.mqtt" in modules
    assert not modules & {"numpy", "sounddevice", "soundfile", "scipy", "librosa", "tensorflow", "ai_edge_litert"}
    assert not [name for name in modules if name.startswith(("audiomon.audio", "audiomon.lab", "audiomon.daemon"))]
