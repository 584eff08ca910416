"""Clips of a session that is interrupted: they end cleanly, or are dropped; and what is said where none can be."""

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest

from audiomon.config import Clips
from audiomon.daemon.messages import clips_off
from audiomon.errors import DeviceError
from audiomon.pipeline.clips import Refusal, clip_rules
from tests.daemon.house import House
from tests.daemon.stubs import LABELS, RATE, WINDOW, StubClassifier
from tests.manual_clock import ManualClock

# The stub model hears speech all the time.
WANTED = Clips(labels=("speech",), never=("background",), never_above=0.5, before_s=0, longest_s=10)


@pytest.fixture
def house() -> Iterator[House]:
    made = House(clips=WANTED)
    yield made
    made.end()


def one_clip(house: House, seconds: float) -> None:
    """There is one clip, of so many seconds from the first window's end on, bit for bit."""
    assert house.clips.refused == []
    (clip,) = house.clips.clips
    assert clip.position == WINDOW
    assert len(clip.samples) == round(seconds * RATE) - WINDOW
    np.testing.assert_array_equal(clip.samples, np.arange(WINDOW, round(seconds * RATE)).astype(np.int16))
    assert [event.label for event in clip.events] == ["speech"]


def test_a_microphone_that_is_gone_ends_a_clip_with_what_was_heard(house):
    source = house.begin()
    house.listen(source, 2.0)
    house.lose(source, DeviceError("gone"))
    one_clip(house, 3.0)


def test_another_model_ends_a_clip(house):
    source = house.begin()
    house.listen(source, 2.0)
    house.change(StubClassifier("B"), clips=WANTED)
    house.listen(source, 1.0)
    one_clip(house, 3.0)
    assert house.clips.clips[0].model == "A"


def test_a_microphone_that_is_reopened_ends_a_clip(house):
    source = house.begin()
    house.listen(source, 1.0)
    house.change(StubClassifier("A"), reopens=True, clips=WANTED)
    one_clip(house, 2.0)
    house.open_next(house.source(sample_rate=RATE))


def test_a_model_that_fails_drops_a_clip(house):
    def fails(number: int) -> None:
        if number == 19:
            raise ValueError("fails")

    house = House(StubClassifier("A", on_scores=fails), clips=WANTED)
    source = house.begin()
    house.listen(source, 0.9)
    source.send(0.1)
    house.until(lambda: house.clips.refused)
    house.end()
    assert house.clips.refused[0].reason == Refusal.FAILED
    assert all(clip.position >= 2 * RATE for clip in house.clips.clips)


def test_other_settings_drop_a_clip_and_labels_that_are_not_named_any_more_make_none(house):
    source = house.begin()
    house.listen(source, 1.0)
    house.change(StubClassifier("A"), clips=Clips())
    house.listen(source, 1.0)
    assert [refused.reason for refused in house.clips.refused] == [Refusal.CHANGED]
    assert house.clips.clips == []


def test_what_ends_by_a_signal_is_handed_over():
    house = House(clips=WANTED)
    source = house.begin()
    house.listen(source, 1.0)
    house.end()
    one_clip(house, 2.0)


@pytest.mark.parametrize(
    ("settings", "keeper", "said"),
    [
        (Clips(), False, None),
        (WANTED, True, None),
        (msgspec.structs.replace(WANTED, never=()), True, None),
        (WANTED, False, "No clips are recorded: there is no way to a keeper"),
        (
            msgspec.structs.replace(WANTED, never=("whisper*",)),
            True,
            "No clips are recorded: A has no label of clips.never, so it cannot tell what must not be kept",
        ),
    ],
)
def test_it_is_said_why_nothing_is_recorded_although_labels_are_named(settings, keeper, said):
    status = clips_off(clip_rules(LABELS, settings, "A"), keeper, ManualClock())
    assert (status and status.message) == said
