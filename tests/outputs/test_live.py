"""An output that raises, or never returns, costs its own entries only."""

import threading

import numpy as np
import pytest

from audiomon.config import Config
from audiomon.outputs.live import Fanout
from audiomon.outputs.queued import Queued
from audiomon.pipeline.prediction import Audience, Event, Prediction, Status, StatusKind
from tests.daemon.stubs import PATIENCE_S, KeptOutput
from tests.manual_clock import ManualClock

PREDICTION = Prediction("a", 1.0, np.ones(1, np.float32), ("a",), 1, 1.0, 0, 1.0, 1.0, 1.0, 0)
EVENT = Event("a", "on", 1.0, 1.0, 0, 0.0)


def status(audience: Audience = Audience.ALL) -> Status:
    return Status(StatusKind.SUMMARY, "words", 0, audience=audience)


class LiveKept(KeptOutput):
    """A live output that keeps all it gets, and can be made to raise."""

    gone = False
    error = None
    waiting = lost = 0

    def __init__(self, name: str = "kept", audience: Audience = Audience.LOG) -> None:
        super().__init__()
        self.name = name
        self.audience = audience
        self.raises: Exception | None = None
        self.closed = 0

    def prediction(self, prediction: Prediction) -> None:
        if self.raises is not None:
            raise self.raises
        super().prediction(prediction)

    def configure(self, config: Config) -> None:
        pass

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed += 1


def test_everything_goes_to_every_output_and_statuses_to_their_audience():
    log, screen = LiveKept("log"), LiveKept("screen", Audience.SCREEN)
    fanout = Fanout([log, screen], ManualClock())
    fanout.prediction(PREDICTION)
    fanout.event(EVENT)
    for audience in Audience:
        fanout.status(status(audience))
    assert log.entries == [PREDICTION, EVENT, status(), status(Audience.LOG)]
    assert screen.entries == [PREDICTION, EVENT, status(), status(Audience.SCREEN)]
    fanout.close()
    assert (log.closed, screen.closed) == (1, 1)


def test_an_output_that_raises_is_reported_to_the_others_once_and_costs_nobody_else_anything():
    bad, good = LiveKept("bad"), LiveKept("good")
    fanout = Fanout([bad, good], ManualClock())
    bad.raises = ConnectionError("broker is gone")
    for _ in range(3):
        fanout.prediction(PREDICTION)
    bad.raises = None
    fanout.prediction(PREDICTION)
    assert good.predictions == [PREDICTION] * 4
    assert bad.predictions == [PREDICTION]
    assert [one.message for one in good.statuses] == [
        "The output bad failed: ConnectionError: broker is gone. What it misses is not repeated."
    ]
    assert bad.statuses == []
    assert fanout.failures == 3


def test_an_output_that_raises_when_it_is_told_that_another_raised_ends_nothing():
    one, other = LiveKept("one"), LiveKept("other")
    one.raises = other.raises = RuntimeError("both")
    other.status = lambda _: 1 / 0
    fanout = Fanout([one, other], ManualClock())
    fanout.prediction(PREDICTION)
    assert fanout.failures == 3


class Blocking(KeptOutput):
    """An output whose first write does not return until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.may = threading.Event(), threading.Event()

    def prediction(self, prediction: Prediction) -> None:
        self.entered.set()
        assert self.may.wait(PATIENCE_S)
        super().prediction(prediction)


def test_an_output_that_never_returns_is_not_waited_for_and_what_it_missed_is_counted():
    blocking = Blocking()
    queued = Queued(blocking, "a terminal", ManualClock(), max_waiting=3)
    queued.prediction(PREDICTION)
    assert blocking.entered.wait(PATIENCE_S)
    for _ in range(10):
        queued.event(EVENT)
    assert (queued.waiting, queued.lost) == (3, 7)
    blocking.may.set()
    queued.close()
    assert blocking.entries[0] == PREDICTION
    assert blocking.statuses[0].message == "7 entries were not written: a terminal did not take them in time"
    assert blocking.entries[2:] == [EVENT] * 3
    assert not queued.gone


def test_a_reader_that_has_gone_ends_an_output_and_only_that():
    class Gone(KeptOutput):
        def prediction(self, _prediction: Prediction) -> None:
            raise BrokenPipeError

    queued = Queued(Gone(), "a pipe", ManualClock())
    queued.prediction(PREDICTION)
    queued._thread.join(PATIENCE_S)
    assert queued.gone
    assert queued.error is None
    queued.event(EVENT)
    assert queued.waiting == 0
    assert Fanout([queued], ManualClock()).gone
    assert not Fanout([queued, LiveKept()], ManualClock()).gone


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("a fault")])
def test_what_writing_failed_with_is_kept_for_whoever_asks(error):
    class Full(KeptOutput):
        def event(self, _event: Event) -> None:
            raise error

    queued = Queued(Full(), "a file", ManualClock())
    queued.event(EVENT)
    queued._thread.join(PATIENCE_S)
    assert queued.gone
    assert queued.error is error
