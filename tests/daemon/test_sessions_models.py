"""A change of model or settings while a source is open, and a model that fails: what is said, and what is counted."""

import threading

import pytest
from msgspec.structs import replace

from audiomon.audio.source import Missing
from audiomon.daemon import session as session_module
from audiomon.daemon.sessions import WORKER_STALLED_S
from audiomon.errors import DeviceError, StageError
from audiomon.pipeline.prediction import Event, Status, StatusKind
from audiomon.pipeline.worker import InferenceWorker
from tests.daemon.house import House, failing_at, models
from tests.daemon.stubs import PATIENCE_S, RATE, StubClassifier, running


def test_a_restarted_stage_turns_off_what_was_on_before_it_starts_over():
    house = House(StubClassifier("A", on_scores=failing_at(5)))
    source = house.source()
    house.sessions.begin(source, "")
    source.wait_heard()
    source.send(0.65)
    house.until(lambda: house.output.of_kind("stage-failed"))
    source.wait_heard()
    house.listen(source, 1.0)
    states = [entry.state for entry in house.output.entries if isinstance(entry, Event)]
    assert states == ["on", "off", "on"]
    assert house.output.kinds == ["listening", "stage-failed", "listening", "audio-lost"]
    house.end()
    assert house.total() == source.captured_end
    assert house.sessions.counting.total.lost == house.output.of_kind("audio-lost")[0].facts["lost"] == 1600


def test_a_stage_that_fails_three_times_within_a_minute_is_given_up_and_all_is_counted():
    house = House(StubClassifier("A", on_scores=failing_at(*range(2, 100))))
    source = house.source()
    house.sessions.begin(source, "")
    source.wait_heard()

    def fail_thrice() -> None:
        for failures in (1, 2, 3):
            source.send(1.0)
            house.until(lambda failures=failures: house.sessions.failures.count == failures)

    with pytest.raises(StageError, match="the inference stage raised RuntimeError: boom, the third failure"):
        fail_thrice()
    house.end()
    assert house.total() == source.captured_end
    assert house.sessions.failures.count == 3


def test_a_change_is_announced_by_the_window_that_it_holds_from(house):
    source = house.begin()
    change = house.change(StubClassifier("B"))
    assert change.outcome is None
    house.listen(source, 0.3)
    assert change.outcome == "Changed, 0 samples lost"
    announced = house.output.entries.index(house.output.of_kind("config-applied")[0])
    assert set(models(house.output.entries[:announced])) == {"A"}
    assert models(house.output.entries[announced:]) == ["B"] * 3


def test_a_change_within_the_first_window_is_announced_by_its_own_window():
    inside, go = threading.Event(), threading.Event()

    def first_takes_long(number: int) -> None:
        if number == 0:
            inside.set()
            assert go.wait(PATIENCE_S)

    house = House(StubClassifier("A", on_scores=first_takes_long))
    source = house.source()
    house.sessions.begin(source, "")
    source.wait_heard()
    source.send(0.1)
    assert inside.wait(PATIENCE_S)
    change = house.change(StubClassifier("B"))
    go.set()
    source.wait_heard()
    house.sessions.step()
    assert change.outcome is None
    assert models(house.output.entries) == ["A"]
    house.listen(source, 0.2)
    assert change.outcome == "Changed, 0 samples lost"
    house.end()


def test_a_change_after_the_source_came_back_silent_is_announced_and_so_is_the_source(house):
    house.lose(house.begin(), DeviceError("unplugged"))
    back = house.source()
    house.open_next(back)
    change = house.change(StubClassifier("B"))
    assert change.outcome is None
    back.wait_heard()
    house.listen(back, 0.3)
    assert change.outcome == "Changed, 0 samples lost"
    assert house.output.kinds == ["listening", "device-lost", "listening", "device-back", "config-applied"]
    assert models(house.output.entries)[-1] == "B"


def test_two_changes_that_wait_for_the_same_window_are_both_announced_in_their_order(house):
    source = house.begin()
    first = Status(StatusKind.CONFIG_APPLIED, "first", 0)
    house.sessions._held.listener.replace(running(StubClassifier("B")).replacement(lambda _: (first,)))
    change = house.change(StubClassifier("C"))
    house.listen(source, 0.1)
    assert [status.message for status in house.output.of_kind("config-applied")] == ["first", "Changed, 0 samples lost"]
    assert change.outcome == "Changed, 0 samples lost"
    assert models(house.output.entries)[-1] == "C"


def test_a_change_that_reopens_says_what_the_gap_cost(house):
    source = house.begin()
    change = house.change(StubClassifier("B"), reopens=True)
    assert source.closed
    house.clock.advance(0.5)
    other = house.source()
    house.will_open(other)
    other.wait_heard()
    house.listen(other, 0.3)
    assert change.outcome == f"Changed, 0 samples lost, {RATE // 2} while it was reopened"
    assert house.sessions.counting.total.reopened == RATE // 2
    assert house.output.kinds == ["listening", "listening", "config-applied"]
    assert house.sessions.running.model == "B"


def test_what_entries_say_was_lost_adds_up_to_what_is_counted_cause_by_cause(house):
    source = house.begin()
    source.missing.append(Missing(4000, 200))
    house.listen(source, 1.5)
    house.change(StubClassifier("B"), reopens=True)
    house.clock.advance(0.5)
    other = house.source()
    house.will_open(other)
    other.wait_heard()
    # The first window comes, and the microphone goes before that has been noticed.
    other.send(0.3)
    other.wait_heard()
    house.lose(other, DeviceError("unplugged"))
    house.clock.advance(5.0)
    back = house.source()
    house.open_next(back)
    house.listen(back, 0.5)
    losses = house.sessions.counting.total.losses
    assert min(losses.away, losses.reopened, losses.undelivered) > 0
    told = [status.facts for status in house.output.statuses]
    for cause, samples in losses.facts.items():
        assert sum(facts.get(cause, 0) for facts in told) == samples, cause


def test_a_model_of_a_lower_rate_takes_over_on_the_same_stream_and_loses_nothing(house):
    source = house.begin()
    lower = StubClassifier("B", sample_rate=RATE // 2)
    change = house.change(lower)
    house.listen(source, 3.0)
    assert change.outcome == "Changed, 0 samples lost"
    assert not source.closed
    assert models(house.output.entries)[-1] == "B"
    house.end()
    assert house.sessions.counting.total.lost == 0
    assert house.total() == source.captured_end


def test_a_model_of_a_higher_rate_has_the_source_reopened_for_it(house):
    source = house.begin()
    change = house.change(StubClassifier("B", sample_rate=2 * RATE))
    assert source.closed
    other = house.source(sample_rate=2 * RATE)
    house.will_open(other)
    other.wait_heard()
    house.listen(other, 0.3)
    assert change.outcome.startswith("Changed, ")


def test_a_change_whose_source_cannot_be_opened_is_refused_and_the_one_before_comes_back(house):
    house.begin()
    change = house.change(StubClassifier("B"), reopens=True)
    again = house.source()
    house.will_open(DeviceError("there is no microphone named 'nobody'"), again)
    assert "nobody" in str(change.error)
    again.wait_heard()
    house.listen(again, 0.3)
    assert house.output.kinds == ["listening", "listening"]
    assert models(house.output.entries)[-1] == "A"


def test_a_change_while_there_is_no_source_holds_at_once(house):
    house.sessions.begin(None, "none")
    change = house.change(StubClassifier("B"))
    assert change.outcome == "Changed, 0 samples lost; there is no microphone at the moment"
    source = house.source()
    house.open_next(source)
    house.listen(source, 0.2)
    assert models(house.output.entries) == ["B", "B"]


def test_a_source_that_goes_before_the_first_window_after_a_change_settles_it(house):
    house.begin()
    other = house.source()
    change = house.change(StubClassifier("B"), reopens=True)
    house.will_open(other)
    house.lose(other, DeviceError("unplugged"))
    assert change.outcome == "Changed, 0 samples lost; and the microphone is gone"
    assert house.output.kinds == ["listening", "listening", "device-lost", "config-applied"]


def test_a_model_that_fails_on_its_first_window_gives_way_to_the_one_that_worked(house):
    source = house.begin()
    change = house.change(StubClassifier("B", on_scores=failing_at(0)))
    source.send(0.1)
    house.until(lambda: change.error)
    assert str(change.error) == "the model B raised RuntimeError: boom"
    assert house.sessions.reversion.digest == "B"
    source.wait_heard()
    house.listen(source, 0.3)
    reverted = house.output.of_kind("model-reverted")
    assert [one.facts["model"] for one in reverted] == ["A"]
    assert reverted[0].message == (
        "Back to A: the model B raised RuntimeError: boom. B is not tried again until its files change."
    )
    assert models(house.output.entries)[-1] == "A"
    assert house.output.of_kind("stage-failed") == []
    house.end()
    assert house.total() == source.captured_end


def test_a_model_that_fails_hours_after_it_took_over_gives_way_all_the_same(house):
    source = house.begin()
    house.change(StubClassifier("B", on_scores=failing_at(30)))
    house.listen(source, 2.9)
    source.send(0.2)
    house.until(lambda: house.sessions.reversion)
    source.wait_heard()
    house.listen(source, 0.2)
    assert models(house.output.entries)[-1] == "A"
    assert [event.state for event in house.output.entries if isinstance(event, Event)][-2:] == ["off", "on"]


def test_a_worker_that_hangs_is_left_behind_with_its_model_and_says_nothing_more(monkeypatch):
    monkeypatch.setattr(session_module, "STOP_WAIT_S", 0.02)
    hanging, go = threading.Event(), threading.Event()

    def hang(number: int) -> None:
        if number == 3:
            hanging.set()
            go.wait(PATIENCE_S)

    house = House(StubClassifier("A", on_scores=hang))
    monkeypatch.setattr(
        type(house.running), "with_fresh_model", lambda before: replace(before, classifier=StubClassifier("A2"))
    )
    source = house.source()
    house.sessions.begin(source, "")
    source.wait_heard()
    house.listen(source, 0.3)
    source.send(0.1)
    hung = house.sessions._held.worker._thread
    assert hanging.wait(PATIENCE_S)
    again = house.source()
    for _ in range(round((WORKER_STALLED_S + 4) * 10)):
        house.clock.advance(0.1)
        source.captured_ns = house.clock.monotonic_ns()
        house.sessions.step()
        if house.output.of_kind("stage-failed"):
            break
    house.will_open(again)
    assert "has not moved for 10 s" in house.output.of_kind("stage-failed")[0].message
    monkeypatch.setattr(InferenceWorker, "cpu_s", lambda _: house.clock.monotonic_ns() / 1e9)
    house.clock.advance(40)
    assert house.sessions.left_behind.finds_one_that_computes()
    heard = len(house.output.predictions)
    counted = house.total()
    go.set()
    hung.join(PATIENCE_S)
    assert house.total() == counted == source.captured_end
    assert len(house.output.predictions) == heard
    house.end()
