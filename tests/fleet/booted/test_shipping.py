import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from audiomon.outputs.message_ids import MESSAGE_IDS
from tests.booted.service import run, wait_for

SERVER, SPOOL = Path("/srv/fleet"), Path("/var/lib/audiomon-ship/spool")
CONFIG = Path("/etc/audiomon/ship.conf")

# Writes as the daemon does, from a unit of its name: two minutes of summaries and an event every 5 ms.
WRITER = f"""
import socket, time
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.connect("/run/systemd/journal/socket")
def send(kind, **fields):
    lines = {{"MESSAGE": kind, "PRIORITY": "6", "SYSLOG_IDENTIFIER": "audiomon", "AUDIOMON_INSTANCE": "audiomon",
             "AUDIOMON_MODEL": "home", "MESSAGE_ID": {MESSAGE_IDS!r}[kind], **fields}}
    journal.send("\\n".join(f"{{name}}={{value}}" for name, value in lines.items()).encode())
for number in range(400):
    send("event-on", AUDIOMON_LABEL="speech", AUDIOMON_SCORE="0.9")
    send("event-off", AUDIOMON_LABEL="speech", AUDIOMON_SCORE="0.1", AUDIOMON_DURATION_S="0.5")
    if number % 40 == 0:
        send("summary", AUDIOMON_HEARD_S="60", AUDIOMON_PREDICTIONS="120", AUDIOMON_BY_LABEL='{{"speech":120}}',
             AUDIOMON_MODEL_SHA256="c0ffee", AUDIOMON_HEALTH="listening", AUDIOMON_LAG_MS_P99="20")
    time.sleep(0.005)
"""


@pytest.fixture(scope="module")
def writing(machine):
    """A Pi that ships while it writes; its unit."""
    run("systemctl", "daemon-reload")
    SERVER.mkdir(mode=0o777)
    SERVER.chmod(0o777)
    # ssh needs a server; the key is read all the same
    for name in ("key", "known_hosts"):
        Path(f"/etc/audiomon/ship.{name}").write_text("")
    Path("/etc/systemd/system/audiomon-ship.service.d").mkdir()
    Path("/etc/systemd/system/audiomon-ship.service.d/test.conf").write_text(f"[Service]\nReadWritePaths={SERVER}\n")
    run("systemctl", "daemon-reload")
    Path("/run/writer.py").write_text(WRITER)
    run("systemd-run", "--unit=audiomon.service", "/usr/bin/python3", "/run/writer.py")
    # Anybody may send what looks like an entry of ours.
    run("systemd-run", "--unit=somebody.service", "/usr/bin/python3", "/run/writer.py")


def ship(to):
    CONFIG.write_text(f"SHIP_TO={to}\nSHIP_INSTANCES=audiomon\n")
    return subprocess.run(["systemctl", "start", "audiomon-ship"], capture_output=True, text=True)


def written():
    """What journald says that the unit wrote: boot and time of each entry."""
    lines = run("journalctl", "-q", "-u", "audiomon", "SYSLOG_IDENTIFIER=audiomon", "-o", "export").splitlines()
    return keys(lines)


def keys(lines):
    return [line for line in lines if line.startswith("__MONOTONIC_TIMESTAMP=")]


def arrived(server=SERVER):
    paths = sorted(server.glob("*.zst"))
    return keys(run("zstd", "-dqc", *map(str, paths)).splitlines()) if paths else []


def test_every_entry_arrives_once_though_runs_are_killed_and_the_network_is_away_half_of_the_time(writing):
    for number in range(6):
        if number % 3 == 2:
            CONFIG.write_text(f"SHIP_TO={SERVER}/\nSHIP_INSTANCES=audiomon\n")
            run("systemctl", "start", "--no-block", "audiomon-ship")
            time.sleep(0.05 * number)
            subprocess.run(["systemctl", "kill", f"--signal={signal.SIGKILL.value}", "audiomon-ship"])
            wait_for(lambda: state() in ("failed", "inactive"), 30, state)
        else:
            ship("rsync://127.0.0.1:1/fleet/" if number % 2 else f"{SERVER}/")
    wait_for(lambda: len(written()) >= 810, 60, lambda: len(written()))
    done = ship(f"{SERVER}/")
    assert done.returncode == 0, last_lines()
    assert list(SPOOL.iterdir()) == [], last_lines()
    assert len(set(arrived())) == len(arrived())
    assert arrived() == written()


def last_lines():
    return run("journalctl", "-u", "audiomon-ship", "-n", "20", "--no-pager")


def test_without_names_all_instances_are_shipped_and_nobody_else(pis, writing, tmp_path):
    # By hand: two timers would take turns.
    command = ["/usr/local/libexec/audiomon-ship", str(tmp_path / "spool"), f"{tmp_path / 'server'}/"]
    (tmp_path / "server").mkdir()
    subprocess.run(command, env={**os.environ, "STATE_DIRECTORY": str(tmp_path)}, check=True)
    export = run("zstd", "-dqc", *map(str, (tmp_path / "server").iterdir())).splitlines()
    units = {line.split("=")[1] for line in export if line.startswith("_SYSTEMD_UNIT=")}
    assert units == {"audiomon.service", *(f"audiomon@{name}.service" for name in pis)}


def state():
    return run("systemctl", "show", "--value", "-p", "ActiveState", "audiomon-ship").strip()


def test_the_units_are_in_order_and_leave_little_open(writing):
    for name in ("audiomon-ship.service", "audiomon-ship.timer"):
        finished = subprocess.run(["systemd-analyze", "verify", name], capture_output=True, text=True)
        assert not [line for line in finished.stderr.splitlines() if "audiomon-ship" in line], finished.stderr
    exposure = run("systemd-analyze", "security", "audiomon-ship.service", "--no-pager")
    assert float(exposure.split("audiomon-ship.service:")[1].split()[0]) <= 2.5


@pytest.fixture(scope="module")
def journals(writing):
    """What arrived, made journal files of again; and as if it came from another Pi too; and a part of it twice."""
    folder = Path("/srv/journals")
    folder.mkdir()
    export = subprocess.run(["zstd", "-dqc", *sorted(SERVER.glob("*.zst"))], capture_output=True, check=True).stdout
    remote = ["/usr/lib/systemd/systemd-journal-remote", "-o"]
    subprocess.run([*remote, folder / "one.journal", "-"], input=export + export, check=True, capture_output=True)
    others = Path("/srv/fleet-journals")
    shutil.copytree(folder, others)
    other = export.replace(f"_HOSTNAME={os.uname().nodename}".encode(), b"_HOSTNAME=pi-b")
    for old in {line.split(b"=")[1] for line in export.splitlines() if line.startswith(b"_BOOT_ID=")}:
        other = other.replace(old, b"b" * 32)
    subprocess.run([*remote, others / "two.journal", "-"], input=other, check=True, capture_output=True)
    return folder, others


def report(*options):
    return run("audiomon", "report", *options)


def test_the_report_says_there_what_it_says_on_the_pi_though_all_of_it_came_twice(journals):
    there, here = (json.loads(report("--json", *options)) for options in (("--directory", str(journals[0])), ()))
    assert there == here
    assert here["labels"]["speech"]["events"] == 400
    assert here["entries"] == 810


def test_two_pis_are_two(journals, tmp_path):
    mixed = subprocess.run(["audiomon", "report", "--directory", str(journals[1])], capture_output=True, text=True)
    assert mixed.returncode == 2
    assert "--by-host" in mixed.stderr
    found = json.loads(report("--json", "--directory", str(journals[1]), "--by-host"))
    assert {name: heard["labels"]["speech"]["events"] for name, heard in found.items()} == {
        "pi-b": 400, os.uname().nodename: 400,
    }  # fmt: skip
    assert json.loads(report("--json", "--directory", str(journals[1]), "--host", "pi-b")) == found["pi-b"]
    report("--directory", str(journals[1]), "--html", str(tmp_path / "fleet.html"))
    assert "pi-b" in (tmp_path / "fleet.html").read_text()
