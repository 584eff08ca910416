import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from audiomon.link.actions.quiet import QuietHours, wall_clock_min


@pytest.fixture
def berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield ZoneInfo("Europe/Berlin")
    monkeypatch.undo()
    time.tzset()


def minutes(text: str) -> int:
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute)


@pytest.mark.parametrize(
    ("hours", "quiet", "loud"),
    [
        ("22:00-07:00", ("22:00", "23:59", "00:00", "06:59"), ("07:00", "12:00", "21:59")),
        ("13:00-14:30", ("13:00", "14:29"), ("12:59", "14:30", "00:00")),
        ("00:00-24:00", ("00:00", "23:59"), ()),
        ("22:00 - 24:00", ("22:00", "23:59"), ("00:00", "21:59")),
    ],
)
def test_hours_begin_with_the_first_minute_and_end_before_the_last(hours, quiet, loud):
    found = QuietHours.of(hours)
    assert all(found.contain(minutes(text)) for text in quiet)
    assert not any(found.contain(minutes(text)) for text in loud)


@pytest.mark.parametrize(
    "text", ["", "22-7", "22:00", "22:00-22:00", "24:01-07:00", "22:60-07:00", "always", "²2:00-07:00"]
)
def test_what_is_no_span_of_a_day_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011  # each says something else
        QuietHours.of(text)


def test_on_the_night_that_has_an_hour_less_quiet_ends_by_the_clock_on_the_wall(berlin):
    hours = QuietHours.of("01:30-03:30")
    before = datetime(2026, 3, 29, 1, 59, tzinfo=berlin).timestamp()
    assert hours.contain(wall_clock_min(before))
    assert wall_clock_min(before + 60) == minutes("03:00")
    assert hours.contain(wall_clock_min(before + 30 * 60))
    assert not hours.contain(wall_clock_min(before + 31 * 60))


def test_on_the_night_that_has_an_hour_more_it_is_quiet_in_both_of_them(berlin):
    hours = QuietHours.of("02:00-03:00")
    first = datetime(2026, 10, 25, 2, 30, tzinfo=berlin, fold=0).timestamp()
    second = datetime(2026, 10, 25, 2, 30, tzinfo=berlin, fold=1).timestamp()
    assert second - first == 3600
    assert hours.contain(wall_clock_min(first))
    assert hours.contain(wall_clock_min(second))
    assert not hours.contain(wall_clock_min(second + 31 * 60))


def test_a_time_zone_that_is_set_later_counts(berlin, monkeypatch):
    noon_utc_s = datetime(2026, 7, 1, 12, 0, tzinfo=ZoneInfo("UTC")).timestamp()
    assert wall_clock_min(noon_utc_s) == minutes("14:00")
    monkeypatch.setenv("TZ", "America/New_York")
    assert wall_clock_min(noon_utc_s) == minutes("08:00")
