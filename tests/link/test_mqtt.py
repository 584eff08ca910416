"""The link on a real broker, read by a real ``mosquitto_sub``; what listens is made up."""

import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from audiomon.errors import UserError
from audiomon.link.publishing import MAX_LABELS
from audiomon.link.status import FILE, LinkStatus
from audiomon.runtime_files import read_runtime
from tests.link.processes import Broker, Link, Reader, made_up_listener, publish, wait_until
from tests.outputs.listening import event, model, snapshot

BASE = "audiomon/attic/audiomon"


def config(port, more=""):
    return f"mqtt:\n  broker: localhost:{port}\n  name: attic\n{more}"


class House:
    """A broker, a reader, and links with listeners; ended together."""

    def __init__(self, folder, stack, *settings, reader=()):
        self.folder = folder
        self._stack = stack
        self.broker = Broker(folder, *settings)
        stack.callback(self.broker.stop)
        self.reader = self.read(*reader)

    @property
    def port(self):
        return self.broker.port

    def read(self, *options):
        reader = Reader(self.port, *options)
        self._stack.callback(reader.stop)
        return reader

    def link(self, more="", name="attic", **environment):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        link = Link(folder, config(self.port, more).replace("attic", name), **environment)
        link.start()
        self._stack.callback(link.close)
        return link

    def listener(self, link, instance="audiomon", **changes):
        listener = self._stack.enter_context(made_up_listener(link, instance))
        listener.feed.observe(model())
        listener.stand(snapshot(**changes))
        return listener


@pytest.fixture
def stack():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def house(tmp_path, stack):
    return House(tmp_path, stack)


@pytest.fixture
def discovered(house):
    """The newest discovery message of the attic's first listener."""

    def discovered(true=lambda message: True):
        topic = wait_until(
            lambda: next((one for one, _, _ in list(house.reader.messages) if one.endswith("_audiomon/config")), None),
            "a discovery message",
        )
        return house.reader.wait_json(topic, true)

    return discovered


def test_states_are_retained_and_events_are_not(house):
    link = house.link()
    listener = house.listener(link)
    house.reader.wait_for(f"{BASE}/listener", "online")
    house.reader.wait_for(f"{BASE}/label/speech", "OFF")
    listener.wait_wanted()
    listener.feed.event(event())
    house.reader.wait_for(f"{BASE}/label/speech", "ON")
    assert house.reader.wait_json(f"{BASE}/event", bool) == {
        "label": "speech", "state": "on", "score": 0.8, "time": "2023-11-14T22:13:20.000000+00:00", "duration_s": 0.0
    }  # fmt: skip
    listener.stand(snapshot(health="lost", reason="unplugged", lost=12))
    state = house.reader.wait_json(f"{BASE}/state", lambda state: state["health"] == "lost")
    assert (state["reason"], state["lost"], state["model"], state["lag_ms"]) == ("unplugged", 12, "home", 50.0)
    late = house.read()
    late.wait_for(f"{BASE}/label/speech", "ON")
    late.wait_json(f"{BASE}/label/speech/attributes", lambda one: one["score"] == 0.8)
    late.wait_for("audiomon/attic/availability", "online")
    late.wait_json(f"{BASE}/state", bool)
    assert late.payloads(f"{BASE}/event") == []
    assert all(retained for _, _, retained in late.messages)


def test_what_has_ended_is_said_to_be_offline_however_it_ended(house):
    link = house.link()
    listener = house.listener(link)
    house.reader.wait_for(f"{BASE}/listener", "online")
    listener.close()
    house.reader.wait_for(f"{BASE}/listener", "offline")
    house.listener(link)
    house.reader.wait_for(f"{BASE}/listener", "online")
    link.stop(signal.SIGKILL)
    house.reader.wait_for("audiomon/attic/availability", "offline")
    link.start()
    house.reader.wait_for("audiomon/attic/availability", "online")
    assert link.stop() == 0
    house.reader.wait_for("audiomon/attic/availability", "offline")


def test_a_listener_that_went_while_nobody_followed_it_is_not_left_online(house):
    publish(house.port, "audiomon/attic/garden/listener", "online", "-r")
    publish(house.port, "audiomon/cellar/garden/listener", "online", "-r")
    link = house.link()
    house.listener(link)
    house.reader.wait_for("audiomon/attic/garden/listener", "offline")
    house.reader.wait_for(f"{BASE}/listener", "online")
    assert house.reader.last("audiomon/cellar/garden/listener") == "online"


def test_one_message_announces_all_entities(house, discovered):
    house.listener(house.link())
    message = discovered()
    components = message["cmps"]
    assert message["availability_mode"] == "all"
    assert [one["topic"] for one in message["availability"]] == ["audiomon/attic/availability", f"{BASE}/listener"]
    assert message["dev"]["name"] == "audiomon attic"
    assert set(components) == {
        "label_dog_bark", "label_speech", "sound", "level", "problem", "health", "model", "lost", "lag"
    }  # fmt: skip
    assert components["sound"]["event_types"] == ["dog_bark", "speech"]
    ids = [one["unique_id"] for one in components.values()]
    assert len(set(ids)) == len(ids)
    assert "object_id" not in json.dumps(message)


def test_it_is_announced_again_when_home_assistant_starts_and_when_labels_change(house, discovered):
    listener = house.listener(house.link())
    before = discovered()
    house.reader.messages.clear()
    publish(house.port, "homeassistant/status", "online")
    assert discovered() == before
    house.reader.wait_for(f"{BASE}/label/speech", "OFF")
    listener.feed.observe(model("other", ("speech", "rooster")))
    changed = discovered(lambda message: "label_rooster" in message["cmps"])
    assert changed["cmps"]["label_dog_bark"] == {"p": "binary_sensor"}
    house.reader.wait_for(f"{BASE}/label/rooster", "OFF")


def test_what_an_earlier_process_announced_and_retained_is_removed(house, discovered):
    link = house.link()
    listener = house.listener(link)
    listener.feed.event(event("dog_bark"))
    house.reader.wait_json(f"{BASE}/label/dog_bark/attributes", bool)
    link.stop()
    listener.feed.event(event("dog_bark", "off"))
    listener.feed.observe(model("other", ("speech",)))
    link.start()
    message = discovered(lambda message: message["cmps"].get("label_dog_bark") == {"p": "binary_sensor"})
    assert message["cmps"]["label_speech"]["unique_id"]
    house.reader.wait_for(f"{BASE}/label/dog_bark", "")
    house.reader.wait_for(f"{BASE}/label/dog_bark/attributes", "")
    late = house.read()
    late.wait_for(f"{BASE}/label/speech", "OFF")
    assert late.payloads(f"{BASE}/label/dog_bark") == []


def test_a_broker_that_was_away_gets_states_and_no_old_events(house):
    link = house.link()
    listener = house.listener(link)
    house.reader.wait_for(f"{BASE}/listener", "online")
    house.broker.stop()
    link.wait_said("retrying")
    for _ in range(5):
        listener.feed.event(event("dog_bark"))
        listener.feed.event(event("dog_bark", "off", 1.0))
    listener.feed.event(event("speech"))
    house.broker.start()
    back = house.read()
    back.wait_for(f"{BASE}/label/speech", "ON")
    back.wait_for(f"{BASE}/label/dog_bark", "OFF")
    assert back.payloads(f"{BASE}/event") == []
    listener.feed.event(event("speech", "off", 3.0))
    back.wait_json(f"{BASE}/event", lambda one: one["state"] == "off")
    assert len([line for line in link.said if "retrying" in line]) == 1


def test_a_broker_that_comes_late_is_found(house):
    house.broker.stop()
    link = house.link()
    house.listener(link)
    assert "Connection refused" in link.wait_said("retrying")
    house.broker.start()
    house.read().wait_for(f"{BASE}/listener", "online")


def test_several_machines_and_instances_do_not_touch_each_others_entities(house):
    attic, cellar = house.link(), house.link(name="cellar")
    listeners = [house.listener(attic), house.listener(attic, "garden"), house.listener(cellar)]
    bases = [BASE, "audiomon/attic/garden", "audiomon/cellar/audiomon"]
    for base in bases:
        house.reader.wait_for(f"{base}/listener", "online")
    listeners[1].feed.event(event())
    house.reader.wait_for(f"{bases[1]}/label/speech", "ON")
    attic.stop()
    house.reader.wait_for("audiomon/attic/availability", "offline")
    assert [house.reader.last(f"{base}/label/speech") for base in bases] == ["OFF", "ON", "OFF"]
    assert house.reader.last("audiomon/cellar/availability") == "online"
    announced = {one: json.loads(payload) for one, payload, _ in house.reader.messages if one.endswith("/config")}
    assert {message["dev"]["name"] for message in announced.values()} == {
        "audiomon attic", "audiomon attic garden", "audiomon cellar"
    }  # fmt: skip


def test_labels_are_chosen_and_capped_and_said_once(house):
    link = house.link('  labels: ["Dog*", speech, "x *"]\n')
    listener = house.listener(link)
    house.reader.wait_for(f"{BASE}/label/speech", "OFF")
    assert house.reader.payloads(f"{BASE}/label/dog_bark") == []
    listener.feed.observe(model("large", tuple(f"x {number}" for number in range(MAX_LABELS + 20))))
    house.reader.wait_for(f"{BASE}/label/x_{MAX_LABELS - 1}", "OFF")
    listener.feed.observe(model("larger", tuple(f"x {number}" for number in range(MAX_LABELS + 20))))
    house.reader.wait_for(f"{BASE}/listener", "online")
    assert "20 are left out" in link.wait_said("left out")
    assert house.reader.payloads(f"{BASE}/label/x_{MAX_LABELS}") == []
    assert len([line for line in link.said if "left out" in line]) == 1


def test_without_discovery_nothing_is_announced_and_predictions_come_where_asked_for(house):
    from tests.outputs.listening import prediction

    listener = house.listener(house.link("  discovery: null\n  predictions: true\n"))
    house.reader.wait_for(f"{BASE}/listener", "online")

    def predicted():
        listener.feed.prediction(prediction())
        return house.reader.last(f"{BASE}/prediction")

    assert json.loads(wait_until(predicted, "a prediction"))["label"] == "speech"
    assert [topic for topic, _, _ in house.reader.messages if topic.startswith("homeassistant")] == []


def test_what_is_saved_is_in_force_and_a_mistake_is_refused_with_its_line(house):
    link = house.link()
    house.listener(link)
    house.reader.wait_for(f"{BASE}/listener", "online")
    link.edit(config(house.port, "  topics: x\n"))
    assert f"{link.config}:4: mqtt.topics: is not a key that is known here; did you mean topic?" in link.wait_said(
        "Ref"
    )
    link.edit(config(house.port, "  topic: house/sounds\n"))
    house.reader.wait_for("house/sounds/attic/audiomon/listener", "online")
    house.reader.wait_for("audiomon/attic/availability", "offline")
    link.edit("mqtt:\n  broker: ''\n")
    house.reader.wait_for("house/sounds/attic/availability", "offline")


@pytest.fixture
def locked(tmp_path, stack):
    """A house whose broker wants a password."""
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "audiomon", "right"], check=True)
    passwords.chmod(0o644)
    tmp_path.chmod(0o755)
    return House(
        tmp_path, stack, f"password_file {passwords}", "allow_anonymous false", reader=("-u", "audiomon", "-P", "right")
    )


def test_the_password_is_a_credential(locked, tmp_path):
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "mqtt-password").write_text("wrong\n")
    link = locked.link("  username: audiomon\n", CREDENTIALS_DIRECTORY=str(credentials))
    listener = locked.listener(link)
    assert "Not authorized" in link.wait_said("retrying")
    (credentials / "mqtt-password").write_text("right\n")
    locked.reader.wait_for(f"{BASE}/listener", "online")
    listener.feed.event(event())
    locked.reader.wait_for(f"{BASE}/label/speech", "ON")
    assert "right" not in "".join(link.said)


@pytest.fixture
def certificates(tmp_path):
    """Two authorities, and a certificate of the first one's for localhost."""
    for name in ("ca", "other"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
             "2", "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}"],
            cwd=tmp_path, check=True, capture_output=True,
        )  # fmt: skip
    (tmp_path / "names").write_text("subjectAltName=DNS:localhost")
    for command in (
        "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout broker.key -out broker.csr "
        "-subj /CN=localhost",
        "openssl x509 -req -in broker.csr -CA ca.crt -CAkey ca.key -days 2 -out broker.crt -extfile names",
    ):
        subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "broker.key").chmod(0o644)
    tmp_path.chmod(0o755)
    return tmp_path


def test_a_broker_is_believed_only_with_a_certificate_of_a_known_authority_for_its_name(certificates, stack):
    house = House(
        certificates, stack, f"certfile {certificates / 'broker.crt'}", f"keyfile {certificates / 'broker.key'}",
        reader=("--cafile", str(certificates / "ca.crt"), "--insecure"),
    )  # fmt: skip
    link = house.link(f"  ca: {certificates / 'other.crt'}\n")
    house.listener(link)
    assert "certificate verify failed" in link.wait_said("retrying")
    link.edit(config(house.port, "  tls: true\n"))
    link.wait_said("certificate verify failed", 2)
    link.edit(config(house.port, f"  ca: {certificates / 'ca.crt'}\n").replace("localhost", "127.0.0.1"))
    link.wait_said("IP address mismatch")
    link.edit(config(house.port, f"  ca: {certificates / 'nowhere.crt'}\n"))
    link.wait_said("mqtt.ca: cannot be used")
    assert house.reader.messages == []
    link.edit(config(house.port, f"  ca: {certificates / 'ca.crt'}\n"))
    house.reader.wait_for(f"{BASE}/listener", "online")


def test_a_listener_that_writes_nonsense_or_nothing_costs_the_others_nothing(house):
    import socket

    link = house.link()
    house.listener(link)
    house.reader.wait_for(f"{BASE}/listener", "online")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as nonsense:
        nonsense.bind(str(link.feeds / "strange.sock"))
        nonsense.listen()
        nonsense.settimeout(60)
        for sent in (b"\xff\n", b'{"type":"event"}\n', b"[" * 10_000 + b"\n", b'{"type":"hello","protocol":99}\n', b""):
            client, _ = nonsense.accept()
            client.sendall(sent)
            time.sleep(0.05)
            client.close()
    assert house.reader.payloads(f"{BASE}/listener")[-1] == "online"
    assert link.process.poll() is None


def status_line(link):
    try:
        return read_runtime(link.runtime, FILE, LinkStatus).line
    except UserError:
        return "none yet"


def test_actions_are_paused_by_the_switch_that_home_assistant_shows(house):
    with socket.create_server(("127.0.0.1", 0)) as web:
        link = house.link(
            f"actions: [{{on: [speech], webhook: {{url: 'http://127.0.0.1:{web.getsockname()[1]}/'}}}}]\n"
        )
        listener = house.listener(link)
        house.reader.wait_for("audiomon/attic/actions", "ON")
        publish(house.port, "audiomon/attic/actions/set", "OFF")
        house.reader.wait_for("audiomon/attic/actions", "OFF")
        listener.wait_wanted()
        listener.feed.event(event())
        house.reader.wait_for(f"{BASE}/label/speech", "ON")
        wait_until(lambda: "actions works (paused, paused 1)" in status_line(link), lambda: status_line(link))
        web.settimeout(0)
        with pytest.raises(BlockingIOError):
            web.accept()
        publish(house.port, "audiomon/attic/actions/set", "ON")
        house.reader.wait_for("audiomon/attic/actions", "ON")


def test_the_broker_is_tried_as_actions_are(house, tmp_path):
    def tried(port):
        (tmp_path / "link.yaml").write_text(config(port))
        command = [sys.executable, "-m", "audiomon", "link", "test", "--config", str(tmp_path / "link.yaml")]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    found = tried(house.port)
    assert (found.returncode, found.stdout) == (
        0,
        f"mqtt        done    localhost:{house.port}: audiomon/attic/test came back\n",
    )
    assert house.reader.last("audiomon/attic/test") == "audiomon link test"
    house.broker.stop()
    found = tried(house.port)
    assert found.returncode == 1
    assert found.stdout.startswith(f"mqtt        FAILED  localhost:{house.port}: ")
    assert "Connection refused" in found.stdout
