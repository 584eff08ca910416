"""Clips cut from a stream whose samples are their own numbers: exactly what was captured, or nothing at all."""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from audiomon.config import Clips, DecisionRules, Threshold
from audiomon.errors import FieldError, ModelError
from audiomon.features import WaveformSpec
from audiomon.pipeline.clip_cutter import ClipCutter
from audiomon.pipeline.clips import Clip, ClipRules, NoClip, Refusal, clip_rules
from audiomon.pipeline.listener import Listener, Replacement
from tests.manual_clock import ManualClock
from tests.pipeline.fakes import ArraySource

RATE = 4000
WINDOW = 400
HOP = 200
LABELS = ("background", "dog_bark", "baby_cry", "Speech")
RULES = DecisionRules(0.0, {label: Threshold(0.6, 0.4, 0.0, 0.0) for label in LABELS[1:]})
WANTED = Clips(labels=("dog_bark", "baby_cry"), before_s=1.0, after_s=0.5, longest_s=5.0)
RAMP = np.arange(15 * RATE).astype(np.int16).reshape(-1, 1)
SINCE_1970_NS = 1_700_000_000_000_000_000


class Heard:
    """What is heard when: a classifier whose scores a test says by the time in the stream at which a window ends.

    Args:
        source: listened to.
        sounds: label, first and last second, score.
    """

    def __init__(self, source: ArraySource, *sounds: tuple[str, float, float, float], name: str = "A", **more) -> None:
        self.spec = WaveformSpec(sample_rate=RATE, samples=more.get("samples", WINDOW))
        self.labels = more.get("labels", LABELS)
        self.package = SimpleNamespace(
            manifest=SimpleNamespace(name=name, labels=self.labels), files=(), fingerprint=name
        )
        self.called_s: list[float] = []
        self.fails_s = more.get("fails_s", 1e9)
        self._source = source
        self._sounds = sounds

    def scores(self, _window: np.ndarray) -> np.ndarray:
        now_s = self._source.captured_end / RATE
        self.called_s.append(now_s)
        if now_s >= self.fails_s:
            raise ModelError("fails")
        scores = np.zeros(len(self.labels), dtype=np.float32)
        for label, begin_s, end_s, score in self._sounds:
            if begin_s <= now_s < end_s:
                scores[self.labels.index(label)] = score
        return scores


class Kept:
    """A sink that takes everything, unless a test says otherwise."""

    def __init__(self) -> None:
        self.clips: list[Clip] = []
        self.refused: list[NoClip] = []
        self.admits: Refusal | None = None

    def admit(self, _per_hour: int) -> Refusal | None:
        return self.admits

    def offer(self, clip: Clip) -> None:
        self.clips.append(clip)

    def refuse(self, refused: NoClip) -> None:
        self.refused.append(refused)


class Room:
    """A listener that cuts clips; steps a few seconds at a time."""

    def __init__(self, *sounds, samples=RAMP, channel="mix", settings=WANTED, gaps=(), gate_dbfs=None, **more) -> None:
        self.clock = ManualClock(SINCE_1970_NS)
        self.source = ArraySource(samples, RATE, gaps=gaps, clock=self.clock)
        self.sink = Kept()
        self.classifier = Heard(self.source, *sounds, **more)
        self.listener = Listener(
            self.source,
            self.classifier,
            RULES,
            hop_s=HOP / RATE,
            channel=channel,
            clock=self.clock,
            gate_dbfs=gate_dbfs,
            clips=ClipCutter(self.source, channel, self.sink),
        )
        self.gate_dbfs = gate_dbfs
        self.change(self.classifier, settings)

    def change(self, classifier: Heard, settings: Clips = WANTED) -> None:
        rules: ClipRules = clip_rules(
            classifier.labels, settings, classifier.package.manifest.name, classifier.package.fingerprint
        )
        self.classifier = classifier
        self.listener.replace(Replacement(classifier, RULES, HOP / RATE, self.gate_dbfs, clips=rules))

    def until(self, seconds: float) -> "Room":
        while self.source.captured_end < seconds * RATE and not self.listener.ended:
            self.listener.next()
        return self

    def end(self) -> Kept:
        self.until(1e9)
        self.listener.finish()
        return self.sink


def samples(begin_s: float, end_s: float) -> np.ndarray:
    return RAMP[round(begin_s * RATE) : round(end_s * RATE), 0]


BARK = ("dog_bark", 4.0, 6.0, 0.9)


def test_a_clip_is_what_was_captured_bit_for_bit_and_says_where_it_was():
    (clip,) = Room(BARK).end().clips
    np.testing.assert_array_equal(clip.samples, samples(3.0, 6.5))
    assert clip.samples.dtype == np.int16
    assert (clip.position, clip.sample_rate) == (3 * RATE, RATE)
    assert clip.began_ns == SINCE_1970_NS + 3_000_000_000
    (event,) = clip.events
    assert (event.label, event.duration_s) == ("dog_bark", 2.0)
    assert event.time_ns == SINCE_1970_NS + 4_000_000_000
    assert (clip.source, clip.model, clip.fingerprint) == ("an array", "A", "A")


def test_an_event_that_is_not_wanted_makes_no_clip():
    sink = Room(("Speech", 4.0, 6.0, 0.9)).end()
    assert (sink.clips, sink.refused) == ([], [])


# A window touches a clip from 3.0 s to 6.5 s if it ends after 3.0 s and begins before 6.5 s.
@pytest.mark.parametrize("end_s", [3.05, 3.5, 4.0, 5.0, 6.5, 6.55])
def test_one_window_of_never_that_touches_a_clip_drops_it_and_says_why(end_s):
    sink = Room(BARK, ("Speech", end_s, end_s + 0.01, 0.016)).end()
    assert sink.clips == []
    (refused,) = sink.refused
    assert (refused.reason, refused.detail) == (Refusal.NEVER, "Speech 0.02")
    assert [event.label for event in refused.events] == ["dog_bark"]


@pytest.mark.parametrize("end_s", [2.95, 3.0, 6.6, 6.7])
def test_a_window_that_does_not_touch_it_changes_nothing(end_s):
    (clip,) = Room(BARK, ("Speech", end_s, end_s + 0.01, 0.9)).end().clips
    assert clip.never_score == 0.0


def test_just_below_the_limit_it_is_kept_and_the_highest_score_goes_with_it():
    (clip,) = Room(BARK, ("Speech", 4.0, 4.5, 0.01), ("Speech", 5.0, 5.5, 0.014)).end().clips
    assert clip.never_label == "Speech"
    assert clip.never_score == pytest.approx(0.014)


def test_all_scores_are_looked_at_and_not_only_those_that_are_written():
    labels = (*(f"label {number}" for number in range(500)), "dog_bark", "Child speech, kid speaking")
    settings = Clips(labels=("dog_bark",))
    loud = [(f"label {number}", 0.0, 15.0, 0.5) for number in range(100)]
    sink = Room(BARK, *loud, ("Child speech, kid speaking", 5.0, 5.01, 0.3), labels=labels, settings=settings).end()
    assert [refused.reason for refused in sink.refused] == [Refusal.NEVER]


def test_never_is_matched_however_labels_are_written():
    rules = clip_rules(("Speech", "SPEECH synthesizer", "Dog", "Whispering"), Clips(labels=("Dog",)))
    assert rules.never == (0, 1, 3)


def test_a_model_that_cannot_hear_what_is_never_kept_records_nothing():
    labels = ("dog_bark", "rain")
    sink = Room(BARK, labels=labels, settings=Clips(labels=("dog_bark",))).end()
    assert (sink.clips, sink.refused) == ([], [])
    settings = Clips(labels=("dog_bark",), never=())
    assert len(Room(BARK, labels=labels, settings=settings).end().clips) == 1


def test_a_label_that_the_model_lacks_is_refused():
    with pytest.raises(FieldError, match=r"labels\[1\]: the model has no label 'cat'"):
        clip_rules(LABELS, Clips(labels=("dog_bark", "cat")))


def test_a_label_that_would_never_be_kept_is_refused():
    with pytest.raises(FieldError, match=r"labels\[0\]: 'Spee\*' would never be kept: clips.never lists it, too"):
        clip_rules(LABELS, Clips(labels=("Spee*",)))
    assert clip_rules(LABELS, Clips(labels=("*",))).wanted == set(LABELS)
    assert clip_rules(LABELS, Clips(labels=("Speech",), never=())).active


def test_events_that_overlap_share_one_clip():
    (clip,) = Room(BARK, ("baby_cry", 5.0, 7.0, 0.9)).end().clips
    np.testing.assert_array_equal(clip.samples, samples(3.0, 7.5))
    assert [(event.label, event.duration_s) for event in clip.events] == [("dog_bark", 2.0), ("baby_cry", 2.0)]


def test_an_event_that_comes_before_the_verdict_joins_the_clip():
    (clip,) = Room(("dog_bark", 4.0, 5.0, 0.9), ("baby_cry", 5.6, 7.0, 0.9)).end().clips
    np.testing.assert_array_equal(clip.samples, samples(3.0, 7.5))


def test_what_an_event_that_joins_adds_to_a_clip_is_judged_as_well():
    # The window of 5.6 s begins where the clip of the bark alone would end.
    sink = Room(("dog_bark", 4.0, 5.0, 0.9), ("Speech", 5.6, 5.61, 0.5), ("baby_cry", 5.6, 7.0, 0.9)).end()
    assert sink.clips == []
    assert [refused.reason for refused in sink.refused] == [Refusal.NEVER]


def test_an_event_that_comes_after_the_verdict_makes_a_clip_that_begins_where_the_last_one_ended():
    first, second = Room(("dog_bark", 4.0, 5.0, 0.9), ("baby_cry", 6.0, 7.0, 0.9)).end().clips
    np.testing.assert_array_equal(first.samples, samples(3.0, 5.5))
    np.testing.assert_array_equal(second.samples, samples(5.5, 7.5))


def test_events_apart_make_clips_apart():
    first, second = Room(("dog_bark", 3.0, 4.0, 0.9), ("dog_bark", 6.0, 7.0, 0.9)).end().clips
    np.testing.assert_array_equal(first.samples, samples(2.0, 4.5))
    np.testing.assert_array_equal(second.samples, samples(5.0, 7.5))


def test_a_clip_ends_when_it_is_as_long_as_may_be_and_no_sound_is_in_two():
    sink = Room(("dog_bark", 4.0, 10.0, 0.9), ("baby_cry", 8.2, 9.0, 0.9)).end()
    first, second = sink.clips
    np.testing.assert_array_equal(first.samples, samples(3.0, 8.0))
    assert first.events[0].duration_s is None
    np.testing.assert_array_equal(second.samples, samples(8.0, 9.5))


def test_the_start_of_the_stream_is_where_a_clip_begins_at_the_earliest():
    (clip,) = Room(("dog_bark", 0.5, 1.0, 0.9)).end().clips
    np.testing.assert_array_equal(clip.samples, samples(0.0, 1.5))


def test_the_end_of_the_stream_ends_a_clip():
    room = Room(("dog_bark", 4.0, 20.0, 0.9)).until(5.0)
    room.listener.finish()
    (clip,) = room.sink.clips
    np.testing.assert_array_equal(clip.samples, samples(3.0, 5.0))
    room.listener.switch_off()
    assert len(room.sink.clips) == 1


def test_a_model_that_fails_drops_what_waits():
    room = Room(BARK, fails_s=5.0)
    with pytest.raises(ModelError):
        room.until(6.0)
    room.listener.switch_off()
    assert room.sink.clips == []
    assert [refused.reason for refused in room.sink.refused] == [Refusal.FAILED]


def test_samples_lost_inside_a_clip_drop_it():
    sink = Room(BARK, gaps=[(5 * RATE, 5 * RATE + 1)]).end()
    assert sink.clips == []
    assert sink.refused[0].reason == Refusal.LOST


def test_after_a_loss_a_clip_begins_behind_it():
    (clip,) = Room(BARK, gaps=[(round(3.5 * RATE), round(3.6 * RATE))]).end().clips
    np.testing.assert_array_equal(clip.samples, samples(3.6, clip.position / RATE + len(clip.samples) / RATE))
    assert clip.position == round(3.6 * RATE)


def test_sound_that_is_not_kept_any_more_drops_the_clip():
    room = Room(BARK).until(3.9)
    room.source.oldest = round(3.5 * RATE)
    assert [refused.reason for refused in room.end().refused] == [Refusal.LOST]


def test_a_window_that_was_shed_drops_the_clip():
    room = Room(BARK).until(5.0)
    room.clock.advance(30.0)
    sheds = room.listener.pace.sheds
    room.listener.pace.sheds = lambda late_s: room.source.captured_end == 5 * RATE + HOP or sheds(0.0)  # type: ignore
    assert [refused.reason for refused in room.end().refused] == [Refusal.SHED]


def test_another_model_ends_a_clip_where_its_first_window_begins():
    room = Room(("dog_bark", 4.0, 9.0, 0.9)).until(5.0)
    room.change(Heard(room.source, ("Speech", 5.0, 9.0, 0.9), name="B"))
    sink = room.end()
    (clip,) = sink.clips
    assert clip.model == "A"
    # B's first window is the one after that of 5 s, and touches nothing that was kept.
    np.testing.assert_array_equal(clip.samples, samples(3.0, 5.0 + (HOP - WINDOW) / RATE))


def test_a_model_with_longer_windows_reaches_back_into_a_clip_that_ends_before_them():
    room = Room(("dog_bark", 4.0, 9.0, 0.9)).until(5.0)
    room.change(Heard(room.source, ("Speech", 5.0, 9.0, 0.9), name="B", samples=2 * WINDOW))
    (clip,) = room.end().clips
    end = clip.position + len(clip.samples)
    assert end <= 5 * RATE
    np.testing.assert_array_equal(clip.samples, samples(3.0, end / RATE))


def test_a_change_of_what_is_never_kept_drops_what_waits():
    room = Room(BARK).until(5.0)
    room.change(room.classifier, Clips(labels=("dog_bark",), never=("Speech", "rain")))
    assert [refused.reason for refused in room.end().refused] == [Refusal.CHANGED]


def test_labels_can_be_named_while_it_listens():
    room = Room(("dog_bark", 2.0, 3.0, 0.9), ("dog_bark", 8.0, 9.0, 0.9), settings=Clips()).until(5.0)
    room.change(room.classifier, WANTED)
    (clip,) = room.end().clips
    np.testing.assert_array_equal(clip.samples, samples(7.0, 9.5))


@pytest.mark.parametrize("reason", [Refusal.BUSY, Refusal.PER_HOUR])
def test_a_clip_for_which_there_is_no_room_is_refused_with_its_events(reason):
    room = Room(BARK)
    room.sink.admits = reason
    (refused,) = room.end().refused
    assert refused.reason == reason
    assert refused.events[0].duration_s == 2.0


def quiet_but(*loud: tuple[float, float]) -> np.ndarray:
    """A ramp that a gate lets through in some places only."""
    quiet = RAMP.copy() % 50
    for begin_s, end_s in loud:
        begin, end = round(begin_s * RATE), round(end_s * RATE)
        quiet[begin:end, 0] = 9000 * (-1) ** np.arange(end - begin)
    return quiet


def test_quiet_windows_are_heard_while_a_clip_waits_and_only_then():
    sound = quiet_but((3.9, 4.5))
    room = Room(("dog_bark", 4.0, 4.4, 0.9), samples=sound, gate_dbfs=-40)
    (clip,) = room.end().clips
    calls = room.classifier.called_s
    assert min(calls) < 4.0  # the gate is open until it has heard a window's worth
    assert [at for at in calls if 0.2 < at < 3.9] == []
    # 4.4 s + after_s, and the window that begins there.
    assert max(calls) == pytest.approx(4.9 + WINDOW / RATE, abs=HOP / RATE)
    # What was below the gate before the event was not heard, and so is not kept.
    assert clip.position >= 3.8 * RATE
    np.testing.assert_array_equal(clip.samples, sound[clip.position : round(4.9 * RATE), 0])


def test_a_word_below_the_gate_drops_the_clip_as_well():
    room = Room(("dog_bark", 4.0, 4.4, 0.9), ("Speech", 4.8, 4.81, 0.5), samples=quiet_but((3.9, 4.5)), gate_dbfs=-40)
    assert [refused.reason for refused in room.end().refused] == [Refusal.NEVER]


def test_of_several_channels_only_what_was_listened_to_is_kept():
    stereo = np.hstack([RAMP, RAMP[::-1]])
    (clip,) = Room(BARK, samples=stereo, channel=1).end().clips
    np.testing.assert_array_equal(clip.samples, stereo[3 * RATE : round(6.5 * RATE), 1])
    (clip,) = Room(BARK, samples=stereo).end().clips
    mean = stereo[3 * RATE : round(6.5 * RATE)].astype(float).mean(axis=1)
    assert np.abs(clip.samples - mean).max() <= 0.5


def test_nothing_is_copied_when_nothing_happens():
    room = Room(("Speech", 4.0, 6.0, 0.9))
    copy: Callable = room.source.copy
    room.source.copy = lambda *where: pytest.fail(f"copied {where}")  # type: ignore[method-assign]
    room.end()
    assert copy is not None


def test_without_any_sound_before_it_a_clip_begins_where_its_label_turned_on():
    settings = Clips(labels=("dog_bark",), before_s=0.0, after_s=0.0)
    (clip,) = Room(BARK, settings=settings).end().clips
    np.testing.assert_array_equal(clip.samples, samples(4.0, 6.0))
