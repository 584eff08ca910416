"""The process for TensorFlow, as far as it needs none."""

import multiprocessing
import os
import select
import signal
import time
from multiprocessing.connection import Connection

import pytest

from audiomon.errors import AudiomonError
from audiomon.lab import tensorflow_process
from audiomon.lab.tensorflow_process import Progress, TensorFlowProcess


def end_with(_progress: Progress, number: int) -> None:
    """Runs there."""
    os.kill(os.getpid(), number)


def sleep(progress: Progress) -> None:
    """Runs there: says which process it is, and is busy."""
    progress(os.getpid())
    time.sleep(600)


def train(pipe: Connection) -> None:
    """Runs in a process that is killed."""
    tensorflow_process.is_installed = lambda: True
    with TensorFlowProcess() as process:
        process.call(sleep, progress=pipe.send)


def test_it_ends_with_a_parent_that_is_killed():
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    parent = context.Process(target=train, args=(there,))
    parent.start()
    # Becomes readable when the process has ended; a process that is nobody's child cannot be waited for.
    child = os.pidfd_open(here.recv())
    parent.kill()
    parent.join()
    try:
        assert select.select([child], [], [], 60)[0]
    finally:
        os.close(child)


@pytest.mark.parametrize(
    ("number", "words"),
    [(signal.SIGKILL, "was killed, most likely for memory"), (signal.SIGABRT, r"crashed on this model \(status -6\)")],
)
def test_being_killed_is_told_apart_from_a_model_that_crashes_it(monkeypatch, number, words):
    monkeypatch.setattr(tensorflow_process, "is_installed", lambda: True)
    with TensorFlowProcess() as process, pytest.raises(AudiomonError, match=words):
        process.call(end_with, number)
