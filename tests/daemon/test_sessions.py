"""Every edge of what keeps a source open, on a manual clock: what is said, and how often, and what is counted."""

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from queue import Queue

import pytest
from msgspec.structs import replace

from audiomon.audio.source import Missing
from audiomon.clock import Clock
from audiomon.daemon import session as session_module
from audiomon.daemon.change import Change
from audiomon.daemon.health import TIMES, Health
from audiomon.daemon.opening import Opening
from audiomon.daemon.sessions import WORKER_STALLED_S, Sessions
from audiomon.errors import CaptureError, DeviceError, OtherDeviceError, SoundSystemError, StageError
from audiomon.pipeline.losses import Losses
from audiomon.pipeline.prediction import Event, Prediction, Status, StatusKind
from tests.daemon.stubs import HOP_S, PATIENCE_S, RATE, KeptClips, KeptOutput, StubClassifier, StubSource, running
from tests.manual_clock import ManualClock


class House:
    """Sessions on stubs. Who opens a source waits for what `will_open` says: a source, or an error that is raised."""

    def __init__(self, classifier: StubClassifier | None = None, **keys) -> None:
        self.clock: Clock = ManualClock()
        self.clock.advance(1000)
        self.output = KeptOutput()
        self.woken = threading.Event()
        self._to_open: Queue[StubSource | Exception] = Queue()
        self.opened_for: list[tuple[str, object]] = []
        self.running = running(classifier or StubClassifier("A"), **keys)
        self.clips = KeptClips()
        self.sessions = Sessions(
            self.running,
            open_source=self._open,
            output=self.output,
            clock=self.clock,
            wake=self.woken.set,
            clips=self.clips,
        )

    def source(self, name: str = "mic", **options) -> StubSource:
        return StubSource(self.clock, name, **options)

    def _open(self, settings, _sample_rate, before):
        self.opened_for.append((settings.config.microphone.device, before and before.name))
        opened = self._to_open.get(timeout=PATIENCE_S)
        if isinstance(opened, Exception):
            raise opened
        return opened

    def begin(self, **options) -> StubSource:
        """Start with a source that has been heard for a second."""
        source = self.source(**options)
        self.sessions.begin(source, "")
        source.wait_heard()
        self.listen(source, 1.0)
        return source

    def listen(self, source: StubSource, seconds: float) -> None:
        """Let sound come, in steps that are noticed."""
        for _ in range(round(seconds / HOP_S)):
            source.deliver(HOP_S)
            self.sessions.step()

    def silence(self, seconds: float) -> None:
        """Let time pass, in looks of a tenth of a second."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            self.sessions.step()

    def until(self, holds: Callable[[], object]) -> None:
        """Step, without time passing, until what other threads report makes it so."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline_s
            self.woken.wait(0.05)
            self.woken.clear()
            self.sessions.step()

    def will_open(self, *opened: StubSource | Exception) -> None:
        """Say what is opened next, and wait for what comes of it."""
        for one in opened:
            self._to_open.put(one)
        self.until(lambda: self._to_open.empty() and not isinstance(self.sessions._held, Opening))

    def end(self) -> None:
        self.sessions.end()
        self._to_open.put(DeviceError("the end"))

    def open_next(self, opened: StubSource | Exception) -> None:
        """Wait for the next attempt to open, and let it yield this."""
        while not isinstance(self.sessions._held, Opening):
            self.clock.advance(0.05)
            self.sessions.step()
        self.will_open(opened)

    def lose(self, source: StubSource, error: DeviceError) -> None:
        """Have a source fail, and that be noticed."""
        source.fail(error)
        self.until(lambda: source.closed)

    def change(self, classifier: StubClassifier, *, reopens: bool = False, **keys) -> Change:
        def status(losses: Losses) -> Status:
            return Status(StatusKind.CONFIG_APPLIED, f"Changed, {losses.words}", 0, losses.facts)

        change = Change(running(classifier, **keys), reopens=reopens, status=status)
        self.sessions.apply(change)
        return change

    def total(self) -> int:
        total = self.sessions.counting.total
        return total.classified + total.shed + total.lost + total.left_over


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.end()


def models(entries) -> list[str]:
    return [entry.model for entry in entries if isinstance(entry, Prediction)]


def test_a_source_that_is_heard_is_announced_once_and_counted(house):
    source = house.begin()
    assert house.output.kinds == ["listening"]
    assert house.sessions.health.state is Health.LISTENING
    assert len(house.output.predictions) == 10
    house.end()
    assert source.closed
    assert house.total() == source.captured_end == RATE


def test_a_start_without_a_source_says_why_and_listens_when_one_appears(house):
    house.sessions.begin(None, "there is no microphone")
    assert house.output.kinds == ["device-absent"]
    assert house.output.statuses[0].message == "there is no microphone. Retrying."
    for _ in range(5):
        house.open_next(DeviceError("there is no microphone"))
    source = house.source()
    house.open_next(source)
    house.listen(source, 0.5)
    assert house.output.kinds == ["device-absent", "listening", "device-back"]
    assert house.output.of_kind("device-back")[0].message == "mic is there"


@pytest.mark.parametrize("cycles", [1, 20, 200])
def test_a_source_that_opens_and_stays_silent_is_one_entry_when_it_goes_and_one_when_it_is_back(house, cycles):
    source = house.begin()
    until_ns = source.captured_ns
    house.silence(2.5)
    for _ in range(cycles):
        house.open_next(house.source())
        house.silence(2.5)
    assert house.output.kinds == ["listening", "device-lost"]
    back = house.source()
    house.open_next(back)
    began_ns = house.clock.monotonic_ns()
    house.listen(back, 1.0)
    assert house.output.kinds == ["listening", "device-lost", "listening", "device-back"]
    assert house.output.statuses[-1].facts["lost_away"] == (began_ns - until_ns) * RATE // 1_000_000_000
    assert house.sessions.health.state is Health.LISTENING


def test_nothing_is_kept_of_sources_that_stayed_silent(house):
    house.begin()
    house.silence(2.5)
    gone = []
    gc.disable()  # a ring that only the cyclic collector frees is kept for hours
    try:
        for _ in range(5):
            silent = house.source()
            gone.append(weakref.ref(silent))
            house.open_next(silent)
            house.silence(2.5)
            del silent
        assert [one() for one in gone[:-1]] == [None] * 4
    finally:
        gc.enable()


def test_a_source_that_comes_and_goes_is_not_retried_at_once_each_time(house):
    def pause_s() -> float:
        began_ns = house.clock.monotonic_ns()
        source = house.source()
        house.open_next(source)
        waited_ns = house.clock.monotonic_ns() - began_ns
        house.listen(source, 0.3)
        house.lose(source, DeviceError("unplugged"))
        return waited_ns / 1e9

    source = house.begin()
    house.lose(source, DeviceError("unplugged"))
    pauses_s = [pause_s() for _ in range(6)]
    assert pauses_s == sorted(pauses_s)
    assert pauses_s[-1] >= TIMES.retries_s[-1]


def test_a_source_that_failed_after_a_long_time_is_retried_soon(house):
    for _ in range(3):
        source = house.begin() if not house.opened_for else house.source()
        if house.opened_for:
            house.open_next(source)
        house.listen(source, TIMES.steady_s + 1)
        house.lose(source, DeviceError("unplugged"))
        began_ns = house.clock.monotonic_ns()
        house.open_next(DeviceError("gone"))
        assert (house.clock.monotonic_ns() - began_ns) / 1e9 <= TIMES.retries_s[0] + 0.1


def test_an_unplugged_source_ends_what_is_on_and_says_what_was_missed(house):
    source = house.begin()
    house.lose(source, DeviceError("mic: the microphone has failed"))
    assert [entry.state for entry in house.output.entries if isinstance(entry, Event)] == ["on", "off"]
    house.clock.advance(5.0)
    back = house.source()
    house.open_next(back)
    house.listen(back, 0.5)
    told = house.output.of_kind("device-back")[0]
    assert told.message.startswith("mic is back after ")
    assert 5 < told.facts["lost_s"] < 6
    total = house.sessions.counting.total
    assert (total.lost, total.away, total.reopened) == (0, told.facts["lost_away"], 0)


def test_a_capture_thread_that_raises_is_a_stage_that_failed(house):
    source = house.begin()
    house.lose(source, CaptureError("mic: capturing raised RuntimeError: boom"))
    assert house.output.kinds == ["listening", "stage-failed", "device-lost"]
    assert house.sessions.failures.count == 1


def failing_at(*numbers: int):
    def fail(number: int) -> None:
        if number in numbers:
            raise RuntimeError("boom")

    return fail


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
    heard = len(house.output.predictions)
    counted = house.total()
    go.set()
    hung.join(PATIENCE_S)
    assert house.total() == counted == source.captured_end
    assert len(house.output.predictions) == heard
    house.end()


def test_a_source_that_is_not_released_is_not_followed_by_another_until_it_is(house):
    source = house.begin()
    source.holds_on = True
    house.silence(2.5)
    assert house.sessions.health.state is Health.STUCK
    house.silence(2.0)
    assert house.opened_for == []
    source.holds_on = False
    again = house.source()
    house.open_next(again)
    house.listen(again, 0.3)
    assert house.output.kinds == ["listening", "device-lost", "listening", "device-back"]


def test_a_source_that_is_never_released_ends_the_process(house):
    house.begin().holds_on = True
    with pytest.raises(SoundSystemError, match="does not release it"):
        house.silence(TIMES.stuck_s + 5)


def test_an_opening_that_never_ends_ends_the_process(house):
    started, go = threading.Event(), threading.Event()

    def hang(*_):
        started.set()
        go.wait(PATIENCE_S)
        raise DeviceError("late")

    house.sessions._open_source = hang
    house.sessions.begin(None, "none")
    house.silence(0.5)
    assert started.wait(PATIENCE_S)
    with pytest.raises(SoundSystemError, match="opening the microphone hangs"):
        house.silence(TIMES.opening_s + 1)
    go.set()


def test_what_is_opened_after_the_end_is_closed_again(house):
    started, go, source = threading.Event(), threading.Event(), house.source()

    def slow(*_):
        started.set()
        assert go.wait(PATIENCE_S)
        return source

    house.sessions._open_source = slow
    house.sessions.begin(None, "none")
    house.silence(0.5)
    assert started.wait(PATIENCE_S)
    house.end()
    go.set()
    with source._changed:
        assert source._changed.wait_for(lambda: source.closed, PATIENCE_S)


def test_another_device_in_its_place_is_said_once_and_remembered_by_name(house):
    house.lose(house.begin(), DeviceError("unplugged"))
    for _ in range(3):
        house.open_next(OtherDeviceError("mic is not there, and 'mic2' is not listened to in its place"))
    assert house.output.kinds == ["listening", "device-lost", "device-other"]
    assert [before for _, before in house.opened_for] == ["mic"] * 3
    other = house.source("mic2")
    house.open_next(other)
    house.listen(other, 0.3)
    back = house.output.of_kind("device-back")[0]
    assert back.message.startswith("mic2 is there, in place of mic after ")
    assert (back.severity, back.facts["before"]) == ("warning", "mic")


def test_samples_that_never_came_are_counted_and_said(house):
    source = house.begin()
    source.missing.append(Missing(4000, 200))
    house.listen(source, 1.5)
    assert house.sessions.counting.total.undelivered == 4000
    assert house.output.of_kind("undelivered")[0].facts["undelivered"] == 4000


def test_zeros_are_doubted_after_a_minute_once(house):
    source = house.begin()
    house.listen(source, TIMES.doubtful_s + 3)
    assert house.output.kinds == ["listening", "sound-doubtful"]
    assert house.sessions.health.state is Health.DOUBTFUL
