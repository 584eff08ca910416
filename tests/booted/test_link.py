"""The link beside the service, under a real systemd: installed, followed, hurt; what the one may, the other may not.

Its last test removes both.
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.booted.service import PATIENCE_S, Service, message_id, run, wait_for
from tests.link.processes import Broker, Reader, wait_until

LINK_CONFIG = Path("/etc/audiomon/link.yaml")
SECRET = Path("/etc/credstore/audiomon.mqtt-password")
SOCKET = Path("/run/audiomon-feed/audiomon.sock")
# What the microphone hears is noise, which is background: that makes an event too.
EAGER = "decisions:\n  deny: []\n"
CONNECT = "import socket; socket.socket(socket.AF_UNIX).connect('/run/audiomon-feed/audiomon.sock')"


@pytest.fixture(scope="module")
def broker(tmp_path_factory) -> Iterator[Broker]:
    folder = tmp_path_factory.mktemp("broker")
    subprocess.run(["mosquitto_passwd", "-b", "-c", folder / "passwords", "audiomon", "secret"], check=True)
    broker = Broker(folder, f"password_file {folder / 'passwords'}", "allow_anonymous false")
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def reader(broker) -> Iterator[Reader]:
    reader = Reader(broker.port, "-u", "audiomon", "-P", "secret")
    yield reader
    reader.stop()


@pytest.fixture(scope="module")
def link(service: Service, clone: Path, broker: Broker) -> Service:
    """The link, installed on top of a service that has none, with a broker to talk to."""
    Path("/etc/credstore").mkdir(mode=0o700, exist_ok=True)
    SECRET.write_text("secret\n")
    SECRET.chmod(0o600)
    LINK_CONFIG.write_text(
        # The interfaces of the network that the program sees.
        "actions:\n  - on: ['*']\n    cooldown_s: 0\n    command: [/bin/grep, -c, ':', /proc/self/net/dev]\n"
        f"mqtt:\n  broker: 127.0.0.1:{broker.port}\n  username: audiomon\n  name: booted\n"
    )
    finished = subprocess.run(
        [clone / "deploy/install.sh", "--with", "link"], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert finished.returncode == 0, finished.stderr
    assert "keeping your /etc/audiomon/link.yaml" in finished.stderr
    run("systemctl", "enable", "--now", "audiomon-command.socket")
    return Service(finished.stderr, "audiomon-link.service")


def online(reader: Reader, payload: str) -> None:
    reader.wait_for("audiomon/booted/audiomon/listener", payload)


def test_it_follows_the_service_and_publishes_with_the_password_from_the_credential(link, reader):
    online(reader, "online")
    state = reader.wait_json("audiomon/booted/audiomon/state", lambda state: state["level_dbfs"] is not None)
    assert state["model"] == "home"
    assert link.show("ActiveState") == "active"
    assert "following audiomon · mqtt works" in wait_for(
        lambda: line if "mqtt works" in (line := link.show("StatusText")) else None, PATIENCE_S, link.last_lines
    )
    assert "link        following audiomon · mqtt works" in run("audiomon", "status")
    assert b"secret" not in Path(f"/proc/{link.pid}/environ").read_bytes()


def test_the_feed_is_for_its_group_alone(link):
    found = SOCKET.stat()
    assert oct(found.st_mode & 0o777) == "0o660"
    assert run("getent", "group", "audiomon-feed").split(":")[2] == str(found.st_gid)

    def connects(*properties: str) -> int:
        options = [part for one in ("DynamicUser=yes", *properties) for part in ("-p", one)]
        command = ["systemd-run", "--quiet", "--wait", "--pipe", *options, sys.executable, "-c", CONNECT]
        return subprocess.run(command, capture_output=True).returncode

    assert connects("SupplementaryGroups=audiomon-feed") == 0
    assert connects() == 1


def test_little_is_left_open_and_systemd_has_nothing_to_say(link):
    for unit, most in (("audiomon-link.service", 1.0), ("audiomon.service", 0.4)):
        exposure = run("systemd-analyze", "security", unit, "--no-pager")
        assert float(exposure.split(f"{unit}:")[1].split()[0]) <= most, exposure[-3000:]
    units = [
        *("audiomon.service", "audiomon-link.service", "audiomon-feed.socket", "audiomon-feed@x.socket"),
        *("audiomon-command.socket", "audiomon-command@x.service", "audiomon-apprise.socket"),
        "audiomon-apprise@x.service",
    ]
    verified = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    assert [line for line in verified.stderr.splitlines() if "audiomon" in line] == []


def test_the_mouth_has_no_device_and_no_file_and_the_ears_no_network_and_no_socket_but_the_feeds(link, service):
    devices = {path.name for path in Path(f"/proc/{link.pid}/root/dev").iterdir()}
    assert not devices & {"snd", "dsp", "audio"}
    opened = [os.readlink(path) for path in Path(f"/proc/{link.pid}/fd").iterdir()]
    assert [target for target in opened if target.startswith("/") and target != "/dev/null"] == []
    network = Path(f"/proc/{service.pid}/net")
    assert [line.split(":")[0].strip() for line in (network / "dev").read_text().splitlines()[2:]] == ["lo"]
    for protocol in ("tcp", "tcp6", "udp", "udp6", "raw", "packet"):
        assert len((network / protocol).read_text().splitlines()) == 1, protocol
    inodes = {
        target[8:-1]
        for path in Path(f"/proc/{service.pid}/fd").iterdir()
        if (target := os.readlink(path)).startswith("socket:[")
    }
    bound = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    listening = {fields[7] for fields in bound if fields[6] in inodes and len(fields) > 7 and fields[3] == "00010000"}
    assert listening == {str(SOCKET)}


def test_what_the_ears_go_through_is_published(link, service, reader):
    online(reader, "online")
    link_pid = link.pid
    run("systemctl", "kill", "-s", "KILL", "audiomon.service")
    online(reader, "offline")
    online(reader, "online")
    run("systemctl", "stop", "audiomon.service")
    online(reader, "offline")
    wait_until(lambda: not SOCKET.exists(), "the end of its socket")  # a job of its own, after the service's
    run("systemctl", "start", "audiomon.service")
    online(reader, "online")
    assert link.pid == link_pid


def test_a_mouth_that_is_killed_costs_the_ears_nothing(link, service, reader):
    pid = service.pid
    run("systemctl", "kill", "-s", "KILL", "audiomon-link.service")
    reader.wait_for("audiomon/booted/availability", "offline")
    reader.wait_for("audiomon/booted/availability", "online")
    assert service.pid == pid
    service.wait_for_prediction(service.cursor())


def test_another_instance_has_a_feed_of_its_own_and_the_one_link_follows_it(link, reader):
    garden = Path("/etc/audiomon/garden.yaml")
    garden.write_text(Path("/etc/audiomon/audiomon.yaml").read_text())
    drop_in = Path("/etc/systemd/system/audiomon@.service.d/test.conf")
    drop_in.write_text(Path("/etc/systemd/system/audiomon.service.d/test.conf").read_text())
    run("systemctl", "daemon-reload")
    run("systemctl", "start", "audiomon@garden")
    reader.wait_for("audiomon/booted/garden/listener", "online")
    run("systemctl", "stop", "audiomon@garden")
    reader.wait_for("audiomon/booted/garden/listener", "offline")
    for path in (garden, drop_in):
        path.unlink()
    run("systemctl", "daemon-reload")


def test_settings_that_are_refused_are_an_entry_with_an_explanation(link):
    text = LINK_CONFIG.read_text()
    LINK_CONFIG.write_text(text + "  topics: x\n")
    entry = link.wait_for_entry(0, MESSAGE_ID="9bd775f136cc4464a0ccb18b2e1b25e4")
    assert "did you mean topic?" in entry["AUDIOMON_REASON"]
    assert "Fix it and save" in run("journalctl", "-x", "-u", "audiomon-link", "-n", "20", "--no-pager")
    refused = wait_until(lambda: line if "refuses" in (line := link.show("StatusText")) else "", link.last_lines)
    assert "topics" in refused
    LINK_CONFIG.write_text(text)
    wait_until(lambda: "refuses" not in link.show("StatusText"), link.last_lines)


def test_the_page_and_metrics_are_there_for_this_machine_under_its_own_name_alone(link, reader):
    online(reader, "online")
    with urllib.request.urlopen("http://127.0.0.1:8117/metrics", timeout=PATIENCE_S) as answer:
        assert b'audiomon_listener_up{listener="audiomon"} 1.0' in answer.read()
    with urllib.request.urlopen("http://127.0.0.1:8117/", timeout=PATIENCE_S) as answer:
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    other = urllib.request.Request("http://127.0.0.1:8117/", headers={"Host": "elsewhere.example"})
    with pytest.raises(urllib.error.HTTPError, match="421"):
        urllib.request.urlopen(other, timeout=PATIENCE_S)
    wait_until(lambda: "page works (http://127.0.0.1:8117)" in run("audiomon", "status"), link.last_lines)


def test_one_of_each_is_tried_and_a_command_sees_no_network_but_itself(link):
    said = run("audiomon", "link", "test").splitlines()
    assert [line.split()[:2] for line in said] == [["mqtt", "done"], ["1", "command"]]
    assert said[1].endswith("done    /bin/grep ended with status 0: 1")


def test_actions_that_events_started_are_in_the_report(link, service):
    service.edit("decisions:\n", EAGER)
    try:
        done = link.wait_for_entry(0, MESSAGE_ID=message_id("link-action-done"))
        assert (done["AUDIOMON_ACTION"], done["AUDIOMON_INSTANCE"]) == ("1 command", "audiomon")
        reported = json.loads(run("audiomon", "report", "--since", "1h", "--json"))
        assert reported["actions"]["1 command"]["done"] >= 1
        wait_until(lambda: "actions works (done " in run("audiomon", "status"), lambda: run("audiomon", "status"))
    finally:
        service.edit(EAGER, "decisions:\n")


def test_while_they_work_neither_opens_what_it_should_not(link, service, reader):
    """The ears make no socket and open no file for writing but their own; the mouth opens none but its own."""
    for unit, own in ((service, "/run/audiomon/"), (link, "/run/audiomon-link/")):
        traced = subprocess.Popen(
            ["strace", "-f", "-qq", "-e", "trace=socket,bind,connect,open,openat,creat", "-p", str(unit.pid)],
            stderr=subprocess.PIPE,
            text=True,
        )
        before = unit.show("StatusText")
        time.sleep(10)  # that time passes is what is tested: both write their status every 5 s
        traced.terminate()
        calls = traced.communicate(timeout=PATIENCE_S)[1].splitlines()
        assert any(own in call for call in calls), (before, calls)
        opened = [call for call in calls if "open" in call and not ("O_RDONLY" in call or own in call)]
        assert opened == []
        if unit is service:
            assert [call for call in calls if "socket(" in call or "bind(" in call or "connect(" in call] == []
        assert [call for call in calls if "/dev/" in call and "/dev/null" not in call] == []


def test_uninstalling_removes_the_link_and_keeps_what_people_wrote(link, clone):
    said = subprocess.run([clone / "deploy/uninstall.sh"], check=True, capture_output=True, text=True).stderr
    assert "keeping /etc/audiomon" in said
    assert LINK_CONFIG.exists()
    assert run("systemctl", "list-units", "--all", "--plain", "--no-legend", "audiomon*").strip() == ""
    assert list(Path("/etc/systemd/system").glob("**/audiomon*.so*")) == []
    subprocess.run([clone / "deploy/uninstall.sh", "--purge"], check=True, capture_output=True)
    assert not LINK_CONFIG.exists()
    assert not SECRET.exists()
