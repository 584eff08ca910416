from audiomon.link.page.day import MAX_OCCURRENCES, SLOT_S, SLOTS, SPAN_S, Day
from audiomon.outputs.feed_protocol import EventLine, On
from tests.link.heard import iso

NOON_S = 1_790_000_100.0


class Now:
    def __init__(self) -> None:
        self.s = NOON_S

    def __call__(self) -> float:
        return self.s


def on(label: str, at_s: float, score: float = 0.8) -> EventLine:
    return EventLine(iso(at_s), label, "on", score, 0.0, 0.0)


def off(label: str, at_s: float, duration_s: float) -> EventLine:
    return EventLine(iso(at_s), label, "off", 0.3, 0.0, duration_s)


def test_on_and_off_are_one_occurrence():
    day = Day(Now())
    day.take(on("dog", NOON_S))
    assert day.take(off("dog", NOON_S + 3, 3.0)).duration_s == 3.0
    assert [(one.label, one.duration_s) for one in day.occurrences()] == [("dog", 3.0)]
    assert sum(day.bars()) == day.bars()[-1] == 1


def test_what_turned_on_before_anybody_listened_is_known_when_it_turns_off():
    day = Day(Now())
    found = day.take(off("dog", NOON_S, 40.0))
    assert found.began_s == NOON_S - 40


def test_a_greeting_puts_right_what_was_missed():
    now = Now()
    day = Day(now)
    day.take(on("dog", NOON_S))
    day.take(on("cat", NOON_S))
    now.s += 20
    day.reconcile({"dog": On(iso(NOON_S), 0.8), "bell": On(iso(NOON_S + 10), 0.9)})
    found = {one.label: one.duration_s for one in day.occurrences()}
    assert found == {"dog": None, "cat": 20.0, "bell": None}


def test_a_day_later_nothing_is_left_of_it():
    now = Now()
    day = Day(now)
    day.take(on("dog", NOON_S))
    day.take(off("dog", NOON_S + 1, 1.0))
    now.s += SPAN_S - SLOT_S
    assert sum(day.bars()) == 1
    now.s += 2 * SLOT_S
    day.take(on("cat", now.s))
    assert sum(day.bars()) == 1
    assert [one.label for one in day.occurrences()] == ["cat"]
    assert len(day.bars()) == SLOTS


def test_a_label_that_flutters_all_day_takes_no_more_room():
    day = Day(Now())
    for number in range(1000):
        day.take(on("dog", NOON_S + number / 10))
        day.take(off("dog", NOON_S + number / 10 + 0.05, 0.05))
    assert len(day.occurrences()) == MAX_OCCURRENCES
    assert sum(day.bars()) == 1000


def test_a_time_that_is_none_counts_as_now():
    assert Day(Now()).take(EventLine("yesterday", "dog", "on", 0.8, 0.0, 0.0)).began_s == NOON_S
