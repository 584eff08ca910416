from datetime import datetime, timedelta
from html.parser import HTMLParser

import pytest

from audiomon.diagnostics.day_page import Day
from audiomon.diagnostics.fleet_page import fleet_page
from audiomon.diagnostics.html_page import write_page
from audiomon.diagnostics.journal_entries import Entry, Host
from audiomon.diagnostics.report import summarise, summarise_by_host
from audiomon.errors import UserError

MIDNIGHT = datetime(2026, 3, 1).astimezone()
NOON = MIDNIGHT + timedelta(hours=12)


class Page(HTMLParser):
    """The cells of a page's tables, and everything that it would fetch or run."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.foreign, self.bars, self.titles, self.bad = [], [], [], [], set()
        self._open = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self._open.append(tag)
        named = dict(attributes)
        self.foreign += [tag] if tag in ("script", "link", "img", "iframe") else []
        self.foreign += [name for name in named if name.startswith("on") or name in ("src", "href")]
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "rect":
            self.bars.append((int(named["x"]), int(named["width"])))

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, text):
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += text
            if "b" in self._open:
                self.bad.add(text)

    def row(self, first):
        return next(row for row in self.rows if row and row[0] == first)


def summary(at, host=Host(), **fields):  # noqa: B008  # immutable
    given = {
        "heard_s": "60",
        "predictions": "120",
        "by_label": '{"speech":120}',
        "lag_ms_p99": "20",
        "lag_ms_max": "90",
    }
    return Entry(at.timestamp(), "summary", {"model": "home", "health": "listening", **given, **fields}, host)


def pi(name, at=NOON, **fields):
    return summary(at, Host(name, name * 3), **fields)


def fleet_of(*entries):
    return Page(fleet_page(summarise_by_host(entries), MIDNIGHT, NOON))


def test_a_fleet_has_a_row_for_each_pi_and_trouble_comes_first():
    event = Entry(NOON.timestamp(), "event-on", {"label": "dog_bark", "score": "1"}, Host("pi-1", "pi-1pi-1pi-1"))
    page = fleet_of(
        pi("pi-1", model_sha256="c0ffee12" * 8),
        event,
        pi("pi-2"),
        Entry(NOON.timestamp(), "audio-lost", {"lost": "44100"}, Host("pi-2", "pi-2pi-2pi-2")),
    )
    assert [row[0] for row in page.rows] == ["Pi", "pi-2", "pi-1"]
    assert page.row("pi-1")[1:] == [
        "yes", "listening", "1.0 min", "1", "dog_bark 1", "0 samples lost", "", "20 ms", "home c0ffee12"
    ]  # fmt: skip
    assert page.bad == {"44100 samples lost"}


def test_a_pi_that_is_silent_or_deaf_stands_out():
    page = fleet_of(pi("alright"), pi("deaf", health="lost"), pi("gone", NOON - timedelta(hours=5)))
    assert [row[0] for row in page.rows] == ["Pi", "gone", "deaf", "alright"]
    assert page.row("gone")[1] == "not for 5.0 h"
    assert page.row("deaf")[1:3] == ["yes", "lost"]
    assert page.bad == {"not for 5.0 h", "lost"}


def test_a_page_obeys_nobody_and_fetches_nothing():
    strange = "<script>alert(1)</script>\x1b[2J"
    host = Host(strange, strange)
    entries = [
        summary(NOON, host, model=strange, model_sha256=strange, health=strange),
        Entry(NOON.timestamp(), "event-on", {"label": strange, "score": "1"}, host),
        Entry(NOON.timestamp() + 3, "event-off", {"label": strange, "duration_s": "3"}, host),
        Entry(NOON.timestamp() + 4, "model-swapped", {"model": strange}, host),
    ]
    day = Day(MIDNIGHT, NOON + timedelta(hours=1))
    for entry in entries:
        day.take(entry)
    for text in (fleet_page(summarise_by_host(entries), MIDNIGHT, NOON), day.page(strange, summarise(entries))):
        assert not Page(text).foreign
        assert "\x1b" not in text


def day_of(entries, until=NOON):
    day = Day(MIDNIGHT, until)
    for entry in entries:
        day.take(entry)
    return Page(day.page("kitchen", summarise(entries)))


def test_a_day_counts_events_by_hour_and_label():
    def event(hour, label, duration_s):
        at_s = (MIDNIGHT + timedelta(hours=hour)).timestamp()
        yield Entry(at_s, "event-on", {"label": label, "score": "0.9"})
        yield Entry(at_s + duration_s, "event-off", {"label": label, "duration_s": str(duration_s)})

    page = day_of(
        [
            *event(1, "speech", 60),
            *event(1.5, "dog_bark", 1),
            summary(MIDNIGHT + timedelta(hours=1.9)),
            *event(6, "speech", 3600),
            Entry((MIDNIGHT + timedelta(hours=6.5)).timestamp(), "audio-lost", {"lost": "77"}),
            Entry((MIDNIGHT + timedelta(hours=8)).timestamp(), "device-back", {"lost_s": "1800", "lost": "1"}),
        ]
    )
    assert page.row("")[1:] == ["heard", "speech", "dog_bark", "lag 99 % / max", "samples lost"]
    assert page.row("03-01 01:00")[1:] == ["1.0 min", "1", "1", "20 / 90 ms", ""]
    assert page.row("03-01 06:00")[2:] == ["1", "", "", "77"]
    # Half a day is 1440 places wide: 30 s each. The row of the microphone comes first.
    assert page.bars[0][1] == pytest.approx(60, abs=1)
    assert [length for _, length in page.bars[1:]] == [pytest.approx(3, abs=1), pytest.approx(121, abs=1), 1]


def test_a_month_is_counted_by_the_day():
    begin = MIDNIGHT.timestamp()
    entries = [Entry(begin + 3600 * hour, "event-on", {"label": "speech", "score": "1"}) for hour in range(24 * 30)]
    page = day_of(entries, MIDNIGHT + timedelta(days=30))
    assert len([row for row in page.rows if row[0].startswith("2026-03-")]) == 30
    assert page.row("2026-03-10")[2] == "24"


def test_what_cannot_be_read_is_no_part_of_a_day():
    entries = [summary(MIDNIGHT, heard_s="a lot"), Entry(MIDNIGHT.timestamp(), "event-on", {})]
    assert day_of(entries).row("03-01 00:00")[1] == "0 s"


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    write_page(tmp_path / "day.html", "all of it")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["all of it"]
    with pytest.raises(UserError, match="cannot be written"):
        write_page(tmp_path / "none" / "day.html", "all of it")
