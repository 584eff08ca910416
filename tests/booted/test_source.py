"""A camera's sound under a real systemd: the ears have no network, the source no microphone, nobody the password.

Runs before ``test_service``, which ends by removing everything, the source included.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.booted.service import CONFIG, Service, message_id, run, wait_for
from tests.sources.radio import Radio

PASSWORD = "Tr0ub4dor&3"
IN_ADDRESS = "Tr0ub4dor%263"
SOCKET = Path("/run/audiomon-source/porch")
CREDENTIAL = Path("/etc/credstore/audiomon.source-porch")
CONNECT = f"import socket; socket.socket(socket.AF_UNIX).connect('{SOCKET}')"


@pytest.fixture(scope="module")
def radio() -> Iterator[Radio]:
    radio = Radio(PASSWORD)
    yield radio
    radio.end()


@pytest.fixture(scope="module")
def source(service: Service, clone: Path) -> Service:
    """Installed on top of a service that has none; without an address, as yet."""
    finished = subprocess.run(
        [clone / "deploy/install.sh", "--with", "source"], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert finished.returncode == 0, finished.stderr
    run("systemctl", "enable", "--now", "audiomon-source@porch.socket")
    return Service(finished.stderr, "audiomon-source@porch.service")


def test_a_stream_without_an_address_says_what_to_do_and_one_with_it_is_heard(source, service, radio):
    service.edit("device: default", "device: stream:porch")
    reason = f"there is no address: write it into {CREDENTIAL}, readable by root only"
    wait_for(lambda: reason in service.show("StatusText"), 60, lambda: service.show("StatusText"))
    CREDENTIAL.touch(0o600)
    CREDENTIAL.write_text(f"http://admin:{IN_ADDRESS}@{radio.host}/live.wav\n")
    wait_for(lambda: source.show("ActiveState") == "failed", 60, source.last_lines)  # the next one reads it again
    reloaded = subprocess.run(["systemctl", "reload", "audiomon.service"], capture_output=True, text=True)
    assert reloaded.returncode == 0, service.last_lines() + source.last_lines()
    service.wait_for_prediction(service.cursor())
    for command, said in (
        ("devices", "device: stream:porch"),
        ("doctor", "ok     rate         stream:porch delivers 22050 Hz"),
    ):
        options = ["--config", CONFIG] if command == "doctor" else []
        finished = subprocess.run(["audiomon", command, *options], capture_output=True, text=True)
        assert said in finished.stdout, finished


def test_the_password_is_nowhere(source, service, radio):
    bundle = Path("/root/bug.tar.gz")
    subprocess.run(["audiomon", "doctor", "--bundle", bundle, "--config", CONFIG], capture_output=True)
    texts = [
        run("journalctl", "--no-pager", "-o", "json", "-u", "audiomon*"),
        run("systemctl", "show", "audiomon.service", source.unit),
        run("systemctl", "status", "--no-pager", "audiomon.service", source.unit),
        run("audiomon", "status", "--json"),
        run("tar", "-xOzf", bundle),
    ]
    for pid in run("pgrep", "-f", "audiomon|ffmpeg").split():
        for name in ("cmdline", "environ"):
            try:
                texts.append(Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace"))
            except OSError:
                continue
    everything = "\n".join(texts)
    assert "porch: sends pcm_s16be" in everything
    for secret in (PASSWORD, IN_ADDRESS, "admin:", radio.host):
        assert secret not in everything


def test_the_source_has_no_microphone_and_the_ears_have_no_network(source, service):
    devices = {path.name for path in Path(f"/proc/{source.pid}/root/dev").iterdir()}
    assert not devices & {"snd", "dsp", "audio"}
    network = Path(f"/proc/{service.pid}/net/dev").read_text().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in network] == ["lo"]


def test_a_stream_is_for_those_who_may_listen_to_microphones_alone(source):
    found = SOCKET.stat()
    assert oct(found.st_mode & 0o777) == "0o660"
    assert run("getent", "group", "audio").split(":")[2] == str(found.st_gid)

    def connects(*properties: str) -> int:
        options = [part for one in ("DynamicUser=yes", *properties) for part in ("-p", one)]
        command = ["systemd-run", "--quiet", "--wait", "--pipe", *options, sys.executable, "-c", CONNECT]
        return subprocess.run(command, capture_output=True).returncode

    assert connects("SupplementaryGroups=audio") == 0
    assert connects() == 1


def test_little_is_left_open_and_systemd_has_nothing_to_say(source):
    exposure = run("systemd-analyze", "security", source.unit, "--no-pager")
    assert float(exposure.split(f"{source.unit}:")[1].split()[0]) <= 1.3, exposure[-3000:]
    units = [source.unit, "audiomon-source@porch.socket"]
    verified = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    assert [line for line in verified.stderr.splitlines() if "audiomon" in line] == []


def test_a_source_that_is_killed_and_a_radio_that_hangs_are_lost_and_heard_again(source, service, radio):
    before = service.cursor()
    run("systemctl", "kill", "-s", "KILL", source.unit)
    service.wait_for_entry(before, MESSAGE_ID=message_id("device-lost"))
    service.wait_for_entry(before, MESSAGE_ID=message_id("device-back"))
    before = service.cursor()
    radio.hangs = True
    lost = service.wait_for_entry(before, MESSAGE_ID=message_id("device-lost"))
    assert "stream:porch: has delivered nothing for" in lost["AUDIOMON_REASON"]
    radio.hangs = False
    service.wait_for_entry(before, MESSAGE_ID=message_id("device-back"))


def test_nothing_of_it_stays_when_all_is_removed(source, service, clone):
    service.edit("device: stream:porch", "device: default")
    run(clone / "deploy" / "uninstall.sh", "--purge")
    assert not CREDENTIAL.exists()
    assert not SOCKET.exists()
    left = [path for path in Path("/etc/systemd/system").rglob("*") if "audiomon-source" in path.name]
    assert left == []
    assert not any("audiomon" in os.fsdecode(path) for path in Path("/run").iterdir())
