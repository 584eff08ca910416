"""``audiomon status``, as people and programs read it."""

import os
import subprocess
import sys
import time

import msgspec
import pytest

from audiomon.outputs.snapshot import FILE, Snapshot
from audiomon.runtime_files import RuntimeFiles
from tests.cli.command import Audiomon

STANDING = Snapshot(
    pid=os.getpid(), version="1.2.3", at_s=0.0, up_s=7200.0, health="listening", health_s=90.0, reason="",
    microphone="kitchen", model="home", config="/etc/audiomon/audiomon.yaml", refused="", label="speech", score=0.93,
    per_s=1.96, predictions=14_000, inference_us=188.0, lag_ms=60.0, lag_ms_p99=110.0, peak_dbfs=-20.4,
    classified=990, shed=0, lost=10, left_over=0, windows_shed=0, gated=0, undelivered=0, away=0, reopened=0,
    entries_waiting=0,    entries_lost=0, stage_failures=0,
)  # fmt: skip


@pytest.fixture
def status(tmp_path):
    def ask(*arguments, age_s=0.0, **changes):
        standing = msgspec.structs.replace(STANDING, at_s=time.monotonic() - age_s, **changes)
        RuntimeFiles(tmp_path).write(FILE, standing)
        return Audiomon(tmp_path)("status", "--runtime", tmp_path, *arguments, model=None)

    return ask


def test_all_is_well(status):
    done = status()
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        "health      listening for 1.5 min",
        "microphone  kitchen, peak -20 dBFS",
        "model       home (/etc/audiomon/audiomon.yaml)",
        "hears       speech 0.93, 2.0 predictions/s",
        "latency     188 µs a call, lag 60 ms (99 %: 110 ms)",
        "unheard     10 samples lost (99.00% of all samples heard)",
        "running     2.0 h, 14000 predictions, version 1.2.3",
    ]


def test_what_is_not_well_is_said_and_is_the_exit_status(status):
    done = status(
        health="doubtful", reason="nothing but zeros", refused="a.yaml:3: no", windows_shed=4, shed=100,
        stage_failures=1, entries_lost=2,
    )  # fmt: skip
    assert done.status == 1
    for words in (
        "doubtful for 1.5 min: nothing but zeros", "refused     a.yaml:3: no", "4 windows shed (100 samples)",
        "failures    1, with the stage restarted", "journal     0 waiting, 2 lost",
    ):  # fmt: skip
        assert words in done.out


def test_programs_get_json(status):
    assert status("--json").json[0]["health"] == "listening"


def test_a_daemon_that_does_not_move_or_is_gone_is_not_taken_for_a_running_one(status):
    stuck = status(age_s=60)
    assert stuck.status == 1
    assert "does not move any more" in stuck.err
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    done = status(pid=gone.pid)
    assert done.out == ""
    assert "has ended" in done.refused()


def test_where_none_runs_that_is_said_in_a_line(tmp_path):
    assert "no audiomon is running" in Audiomon(tmp_path)("status", "--runtime", tmp_path, model=None).refused()
