"""The process for TensorFlow, as far as it needs none."""

import os
import signal

import pytest

from audiomon.errors import AudiomonError
from audiomon.lab import tensorflow_process
from audiomon.lab.tensorflow_process import Progress, TensorFlowProcess


def end_with(_progress: Progress, number: int) -> None:
    """Runs there."""
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "words"),
    [(signal.SIGKILL, "was killed, most likely for memory"), (signal.SIGABRT, r"crashed on this model \(status -6\)")],
)
def test_being_killed_is_told_apart_from_a_model_that_crashes_it(monkeypatch, number, words):
    monkeypatch.setattr(tensorflow_process, "is_installed", lambda: True)
    with TensorFlowProcess() as process, pytest.raises(AudiomonError, match=words):
        process.call(end_with, number)
