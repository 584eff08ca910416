"""A stream through a real small model: what a prediction says about when, where, how long and how sure."""

import numpy as np
import pytest

from audiomon.config import DecisionRules, Threshold
from audiomon.errors import DeviceError
from audiomon.features import LogMel
from audiomon.models.classifier import Classifier
from audiomon.models.interpreter import installed_backends
from audiomon.pipeline.listener import Heard, Listener
from audiomon.pipeline.prediction import Event, Prediction, Status
from audiomon.pipeline.worker import InferenceWorker
from tests.manual_clock import ManualClock
from tests.models.tiny import LABELS, LOG_MEL, tiny_package
from tests.pipeline.fakes import TICK_NS, ArraySource, TickingClock, noise

RATE = LOG_MEL.sample_rate
HOP_S = 0.08  # 5 of 20 frames
HOP = 5 * LOG_MEL.hop_length
NEVER = DecisionRules(0.0, {})
SINCE_1970_NS = 1_700_000_000_000_000_000


@pytest.fixture(params=installed_backends())
def classifier(request, tmp_path):
    return Classifier(tiny_package(tmp_path / "tiny", "float32"), request.param)


def listener(source: ArraySource, classifier: Classifier, clock: ManualClock, rules: DecisionRules = NEVER) -> Listener:
    return Listener(source, classifier, rules, hop_s=HOP_S, channel="mix", clock=clock)


def hear(listening: Listener) -> list[Heard]:
    heard = []
    while not listening.ended:
        if (one := listening.next()) is not None:
            heard.append(one)
    return heard


def test_every_prediction_is_the_models_answer_to_its_window_and_knows_where_that_ends(classifier):
    clock = ManualClock()
    samples = noise(RATE)
    heard = hear(listener(ArraySource(samples, RATE, clock=clock), classifier, clock))
    front_end = LogMel(LOG_MEL)
    frames = front_end.frames(samples[:, 0] / np.float32(32768))
    assert len(heard) == 1 + (len(frames) - LOG_MEL.frames) // 5 > 5
    for index, one in enumerate(heard):
        prediction = one.prediction
        window = front_end.finish(frames[5 * index : 5 * index + LOG_MEL.frames])
        np.testing.assert_array_equal(prediction.scores, classifier.scores(window))
        assert prediction.labels == LABELS
        assert prediction.label == LABELS[int(prediction.scores.argmax())]
        assert prediction.score == prediction.scores.max()
        assert prediction.position == LOG_MEL.window_samples + index * HOP
        assert prediction.position_s == prediction.position / RATE
        assert prediction.lost == 0
        assert one.events == ()


def test_times_are_those_of_the_windows_last_sample(classifier):
    clock = TickingClock(SINCE_1970_NS)
    source = ArraySource(noise(RATE), RATE, clock=clock)
    for one in hear(listener(source, classifier, clock)):
        prediction = one.prediction
        captured_ns = source.captured_ns(prediction.position)
        # The clock is looked at around the features, around the model, and for the lag: a microsecond each time.
        assert prediction.features_us == TICK_NS / 1e3
        assert prediction.inference_us == TICK_NS / 1e3
        assert abs(prediction.time_ns - (SINCE_1970_NS + captured_ns)) <= 10 * TICK_NS
        assert 0 < prediction.lag_ms <= 0.02


def test_a_late_prediction_says_how_late_it_is(classifier):
    clock = ManualClock(SINCE_1970_NS)
    source = ArraySource(noise(RATE), RATE, clock=clock)
    clock.advance(3.0)  # all of it was captured before anybody asked
    for one in hear(listener(source, classifier, clock)):
        assert one.prediction.lag_ms == pytest.approx(3000 - one.prediction.position_s * 1e3)
        assert one.prediction.time_ns == pytest.approx(SINCE_1970_NS + one.prediction.position_s * 1e9, abs=1000)


def test_what_is_left_at_the_end_is_told(classifier):
    clock = ManualClock()
    listening = listener(ArraySource(noise(RATE), RATE), classifier, clock)
    assert listening.position == 0
    last = hear(listening)[-1].prediction
    assert listening.position == last.position
    assert listening.unused_s == (RATE - last.position) / RATE
    assert listening.next() is None


def test_a_stream_shorter_than_a_window_gives_nothing_and_says_so(classifier):
    listening = listener(ArraySource(noise(LOG_MEL.window_samples - 1), RATE), classifier, ManualClock())
    assert hear(listening) == []
    assert listening.unused_s == (LOG_MEL.window_samples - 1) / RATE


class KeptOutput:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.predictions: list[Prediction] = []
        self.statuses: list[Status] = []

    def prediction(self, prediction: Prediction) -> None:
        self.predictions.append(prediction)

    def event(self, event: Event) -> None:
        pass

    def status(self, status: Status) -> None:
        self.statuses.append(status)


def test_lost_audio_is_on_the_next_prediction_and_counted_even_if_none_follows(classifier):
    clock, output = ManualClock(), KeptOutput()
    gaps = [(6000, 6500), (15_000, 15_123)]
    listening = listener(ArraySource(noise(RATE), RATE, gaps=gaps, clock=clock), classifier, clock)
    errors = []
    worker = InferenceWorker(listening, output, clock, on_end=errors.append)
    worker.start()
    assert worker.done.wait(30)
    assert errors == [None]
    (late,) = [prediction for prediction in output.predictions if prediction.lost]
    # What came after the last window before the gap is in no window either.
    assert late.lost == 6500 - LOG_MEL.window_samples
    assert late.position == 6500 + LOG_MEL.window_samples
    tally = worker.tally
    assert tally.lost == late.lost + 123
    assert tally.left_over == RATE - output.predictions[-1].position - 123
    assert tally.classified + tally.lost + tally.left_over == RATE
    assert [status.facts["lost"] for status in output.statuses] == [late.lost, 123]


def test_events_follow_from_the_scores_and_carry_the_time_of_their_window(classifier):
    # Half a second of each: the tiny model calls silence dog_bark, and noise baby_cry.
    samples = np.concatenate([np.zeros((RATE, 1), np.int16), noise(RATE), np.zeros((RATE, 1), np.int16)])
    rules = DecisionRules(0.0, {"baby_cry": Threshold(on=0.7, off=0.3, min_on_s=0, min_off_s=0)})
    clock = ManualClock(SINCE_1970_NS)
    heard = hear(listener(ArraySource(samples, RATE, clock=clock), classifier, clock, rules))
    events = [(one.prediction, event) for one in heard for event in one.events]
    assert [event.state for _, event in events] == ["on", "off"]
    (on_prediction, on), (off_prediction, off) = events
    cry = LABELS.index("baby_cry")
    for prediction, event in events:
        assert event.label == "baby_cry"
        assert event.score == pytest.approx(float(prediction.scores[cry]))
        assert event.position_s == prediction.position_s
        assert event.time_ns == prediction.time_ns
    assert 1.0 < on.position_s <= 1.0 + LOG_MEL.window_s + HOP_S
    assert 2.0 < off.position_s <= 2.0 + LOG_MEL.window_s + HOP_S
    assert off.duration_s == pytest.approx(off_prediction.position_s - on_prediction.position_s)
    assert on.duration_s == 0


def test_a_channel_that_the_source_does_not_have_is_refused(classifier):
    with pytest.raises(DeviceError, match=r"has 2 channel\(s\), numbered from 0; there is no channel 2"):
        Listener(ArraySource(noise(10, 2), RATE), classifier, NEVER, hop_s=HOP_S, channel=2, clock=ManualClock())


def test_a_waveform_model_hears_the_samples_themselves(tmp_path):
    classifier = Classifier(tiny_package(tmp_path / "waveform", "waveform"), installed_backends()[0])
    samples = noise(RATE)
    heard = hear(listener(ArraySource(samples, RATE), classifier, ManualClock()))
    hop = round(HOP_S * RATE)
    assert len(heard) == 1 + (RATE - 1600) // hop
    for index, one in enumerate(heard):
        window = samples[index * hop : index * hop + 1600, 0] / np.float32(32768)
        np.testing.assert_array_equal(one.prediction.scores, classifier.scores(window))


class SetClock(ManualClock):
    """One that somebody sets, hours to and fro. The real one is everybody's on this machine, and stays as it is."""

    def set(self, hours: float) -> None:
        self._since_1970_ns += round(hours * 3600 * 1e9)


@pytest.mark.parametrize("hours", [-5, 3, 400_000])
def test_a_clock_that_is_set_changes_no_decision_and_times_are_right_after(classifier, hours):
    samples = np.concatenate([np.zeros((RATE, 1), np.int16), noise(RATE), np.zeros((RATE, 1), np.int16)])
    rules = DecisionRules(0.2, {"baby_cry": Threshold(on=0.5, off=0.4, min_on_s=0.1, min_off_s=0.1)})
    steady, stepped = ManualClock(SINCE_1970_NS), SetClock(SINCE_1970_NS)
    expected = hear(listener(ArraySource(samples, RATE, clock=steady), classifier, steady, rules))
    listening = listener(ArraySource(samples, RATE, clock=stepped), classifier, stepped, rules)
    heard = []
    while not listening.ended:
        if len(heard) == len(expected) // 2:  # in the middle of the noise
            stepped.set(hours)
        if (one := listening.next()) is not None:
            heard.append(one)
    assert [[(e.label, e.state, e.position_s, e.duration_s) for e in one.events] for one in heard] == [
        [(e.label, e.state, e.position_s, e.duration_s) for e in one.events] for one in expected
    ]
    assert [event.state for one in heard for event in one.events] == ["on", "off"]
    by_s = round(hours * 3600)
    differences = {
        round((a.prediction.time_ns - b.prediction.time_ns) / 1e9) for a, b in zip(heard, expected, strict=True)
    }
    assert differences == {0, by_s}
    assert heard[-1].prediction.time_ns - expected[-1].prediction.time_ns == pytest.approx(by_s * 1e9, abs=1e6)
