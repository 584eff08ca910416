"""The state machine of capture, by a clock of its own."""

import itertools

import numpy as np
import pytest

from audiomon.audio.level import LevelMeter, Span
from audiomon.daemon.health import TIMES, CaptureHealth, Health
from tests.daemon.daemon import REPOSITORY

S = 1_000_000_000
NOISE = Span(-0.1, 0.1, 0, 100)
ZEROS = Span(0.0, 0.0, 0, 100)
STUCK_AT = Span(0.25, 0.25, 0, 100)
CLIPPED = Span(-1.0, 1.0, 30, 100)


@pytest.fixture
def listening():
    health = CaptureHealth(0)
    health.opening(0)
    health.opened(0)
    health.delivers(0)
    return health


def looked(health, newest_s, until_s, due_s=0.0):
    """Look whenever that is due; when it was found to have stalled, or None."""
    now_ns = max(round(newest_s * S), health.due_ns)
    while now_ns < until_s * S:
        if health.stalled(now_ns, round(newest_s * S), round(due_s * S)):
            return now_ns / S
        assert health.due_ns > now_ns, "looked at now and then, not without a pause"
        now_ns = health.due_ns
    return None


def test_it_begins_absent_and_is_lost_only_when_it_was_heard():
    health = CaptureHealth(0)
    assert health.state is Health.ABSENT
    health.gone(0, "none")
    health.opening(S)
    health.gone(S, "none")
    assert (health.state, health.reason) == (Health.ABSENT, "none")
    health.opening(2 * S)
    health.opened(3 * S)
    assert (health.state, health.reason, health.hears) == (Health.OPENING, "none", False)
    health.delivers(3 * S)
    assert (health.state, health.since_ns, health.reason, health.hears) == (Health.LISTENING, 3 * S, "", True)
    health.gone(4 * S, "unplugged")
    assert (health.state, health.reason, health.hears) == (Health.LOST, "unplugged", False)


def test_a_state_that_cannot_follow_is_refused(listening):
    listening.gone(S, "unplugged")
    with pytest.raises(ValueError, match="cannot become listening when it is lost"):
        listening.delivers(2 * S)


def test_attempts_come_further_apart_but_never_so_far_that_two_seconds_pass_unheard():
    health = CaptureHealth(0)
    now_ns, waits_s = 0, []
    for _ in range(10):
        health.gone(now_ns, "none")
        waits_s.append((health.due_ns - now_ns) / S)
        now_ns = health.due_ns
        health.opening(now_ns)
    assert waits_s == sorted(waits_s)
    assert waits_s[0] < 0.5
    assert waits_s[-1] + 0.3 < 2, "0.3 s is what opening takes"
    health.gone(now_ns, "none")
    health.retry_now(now_ns)
    assert health.due_ns == now_ns


@pytest.mark.parametrize("expected_after_s", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("looked_before_s", [0.0, 0.3, 0.5, 0.99])
def test_a_stream_that_stalls_is_noticed_within_two_seconds_wherever_the_looks_fall(
    listening, looked_before_s, expected_after_s
):
    before_ns = round((10 - looked_before_s) * S)
    assert not listening.stalled(before_ns, before_ns - S // 10, 10 * S)
    assert looked(listening, 10.0, 20.0, 10 + expected_after_s) <= 12.0


def test_samples_that_keep_coming_are_no_stall_and_need_about_a_look_a_second(listening):
    now_ns, looks = S, 0
    while now_ns < 100 * S:
        assert not listening.stalled(now_ns, now_ns - S // 5, now_ns + S // 3)
        now_ns, looks = listening.due_ns, looks + 1
    assert looks <= 101


def test_samples_that_are_not_due_yet_are_not_late(listening):
    assert not listening.stalled(11 * S, 10 * S, 11 * S)
    assert listening.due_ns == 11 * S + round((TIMES.checked_s - 1) * S)
    assert not listening.stalled(round(11.1 * S), 10 * S, 11 * S)
    assert not listening.stalled(round(13 * S), 10 * S, 11 * S), "this process was itself stopped"
    assert listening.due_ns == 13 * S + round(TIMES.look_s * S)


def test_a_process_that_was_itself_stopped_does_not_blame_the_microphone(listening):
    assert not listening.stalled(10 * S, 10 * S)
    # Stopped for 30 s; at the first look, the capture thread has not run again yet.
    assert not listening.stalled(40 * S, 10 * S)
    assert listening.due_ns == 40 * S + round(TIMES.look_s * S)
    now_ns = listening.due_ns
    assert not listening.stalled(now_ns, now_ns)
    assert listening.due_ns == now_ns + round(TIMES.checked_s * S)


def test_one_that_was_stopped_while_the_microphone_went_finds_out_soon(listening):
    assert not listening.stalled(40 * S, 10 * S)
    now_ns = 40 * S
    while not listening.stalled(now_ns, 10 * S):
        now_ns = listening.due_ns
    assert now_ns <= 42 * S


@pytest.mark.parametrize(
    ("span", "word"), [(ZEROS, "nothing but zeros"), (STUCK_AT, "the same value"), (CLIPPED, "full scale")]
)
def test_what_cannot_be_sound_for_a_minute_is_doubtful_once_and_until_it_is_sound_again(listening, span, word):
    changes = [second for second in range(200) if listening.sounds(second * S, span)]
    assert changes == [60]
    assert listening.state is Health.DOUBTFUL
    assert word in listening.reason
    assert listening.hears
    changes = [second for second in range(200, 300) if listening.sounds(second * S, NOISE)]
    assert changes == [205]
    assert (listening.state, listening.reason) == (Health.LISTENING, "")


def test_a_moment_of_sound_within_the_minute_is_no_defect(listening):
    spans = itertools.cycle([CLIPPED] * 50 + [NOISE])
    assert not any(listening.sounds(second * S, next(spans)) for second in range(500))


def test_a_moment_without_samples_changes_nothing(listening):
    assert [s for s in range(100) if listening.sounds(s * S, ZEROS if s % 2 else Span())] == [61]


def test_one_that_never_delivers_is_lost_like_one_that_has_stalled():
    health = CaptureHealth(0)
    health.opening(0)
    health.opened(0)
    assert looked(health, 0.0, 20.0) <= 2.5
    health.gone(2 * S, "delivers nothing")
    assert health.state is Health.ABSENT


def test_one_that_comes_and_goes_is_retried_at_the_pace_of_one_that_is_away(listening):
    listening.gone(S, "unplugged")
    pauses_s = []
    for _ in range(6):
        now_ns = listening.due_ns
        listening.opening(now_ns)
        listening.opened(now_ns)
        listening.delivers(now_ns)
        listening.gone(now_ns + S, "unplugged")
        pauses_s.append((listening.due_ns - now_ns - S) / S)
    assert pauses_s[-1] == TIMES.retries_s[-1]
    listening.opening(100 * S)
    listening.delivers(100 * S)
    listening.gone(100 * S + round(TIMES.steady_s * S), "unplugged")
    assert listening.due_ns - 100 * S - round(TIMES.steady_s * S) == TIMES.retries_s[0] * S


def test_opening_and_releasing_are_overdue_after_their_time():
    health = CaptureHealth(0)
    health.opening(5 * S)
    assert not health.overdue(5 * S + round(TIMES.opening_s * S) - 1)
    assert health.overdue(5 * S + round(TIMES.opening_s * S))
    health.opened(10 * S)
    assert not health.overdue(1000 * S), "it is open: what it lacks is samples, which a stall is"
    health.delivers(11 * S)
    health.stuck(20 * S, "does not let go")
    assert 20 * S < health.due_ns < 21 * S
    assert not health.overdue(25 * S)
    assert health.due_ns > 25 * S, "looked at now and then, not without a pause"
    assert health.overdue(20 * S + round(TIMES.stuck_s * S))
    health.gone(21 * S, "does not let go")
    assert health.state is Health.LOST


@pytest.mark.parametrize(
    ("samples", "defect"),
    [
        (np.zeros(1000), "silent"),
        (np.full(1000, 0.25), "constant"),
        (np.full(1000, 1.0), "constant"),
        (np.full(1000, 0.25) + np.arange(1000) % 2 * 1e-6, "constant"),
        (np.arange(1000) % 2 / 32_768, ""),
        (np.clip(2 * np.sin(np.arange(1000)), -1, 32_767 / 32_768), "clipping"),
        (np.append(np.sin(np.arange(2000)) / 2, 1.0), ""),
        (np.sin(np.arange(1000)) / 2, ""),
    ],
)
def test_what_a_meter_says_of_samples(samples, defect):
    meter = LevelMeter()
    for part in np.array_split(samples.astype(np.float32), 7):
        meter.add(part)
    span = meter.take_span()
    assert (span.defect, span.count) == (defect, len(samples))
    assert span.peak_dbfs == pytest.approx(max(-120, 20 * np.log10(max(1e-9, np.abs(samples).max()))), abs=0.1)
    assert meter.take_span() == Span()


def test_the_states_are_explained_where_people_look():
    page = (REPOSITORY / "audiomon" / "daemon" / "README.md").read_text(encoding="utf-8")
    for state in Health:
        assert f"| `{state}` |" in page
