"""What ``deploy/fleet/ship`` sends is what the journal has, each entry once, wherever a run of it is cut short."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

SHIP = Path(__file__).resolve().parents[2] / "deploy" / "fleet" / "ship"
# Every program that changes something. The last one is run without being waited for in a pipe, too.
STEPS = ("cp", "journalctl", "zstd", "sync", "mv", "rsync")
AWAY = 75

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("zstd", "rsync", "flock"))), reason="ship needs zstd, rsync and flock"
)

# Counts the programs that are called; at the one that is to be the last, ends the whole run as a power cut does, either
# before it has done anything or right after it is done.
STEP = """#!/bin/bash
exec 8>"$COUNT.lock"; flock 8  # the ends of a pipe are called at the same time
count=$(($(cat "$COUNT" 2>/dev/null || echo 0) + 1)); echo $count >"$COUNT"
exec 8>&-
[ "$count" != "${LAST:-0}" ] || [ "$WHEN" = after ] || kill -9 -- -"$(ps -o pgid= $$ | tr -d ' ')"
%s "$@"; rc=$?
[ "$count" != "${LAST:-0}" ] || kill -9 -- -"$(ps -o pgid= $$ | tr -d ' ')"
exit $rc
"""


class Pi:
    """A machine with a journal, and a server that is there or not."""

    def __init__(self, folder):
        self.folder = folder
        self.journal, self.server, self.spool = folder / "journal", folder / "server", folder / "spool"
        self.written = 0
        for made in (self.server, folder / "state", folder / "bin"):
            made.mkdir()
        for name in STEPS:
            real = Path(__file__).with_name("journalctl") if name == "journalctl" else shutil.which(name)
            (folder / "bin" / name).write_text(STEP % real)
            (folder / "bin" / name).chmod(0o755)

    def write(self, entries):
        with self.journal.open("a") as journal:
            journal.writelines(f"entry {self.written + number}\n" for number in range(entries))
        self.written += entries

    def ship(self, to=None, last=0, when="before", **environment):
        (self.folder / "count").unlink(missing_ok=True)
        finished = subprocess.run(
            [SHIP, self.spool, to or f"{self.server}/"],
            env={
                "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                "STATE_DIRECTORY": str(self.folder / "state"),
                "JOURNAL": str(self.journal),
                "COUNT": str(self.folder / "count"),
                "LAST": str(last),
                "WHEN": when,
                **environment,
            },
            capture_output=True,
            text=True,
            start_new_session=True,
        )
        self.said = finished.stderr
        return finished.returncode

    @property
    def steps(self):
        return int((self.folder / "count").read_text())

    def arrived(self):
        """Every line that has arrived, in the order of the files' names."""
        paths = sorted(path for path in self.server.rglob("*") if path.is_file())
        return [
            line
            for path in paths
            for line in subprocess.run(["zstd", "-dqc", path], capture_output=True, text=True).stdout.splitlines()
        ]


@pytest.fixture
def pi(tmp_path):
    return Pi(tmp_path)


def all_of(pi):
    return [f"entry {number}" for number in range(pi.written)]


def test_what_was_written_arrives_once_and_nothing_stays_behind(pi):
    for _ in range(3):
        pi.write(100)
        assert pi.ship() == 0, pi.said
    assert pi.arrived() == all_of(pi)
    assert list(pi.spool.iterdir()) == []
    assert len(list(pi.server.iterdir())) == 3


def test_where_there_is_nothing_new_nothing_is_sent(pi):
    pi.write(1)
    pi.ship()
    assert pi.ship() == 0
    assert len(list(pi.server.iterdir())) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_that_is_killed_at_any_step_loses_nothing_and_sends_nothing_twice(pi, when):
    pi.write(3)
    pi.ship()
    pi.write(3)
    assert pi.ship() == 0
    steps = pi.steps
    assert steps >= 8
    for last in range(1, steps + 1):
        pi.write(7)
        assert pi.ship(last=last, when=when) == -signal.SIGKILL
        pi.write(5)
    assert pi.ship() == 0, pi.said
    assert pi.arrived() == all_of(pi)


def test_days_without_a_network_wait_in_the_spool(pi):
    for _ in range(5):
        pi.write(10)
        assert pi.ship(to="rsync://127.0.0.1:1/fleet/") == AWAY
    assert "5 files wait" in pi.said
    assert pi.ship() == 0
    assert pi.arrived() == all_of(pi)


def test_a_spool_that_is_full_leaves_the_rest_in_the_journal(pi):
    pi.write(10)
    assert pi.ship(to="rsync://127.0.0.1:1/fleet/", SHIP_SPOOL_MB="1") == AWAY
    (pi.spool / ".filler").write_bytes(os.urandom(2 << 20))
    pi.write(10)
    assert pi.ship(to="rsync://127.0.0.1:1/fleet/", SHIP_SPOOL_MB="1") == AWAY
    assert "nothing more is taken" in pi.said
    assert len(list(pi.spool.glob("*.zst"))) == 1
    (pi.spool / ".filler").unlink()
    assert pi.ship() == 0
    assert pi.ship() == 0
    assert pi.arrived() == all_of(pi)


@pytest.mark.skipif(not shutil.which("rrsync"), reason="Debian's rsync brings rrsync")
def test_a_key_that_may_only_write_into_one_folder_is_enough(pi):
    remote = pi.folder / "bin" / "ssh"
    remote.write_text(f'#!/bin/bash\nshift 3\nSSH_ORIGINAL_COMMAND="$*" exec rrsync -wo {pi.server}\n')
    remote.chmod(0o755)
    pi.write(10)
    assert pi.ship(to="fleet@server:/", RSYNC_RSH=str(remote)) == 0, pi.said
    assert pi.arrived() == all_of(pi)


def test_two_machines_never_write_the_same_file(pi, tmp_path):
    pi.write(1)
    pi.ship()
    (name,) = (path.name for path in pi.server.iterdir())
    assert name.startswith(f"{os.uname().nodename}-{Path('/etc/machine-id').read_text().strip()}-")
    assert name.endswith(".export.zst")


def test_a_wrong_form_or_too_few_arguments_are_refused(pi):
    assert pi.ship(SHIP_FORM="xml") == 2
    finished = subprocess.run([SHIP, "/nowhere"], capture_output=True, text=True)
    assert finished.returncode == 2
    assert "ship SPOOL TO" in finished.stderr
