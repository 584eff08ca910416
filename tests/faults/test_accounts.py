"""Every frame that a real microphone captured is accounted for, whenever and however listening ends."""

import pytest

from audiomon.audio.microphone import MicrophoneSource
from audiomon.clock import SystemClock
from audiomon.config import DecisionRules
from audiomon.models.classifier import Classifier
from audiomon.models.interpreter import installed_backends
from audiomon.pipeline.listener import Listener
from audiomon.pipeline.worker import InferenceWorker
from tests.daemon.daemon import wait_until
from tests.models.tiny import tiny_package
from tests.pipeline.test_listener import KeptOutput


@pytest.mark.mic
@pytest.mark.parametrize("predictions", [0, 1, 7])
def test_classified_shed_lost_and_left_over_are_what_was_captured(virtual_microphone, tmp_path, predictions):
    classifier = Classifier(tiny_package(tmp_path / "tiny", "float32"), installed_backends()[0])
    clock, output = SystemClock(), KeptOutput()
    # At the device's own rate, which is converted: positions are rounded, and nothing may be counted twice for it.
    source = MicrophoneSource("mic", sample_rate=22_050)
    listening = Listener(source, classifier, DecisionRules(0.0, {}), hop_s=0.1, channel="mix", clock=clock)
    worker = InferenceWorker(listening, output, clock)
    worker.start()
    wait_until(lambda: len(output.predictions) >= predictions, "predictions")
    assert worker.stop(30)
    tally = worker.tally
    assert tally.classified + tally.shed + tally.lost + tally.left_over == source.captured_end
    assert tally.lost == 0
    assert tally.classified == (output.predictions[-1].position if output.predictions else 0)
