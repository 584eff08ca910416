import os
import signal
import threading
import time

import pytest

from audiomon.daemon.wakeups import Wakeups


@pytest.fixture
def wakeups():
    waiting = Wakeups(signal.SIGHUP, signal.SIGUSR1)
    yield waiting
    waiting.close()


def test_a_wait_ends_when_its_time_is_up(wakeups):
    assert wakeups.wait(0.01) == set()


def test_signals_that_come_before_or_during_a_wait_are_returned_once(wakeups):
    os.kill(os.getpid(), signal.SIGHUP)
    assert wakeups.wait(30) == {signal.SIGHUP}
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    assert wakeups.wait(30) == {signal.SIGUSR1}
    assert wakeups.wait(0) == set()


def test_another_thread_can_end_a_wait(wakeups):
    threading.Timer(0.05, wakeups.wake).start()
    before = time.monotonic()
    assert wakeups.wait(30) == set()
    assert time.monotonic() - before < 20


def test_more_wakeups_than_a_pipe_holds_hold_nobody_up(wakeups):
    for _ in range(100_000):
        wakeups.wake()
    assert wakeups.wait(30) == set()
    assert wakeups.wait(0.01) == set()


def test_a_file_that_can_be_read_ends_a_wait(wakeups):
    reading, writing = os.pipe()
    wakeups.watch(reading)
    os.write(writing, b"x")
    before = time.monotonic()
    wakeups.wait(30)
    assert time.monotonic() - before < 20
    os.close(reading)
    os.close(writing)


def test_signals_are_given_back():
    before = signal.getsignal(signal.SIGUSR1)
    Wakeups(signal.SIGUSR1).close()
    assert signal.getsignal(signal.SIGUSR1) == before
