"""Every edge of what keeps a source open, on a manual clock: what is said, and how often, and what is counted."""

import gc
import threading
import weakref

import pytest

from audiomon.audio.source import Missing
from audiomon.daemon.health import TIMES, Health
from audiomon.errors import CaptureError, DeviceError, OtherDeviceError, SoundSystemError
from audiomon.pipeline.prediction import Event
from tests.daemon.stubs import PATIENCE_S, RATE


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
