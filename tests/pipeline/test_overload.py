"""A model that is slower than real time: whole windows go, oldest first, counted; and it is said by how much."""

import numpy as np
import pytest

from audiomon.config import DecisionRules
from audiomon.models.classifier import Classifier
from audiomon.models.interpreter import installed_backends
from audiomon.pipeline.listener import Listener
from audiomon.pipeline.pace import LATE_S
from audiomon.pipeline.worker import InferenceWorker
from tests.manual_clock import ManualClock
from tests.models.tiny import LOG_MEL, tiny_package
from tests.pipeline.fakes import ArraySource, noise
from tests.pipeline.test_listener import KeptOutput

RATE = LOG_MEL.sample_rate
HOP_S = 0.16  # half a window
HOP = 10 * LOG_MEL.hop_length
SECONDS = 60


class SlowClassifier:
    """A real one on which the clock passes: what a heavier model, or a busier machine, would take."""

    def __init__(self, classifier: Classifier, clock: ManualClock, costs_s) -> None:
        self._classifier = classifier
        self._clock = clock
        self._costs_s = costs_s

    def __getattr__(self, name):
        return getattr(self._classifier, name)

    def scores(self, window):
        self._clock.advance(self._costs_s())
        return self._classifier.scores(window)


@pytest.fixture
def classifier(tmp_path):
    return Classifier(tiny_package(tmp_path / "tiny", "float32"), installed_backends()[0])


def listened(classifier, costs_s, gaps=(), live=True):
    clock, output = ManualClock(), KeptOutput()
    source = ArraySource(noise(SECONDS * RATE), RATE, gaps=gaps, clock=clock)
    source.live = live
    slow = SlowClassifier(classifier, clock, costs_s)
    listening = Listener(source, slow, DecisionRules(0.0, {}), hop_s=HOP_S, channel="mix", clock=clock)
    errors = []
    worker = InferenceWorker(listening, output, clock, on_end=errors.append)
    worker.start()
    assert worker.done.wait(60)
    assert errors == [None]
    return worker.tally, output, clock


@pytest.mark.parametrize("times", [1.1, 1.9, 3.0, 12.0])
def test_whole_windows_are_shed_oldest_first_and_every_frame_is_accounted_for(classifier, times):
    gaps = [(20 * RATE, 20 * RATE + 4321)]
    tally, output, clock = listened(classifier, lambda: times * HOP_S, gaps)
    assert tally.classified + tally.shed + tally.lost + tally.left_over == SECONDS * RATE
    ends = [prediction.position for prediction in output.predictions]
    assert ends == sorted(set(ends))
    # Those before the gap are on the grid of hops from the first one; none is cut elsewhere.
    assert {(end - LOG_MEL.window_samples) % HOP for end in ends if end <= 20 * RATE} == {0}
    assert tally.windows_shed == pytest.approx(SECONDS / HOP_S * (1 - 1 / times), rel=0.1, abs=15)
    assert max(prediction.lag_ms for prediction in output.predictions) / 1e3 < LATE_S + 4 * times * HOP_S
    # It ends soon after the audio has: nothing piles up.
    assert clock.monotonic_ns() / 1e9 < SECONDS + LATE_S + 4 * times * HOP_S
    slow, *_, over = [status for status in output.statuses if status.kind in ("too-slow", "keeps-up")]
    assert slow.severity == "warning"
    assert slow.facts["times_too_slow"] == pytest.approx(times, rel=0.01)
    assert f"{times:.2f} times too slow" in slow.message
    assert (over.facts["windows_shed"], over.facts["shed"]) == (tally.windows_shed, tally.shed)


def test_where_windows_overlap_enough_a_slow_model_still_hears_every_sample(classifier):
    tally, *_ = listened(classifier, lambda: 1.5 * HOP_S)
    assert tally.windows_shed > 50
    assert tally.shed == 0
    assert tally.classified + tally.left_over == SECONDS * RATE


def test_being_held_up_once_sheds_nothing(classifier):
    costs_s = iter([0.0, 0.0, 0.0, 8.0])
    tally, output, _ = listened(classifier, lambda: next(costs_s, 0.001))
    assert tally.windows_shed == 0
    assert tally.classified + tally.left_over == SECONDS * RATE
    assert output.statuses == []
    assert max(prediction.lag_ms for prediction in output.predictions) > 7000


def test_when_it_keeps_up_again_that_is_said_with_the_numbers(classifier):
    costs_s = iter([2 * HOP_S] * 40)
    tally, output, _ = listened(classifier, lambda: next(costs_s, 0.0))
    assert [status.kind for status in output.statuses] == ["too-slow", "keeps-up"]
    assert output.statuses[1].facts["windows_shed"] == tally.windows_shed > 0
    assert "keeps up again" in output.statuses[1].message


def test_a_recording_is_classified_whole_however_slowly(classifier):
    tally, output, _ = listened(classifier, lambda: 3 * HOP_S, live=False)
    assert tally.windows_shed == 0
    assert np.diff([prediction.position for prediction in output.predictions]).tolist() == [HOP] * (
        tally.predictions - 1
    )
