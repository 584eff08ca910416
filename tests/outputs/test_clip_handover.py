"""Clips on their way to a keeper: whole and unchangeable, counted whatever happens, and nobody waits for it."""

import fcntl
import os
import socket
import time
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
import soundfile

from audiomon.outputs import clip_handover
from audiomon.outputs.clip_handover import MAX_ON_THEIR_WAY, ClipHandover, flac_in_memory, open_clip_handover
from audiomon.outputs.clip_protocol import SEALS, Answer, Lines, Offer, send
from audiomon.pipeline.clips import Clip, ClipEvent, NoClip, Refusal
from tests.manual_clock import ManualClock

RATE = 22_050
PATIENCE_S = 30.0
RAMP = np.arange(2 * RATE).astype(np.int16)
EVENT = ClipEvent("dog_bark", 1_700_000_000_000_000_000, 0.9, 1.5)


def clip(samples: np.ndarray = RAMP, rate: int = RATE) -> Clip:
    return Clip(samples, rate, 1234, EVENT.time_ns - 10**9, (EVENT,), "mic", "home", "f" * 64, 0.01, "speech")


def no_clip() -> NoClip:
    return NoClip((EVENT,), Refusal.NEVER, "speech 0.41", "mic", "home", "f" * 64)


class Keeper:
    """The other end: takes one offer at a time."""

    def __init__(self, path) -> None:
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(PATIENCE_S)
        self.connection.connect(str(path))
        self._lines = Lines(self.connection)

    def take(self) -> tuple[Offer, int | None]:
        while (found := self._lines.take()) is None:
            assert self._lines.receive(), "the listener hung up"
        return msgspec.json.decode(found[0], type=Offer), found[1]

    def answer(self, kept: bool = True, **more: str) -> None:
        send(self.connection, Answer(kept, **more))


def until(holds: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def handover(tmp_path, clock):
    made = open_clip_handover(tmp_path / "clips.sock", "kitchen", clock)
    yield made
    made.close()


@pytest.fixture
def path(handover, tmp_path):
    return tmp_path / "clips.sock"


def test_only_this_user_may_connect(path):
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 48_000, 192_000])
def test_the_sound_arrives_bit_for_bit_and_cannot_be_changed(rate):
    samples = np.random.default_rng(1).integers(-32_768, 32_768, rate).astype(np.int16)
    file = flac_in_memory(clip(samples, rate))
    try:
        assert fcntl.fcntl(file, fcntl.F_GET_SEALS) == SEALS
        with pytest.raises(PermissionError):
            os.pwrite(file, b"x", 0)
        os.lseek(file, 0, os.SEEK_SET)
        read, read_rate = soundfile.read(os.dup(file), dtype="int16")
        np.testing.assert_array_equal(read, samples)
        assert read_rate == rate
    finally:
        os.close(file)


def test_a_clip_goes_to_the_keeper_with_all_that_is_known_of_it(handover, path):
    keeper = Keeper(path)
    assert handover.admit(20) is None
    handover.offer(clip())
    offer, file = keeper.take()
    assert file is not None
    assert os.fstat(file).st_size == offer.sound.bytes
    os.close(file)
    assert (offer.instance, offer.source, offer.model, offer.fingerprint) == ("kitchen", "mic", "home", "f" * 64)
    assert (offer.sound.position, offer.sound.samples, offer.sound.sample_rate) == (1234, len(RAMP), RATE)
    assert [(event.label, event.duration_s) for event in offer.events] == [("dog_bark", 1.5)]
    keeper.answer(clip="20231114-1")
    until(lambda: handover.counts.kept)
    counts = handover.counts
    assert (counts.offered, counts.kept, counts.on_their_way, counts.keeper) == (1, 1, 0, True)
    (status,) = handover.take_statuses()
    assert (status.kind, status.facts["clip"], status.facts["id"]) == ("clip-kept", "kept", "20231114-1")


def test_the_keeper_takes_note_of_an_event_without_a_clip(handover, path):
    keeper = Keeper(path)
    handover.admit(20)
    handover.refuse(no_clip())
    offer, file = keeper.take()
    keeper.answer()
    assert (offer.sound, file, offer.reason, offer.detail) == (None, None, "never", "speech 0.41")
    assert handover.counts.refused == {"never": 1}
    (status,) = handover.take_statuses()
    assert (status.kind, status.facts["clip"], status.facts["reason"]) == ("clip-refused", "refused", "never")
    assert status.facts["event_time"] == "2023-11-14T22:13:20.000000+00:00"


def test_as_many_as_may_be_are_on_their_way_and_within_an_hour(handover, clock):
    assert [handover.admit(20) for _ in range(MAX_ON_THEIR_WAY + 1)] == [None] * MAX_ON_THEIR_WAY + [Refusal.BUSY]
    for _ in range(MAX_ON_THEIR_WAY + 1):
        handover.refuse(no_clip())
    assert handover.counts.on_their_way == 0
    assert handover.admit(MAX_ON_THEIR_WAY) is Refusal.PER_HOUR
    clock.advance(3600)
    assert handover.admit(MAX_ON_THEIR_WAY) is None


def test_without_a_keeper_clips_wait_for_a_moment_and_are_dropped(handover, clock):
    handover.admit(20)
    handover.offer(clip())
    assert handover.counts.on_their_way == 1
    clock.advance(31)
    until(lambda: handover.counts.dropped)
    assert handover.counts.dropped == {"away": 1}
    (status,) = handover.take_statuses()
    assert (status.kind, status.severity) == ("clip-dropped", "warning")


def test_a_keeper_that_comes_back_gets_what_waits(handover, path):
    Keeper(path).connection.close()
    handover.admit(20)
    handover.offer(clip())
    keeper = Keeper(path)
    _, file = keeper.take()
    os.close(file)
    keeper.answer(clip="x")
    until(lambda: handover.counts.kept == 1)


def test_a_keeper_that_is_killed_costs_no_clip_if_it_is_back_soon(handover, path):
    keeper = Keeper(path)
    for _ in range(2):
        handover.admit(20)
        handover.offer(clip())
    os.close(keeper.take()[1])
    keeper.connection.close()
    keeper = Keeper(path)
    for _ in range(2):
        os.close(keeper.take()[1])
        keeper.answer(clip="x")
    until(lambda: handover.counts.kept == 2)


def test_a_keeper_that_does_not_answer_is_left(handover, path, monkeypatch):
    monkeypatch.setattr(clip_handover, "_MAX_ANSWER_S", 0.05)
    keeper = Keeper(path)
    handover.admit(20)
    handover.offer(clip())
    until(lambda: handover.counts.dropped == {"slow": 1})
    assert not handover.counts.keeper
    keeper.connection.close()


def test_a_keeper_that_has_no_room_says_so(handover, path):
    keeper = Keeper(path)
    handover.admit(20)
    handover.offer(clip())
    os.close(keeper.take()[1])
    keeper.answer(kept=False, reason="the disk is full")
    until(lambda: handover.counts.dropped == {"keeper": 1})
    assert handover.take_statuses()[0].facts["detail"] == "the disk is full"


@pytest.mark.parametrize("nonsense", [b"hello\n", b"{}\n", b"x" * 100_000, b"\xff\n"])
def test_a_keeper_that_answers_with_nonsense_is_hung_up_on(handover, path, clock, nonsense):
    keeper = Keeper(path)
    handover.admit(20)
    handover.offer(clip())
    os.close(keeper.take()[1])
    keeper.connection.sendall(nonsense)
    until(lambda: not keeper.connection.recv(1 << 20))
    clock.advance(31)
    until(lambda: handover.counts.dropped == {"away": 1})


def test_whatever_is_offered_is_kept_refused_dropped_or_on_its_way(handover, path, clock):
    keeper = Keeper(path)
    for number in range(12):
        if handover.admit(8) is not None or number % 3 == 0:
            handover.refuse(no_clip())
            continue
        handover.offer(clip())
    for _ in range(3):
        offer, file = keeper.take()
        if file is not None:
            os.close(file)
        keeper.answer(kept=offer.sound is None, reason="no")
    counts = handover.counts
    outcomes = sum(counts.refused.values()) + counts.kept + sum(counts.dropped.values())
    assert counts.offered == 12 == outcomes + counts.on_their_way


def test_closing_does_not_wait_for_a_keeper(tmp_path, clock):
    handover = open_clip_handover(tmp_path / "c.sock", "kitchen", clock)
    handover.admit(20)
    handover.offer(clip())
    handover.close()
    assert handover.counts.dropped == {"away": 1}
    assert not (tmp_path / "c.sock").exists()


def test_offering_costs_the_listener_nothing_while_the_keeper_holds_still(handover, path):
    Keeper(path)
    for _ in range(MAX_ON_THEIR_WAY):
        handover.admit(20)
        handover.offer(clip())
    assert handover.admit(20) is Refusal.BUSY
    assert isinstance(handover, ClipHandover)
