"""The keeper beside the service, under a real systemd: clips arrive; who may connect; what each may, and may not.

Runs before ``test_service``, which ends by removing everything, the keeper included.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.booted.service import PATIENCE_S, Service, message_id, run, wait_for

CLIPS, REVIEW = Path("/run/audiomon-clips/audiomon.sock"), Path("/run/audiomon-review/keeper.sock")
FOLDER = Path("/var/lib/private/audiomon-keeper")


@pytest.fixture(scope="module")
def keeper(service: Service, clone: Path) -> Service:
    """The keeper, installed on top of a service that has none. Whatever is heard there turns a label on at once."""
    service.edit("decisions:\n", "decisions:\n  labels: {baby_cry: {on: 0, off: 0}}\n")
    service.edit("  labels: []", "  labels: [baby_cry]")
    service.edit("never_above: 0.015", "never_above: 1")
    service.edit("longest_s: 30", "longest_s: 4")
    finished = subprocess.run(
        [clone / "deploy/install.sh", "--with", "keeper"], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert finished.returncode == 0, finished.stderr
    return Service(finished.stderr, "audiomon-keeper.service")


def listed() -> list[dict]:
    lines = run("audiomon", "clips", "list", "--only", "clips", "--json").splitlines()
    return [json.loads(line) for line in lines]


def wait_for_clips(count: int, keeper: Service) -> list[dict]:
    return wait_for(lambda: found if len(found := listed()) >= count else None, PATIENCE_S, keeper.last_lines)


def test_a_clip_is_on_disk_and_can_be_heard(keeper, service, tmp_path):
    event = wait_for_clips(1, keeper)[0]
    assert (event["label"], event["outcome"], event["instance"]) == ("baby_cry", "kept", "audiomon")
    clip = event["clip"]
    assert clip["samples"] == 4 * clip["sample_rate"]
    run("audiomon", "clips", "play", clip["id"], "--to", str(tmp_path / "clip.flac"))
    assert (tmp_path / "clip.flac").stat().st_size == clip["bytes"]
    assert len(list(FOLDER.glob("clips/*/*.flac"))) >= 1
    entry = service.wait_for_entry(0, MESSAGE_ID=message_id("clip-kept"))
    assert entry["AUDIOMON_ID"] == clip["id"]

    def said() -> str | None:
        text = run("audiomon", "status")
        return text if "1 kept" in text and "keeper      1 clips" in text else None

    # Each process writes its own part, every few seconds.
    status = wait_for(said, PATIENCE_S, keeper.last_lines)
    assert "following audiomon" in status


def test_the_sockets_are_for_their_groups_alone(keeper):
    def connects(path: Path, *groups: str) -> bool:
        options = ["-p", "DynamicUser=yes", *(part for one in groups for part in ("-p", f"SupplementaryGroups={one}"))]
        connect = f"import socket; socket.socket(socket.AF_UNIX).connect('{path}')"
        command = ["systemd-run", "--quiet", "--wait", "--pipe", *options, sys.executable, "-c", connect]
        return subprocess.run(command, capture_output=True).returncode == 0

    for path, group in ((CLIPS, "audiomon-clips"), (REVIEW, "audiomon-review")):
        assert oct(path.stat().st_mode & 0o777) == "0o660"
        assert run("getent", "group", group).split(":")[2] == str(path.stat().st_gid)
        assert connects(path, group)
        assert not connects(path)
    assert not connects(CLIPS, "audiomon-review")


def test_little_is_left_open_and_systemd_has_nothing_to_say(keeper):
    for unit, most in (("audiomon-keeper.service", 0.2), ("audiomon.service", 0.4)):
        exposure = run("systemd-analyze", "security", unit, "--no-pager")
        assert float(exposure.split(f"{unit}:")[1].split()[0]) <= most, exposure[-3000:]
    units = ["audiomon.service", "audiomon-keeper.service", "audiomon-keeper.socket"]
    units += ["audiomon-clips.socket", "audiomon-clips@x.socket"]
    verified = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    assert [line for line in verified.stderr.splitlines() if "audiomon" in line] == []


def test_the_memory_has_no_device_no_network_and_no_file_but_its_own(keeper):
    process = Path(f"/proc/{keeper.pid}")
    assert not {path.name for path in (process / "root/dev").iterdir()} & {"snd", "dsp", "audio"}
    assert [line.split(":")[0].strip() for line in (process / "net/dev").read_text().splitlines()[2:]] == ["lo"]
    opened = [os.readlink(path) for path in (process / "fd").iterdir()]
    opened = [target for target in opened if target.startswith("/") and target != "/dev/null"]
    assert all(target.startswith(str(FOLDER)) for target in opened), opened
    assert oct(FOLDER.stat().st_mode & 0o777) == "0o700"


def test_a_keeper_that_is_killed_costs_the_ears_nothing_and_takes_the_next_clip(keeper, service):
    ears, before = service.pid, len(listed())
    run("systemctl", "kill", "-s", "KILL", "audiomon-keeper.service")
    service.wait_for_prediction(service.cursor())
    assert service.pid == ears
    wait_for(lambda: keeper.show("ActiveState") == "active", PATIENCE_S, keeper.last_lines)
    run("systemctl", "restart", "audiomon")
    wait_for_clips(before + 1, keeper)


def test_what_is_never_kept_is_refused_and_the_event_stays(keeper, service):
    service.edit("never_above: 1", "never_above: 0")
    run("systemctl", "restart", "audiomon")
    entry = service.wait_for_entry(service.cursor(), MESSAGE_ID=message_id("clip-refused"))
    assert (entry["AUDIOMON_CLIP"], entry["AUDIOMON_REASON"]) == ("refused", "never")
    run("systemctl", "is-active", "audiomon-keeper")
    events = [json.loads(line) for line in run("audiomon", "clips", "list", "--json").splitlines()]
    assert (events[0]["outcome"], events[0]["clip"]) == ("refused", None)
    assert events[0]["reason"].startswith("speech 0.")
