import os
import signal
import subprocess
import sys
import threading

import pytest

from audiomon.daemon.reload_request import FILE, ReloadState, request_reload
from audiomon.errors import AudiomonError, UserError
from audiomon.runtime_files import RuntimeFiles


def write_state(folder, state):
    RuntimeFiles(folder).write(FILE, state)


@pytest.fixture
def hangup():
    """Set when this process, standing in for the daemon, is sent SIGHUP."""
    came = threading.Event()
    before = signal.signal(signal.SIGHUP, lambda *_: came.set())
    yield came
    signal.signal(signal.SIGHUP, before)


def answer(folder, *states):
    threading.Timer(0.1, lambda: [write_state(folder, state) for state in states]).start()


def test_a_reload_that_had_begun_before_it_was_asked_for_is_no_answer(tmp_path, hangup):
    # Number 4 is under way when the question comes: it may have read what was saved before.
    write_state(tmp_path, ReloadState(os.getpid(), begun=4, ended=3))
    answer(
        tmp_path,
        ReloadState(os.getpid(), begun=4, ended=4, outcome="an older one"),
        ReloadState(os.getpid(), begun=5, ended=5, outcome="this one"),
    )
    assert request_reload(tmp_path, 30) == "this one"
    assert hangup.is_set()


def test_a_refusal_is_raised_with_its_reason(tmp_path, hangup):
    write_state(tmp_path, ReloadState(os.getpid()))
    answer(tmp_path, ReloadState(os.getpid(), 1, 1, "a.yaml:3: hop_s: no", refused=True))
    with pytest.raises(AudiomonError, match=r"^a\.yaml:3: hop_s: no$") as refused:
        request_reload(tmp_path, 30)
    assert refused.value.exit_status == 1
    assert hangup.is_set()


def test_nothing_that_comes_of_it_in_time_is_an_error(tmp_path, hangup):
    write_state(tmp_path, ReloadState(os.getpid()))
    with pytest.raises(AudiomonError, match=r"within 0\.1 s"):
        request_reload(tmp_path, 0.1)
    assert hangup.is_set()


def test_a_daemon_that_is_not_there_is_the_users_to_start(tmp_path):
    with pytest.raises(UserError, match="no audiomon is running"):
        request_reload(tmp_path, 1)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    write_state(tmp_path, ReloadState(gone.pid))
    with pytest.raises(UserError, match="is not running any more"):
        request_reload(tmp_path, 1)
    (tmp_path / FILE).write_text("{")
    with pytest.raises(UserError, match="damaged"):
        request_reload(tmp_path, 1)
