"""Windows below the gate: the model is not run, what is on turns off, and what it saved is counted."""

import numpy as np
import pytest

from audiomon.clock import SystemClock
from audiomon.config import DecisionRules, Threshold
from audiomon.models.classifier import Classifier
from audiomon.models.interpreter import choose_backend
from audiomon.pipeline.listener import Listener, Replacement
from audiomon.pipeline.prediction import Event, Prediction, Status
from audiomon.pipeline.statuses import period_summary, summary
from audiomon.pipeline.worker import InferenceWorker
from tests.manual_clock import ManualClock
from tests.models.tiny import LABELS, WAVEFORM, tiny_package
from tests.pipeline.fakes import ArraySource

RATE, WINDOW = WAVEFORM.sample_rate, WAVEFORM.samples  # a tenth of a second
HOP_S = 0.05
GATE_DBFS = -40.0
ALWAYS = DecisionRules(0.0, {label: Threshold(on=0.01, off=0.005, min_off_s=0.0) for label in LABELS})


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return Classifier(tiny_package(tmp_path_factory.mktemp("gate") / "waveform", "waveform"), choose_backend("auto"))


def loud_then_quiet(loud_s: float = 0.5, quiet_s: float = 0.5) -> np.ndarray:
    random = np.random.default_rng(1)
    loud = random.integers(-8000, 8000, (round(loud_s * RATE), 1))
    quiet = random.integers(-30, 30, (round(quiet_s * RATE), 1))  # about -66 dBFS
    return np.concatenate([loud, quiet]).astype(np.int16)


def listen(classifier, samples: np.ndarray, gate_dbfs: float | None, chunk: int = 10_000) -> Listener:
    return Listener(
        ArraySource(samples, RATE, chunk=lambda: chunk),
        classifier,
        ALWAYS,
        hop_s=HOP_S,
        channel="mix",
        clock=ManualClock(),
        gate_dbfs=gate_dbfs,
    )


def hear(listener: Listener) -> list:
    heard = []
    while not listener.ended:
        if (one := listener.next()) is not None:
            heard.append(one)
    return heard


@pytest.mark.parametrize("chunk", [10_000, 800, 77])
def test_the_model_runs_for_every_window_with_something_loud_in_it_and_for_no_other(classifier, chunk):
    heard = hear(listen(classifier, loud_then_quiet(), GATE_DBFS, chunk))
    ran = [one.prediction is not None for one in heard]
    assert len(ran) == 19
    # The last window that reaches into the loud half ends 0.55 s from the start, which is the tenth one.
    assert ran == [True] * 10 + [False] * 9
    open_all_along = hear(listen(classifier, loud_then_quiet(), None))
    for one, other in zip(heard[:10], open_all_along, strict=False):
        assert np.array_equal(one.prediction.scores, other.prediction.scores)
        assert one.prediction.position == other.prediction.position


def test_what_is_on_turns_off_when_nothing_is_loud_enough_any_more(classifier):
    listener = listen(classifier, loud_then_quiet(), GATE_DBFS)
    events = [event for one in hear(listener) for event in one.events]
    assert {event.label for event in events if event.state == "on"} == set(LABELS)
    off = [event for event in events if event.state == "off"]
    assert [event.label for event in off] == list(LABELS)
    # With the first window that is not run.
    assert {round(event.position_s, 6) for event in off} == {0.6}
    assert listener.decisions.active == ()


def test_a_sound_after_silence_is_heard_from_its_first_window_on(classifier):
    samples = loud_then_quiet()[::-1]
    ran = [one.prediction is not None for one in hear(listen(classifier, samples, GATE_DBFS))]
    # The first one that reaches into the loud half ends 0.55 s from the start.
    assert ran == [False] * 9 + [True] * 10


class Outputs:
    def __init__(self) -> None:
        self.predictions: list[Prediction] = []
        self.events: list[Event] = []
        self.statuses: list[Status] = []

    def prediction(self, prediction: Prediction) -> None:
        self.predictions.append(prediction)

    def event(self, event: Event) -> None:
        self.events.append(event)

    def status(self, status: Status) -> None:
        self.statuses.append(status)


def test_what_it_saved_is_counted_and_losses_below_it_are_told(classifier):
    samples = loud_then_quiet(0.5, 1.0)
    source = ArraySource(samples, RATE, gaps=[(18_000, 18_500)])
    listener = Listener(
        source, classifier, ALWAYS, hop_s=HOP_S, channel="mix", clock=SystemClock(), gate_dbfs=GATE_DBFS
    )
    outputs = Outputs()
    errors = []
    worker = InferenceWorker(listener, outputs, SystemClock(), on_end=errors.append)
    worker.start()
    assert worker.done.wait(30)
    assert errors == [None]
    tally = worker.tally
    assert tally.predictions == len(outputs.predictions) == 10
    assert tally.gated == 26 - 10
    # 400 frames before the gap were too few for another window.
    assert tally.lost == 400 + 500
    assert tally.classified + tally.lost + tally.left_over == len(samples)
    assert [status.facts["lost"] for status in outputs.statuses if status.kind == "audio-lost"] == [tally.lost]
    spent_s = sum(prediction.inference_us for prediction in outputs.predictions) / 1e6
    assert tally.saved_s == pytest.approx(spent_s / 10 * 16)
    for status in (
        summary(tally, 1.5, 1.5, SystemClock()),
        period_summary(tally, 1.5, 1.5, -50.0, SystemClock()),
    ):
        assert f"; 16 windows below the gate, which saved {tally.saved_s:.2f} s of inference" in status.message
        assert status.facts["gated"] == 16


def test_a_gate_may_be_set_moved_and_taken_away_while_it_listens(classifier):
    listener = listen(classifier, loud_then_quiet(0.2, 2.0), None)
    for _ in range(20):
        assert listener.next().prediction is not None
    listener.replace(Replacement(classifier, ALWAYS, HOP_S, GATE_DBFS))
    ran = [listener.next().prediction is not None for _ in range(5)]
    # Open until it has heard a window for itself.
    assert ran == [True, True, False, False, False]
    listener.replace(Replacement(classifier, ALWAYS, HOP_S, -90.0))
    assert all(listener.next().prediction is not None for _ in range(5))
    listener.replace(Replacement(classifier, ALWAYS, HOP_S, GATE_DBFS))
    for _ in range(4):
        listener.next()
    listener.replace(Replacement(classifier, ALWAYS, HOP_S, None))
    first = listener.next()
    assert first.prediction is not None
    assert len(first.take_overs) == 1
