"""The inference worker's own thread: what it computes, seen from outside."""

import time

import numpy as np
import pytest

from audiomon.clock import SystemClock
from audiomon.config import DecisionRules
from audiomon.models.classifier import Classifier
from audiomon.models.interpreter import choose_backend
from audiomon.pipeline.listener import Listener
from audiomon.pipeline.worker import InferenceWorker
from tests.models.tiny import WAVEFORM, tiny_package
from tests.pipeline.fakes import ArraySource
from tests.pipeline.test_listener import KeptOutput


def test_what_its_thread_computes_can_be_told_while_it_does(tmp_path, monkeypatch):
    """A model that computes until it shows."""
    classifier = Classifier(tiny_package(tmp_path / "waveform", "waveform"), choose_backend("auto"))
    samples = np.zeros((WAVEFORM.sample_rate, 1), np.int16)
    seen: list[tuple[float, float]] = []
    clock, scores = SystemClock(), classifier.scores

    def busy(window):
        deadline_s = time.monotonic() + 20
        while time.thread_time() < 0.1 and time.monotonic() < deadline_s:
            pass
        seen.append((worker.cpu_s(), time.thread_time()))
        return scores(window)

    monkeypatch.setattr(classifier, "scores", busy)
    listener = Listener(
        ArraySource(samples, WAVEFORM.sample_rate),
        classifier,
        DecisionRules(0.0, {}),
        hop_s=0.05,
        channel="mix",
        clock=clock,
    )
    worker = InferenceWorker(listener, KeptOutput(), clock)
    time_of_this_thread_s = time.thread_time() + 0.3
    while time.thread_time() < time_of_this_thread_s:
        pass
    worker.start()
    assert worker.done.wait(30)
    assert worker.tally.predictions == len(seen) > 0
    # Not what other threads compute, this one among them; the kernel counts in hundredths of a second.
    assert all(told == pytest.approx(thread_s, abs=0.04) for told, thread_s in seen)
