import sys
from datetime import datetime, timedelta

import pytest

from audiomon.diagnostics.event_spans import EventSpans
from audiomon.diagnostics.events_table import EventsTable
from audiomon.diagnostics.journal_entries import Entry, Host
from audiomon.errors import UserError

T0 = 1_700_000_000.0
PI_A, PI_B = Host("pi-a", "aa" * 16), Host("pi-b", "bb" * 16)


def entry(at_s, kind, host=PI_A, **fields):
    return Entry(T0 + at_s, kind, {"instance": "audiomon", "model": "home", **fields}, host)


def spans_of(entries):
    spans = EventSpans()
    found = [span for one in entries for span in spans.take(one)]
    return found, list(spans.rest())


def test_an_event_is_one_row_from_its_first_entry_to_its_last():
    found, rest = spans_of(
        [
            entry(0, "listening", model_sha256="c0ffee"),
            entry(1, "event-on", label="speech", score="0.9"),
            entry(1.5, "event-on", PI_B, label="speech", score="0.8"),
            entry(4, "event-off", label="speech", score="0.2", duration_s="3.0"),
        ]
    )
    (span,) = found
    assert (span.host, span.begin_s, span.label) == (PI_A, T0 + 1, "speech")
    assert (span.score, span.duration_s, span.model_sha256) == (0.9, 3.0, "c0ffee")
    assert [(span.host, span.duration_s, span.model_sha256) for span in rest] == [(PI_B, None, None)]


def test_half_an_event_is_one_too():
    found, _ = spans_of([entry(10, "event-off", label="speech", score="0.2", duration_s="4")])
    assert [(span.begin_s, span.score, span.duration_s) for span in found] == [(T0 + 6, None, 4.0)]
    found, rest = spans_of(
        [entry(1, "event-on", label="speech", score="0.9"), entry(9, "event-on", label="speech", score="0.7")]
    )
    assert [(span.begin_s, span.duration_s) for span in found] == [(T0 + 1, None)]
    assert [span.begin_s for span in rest] == [T0 + 9]


@pytest.mark.parametrize("kind", ["listening", "stopped"])
def test_what_is_on_when_a_listener_ends_is_over(kind):
    found, rest = spans_of(
        [
            entry(1, "event-on", label="speech", score="0.9"),
            entry(1, "event-on", PI_B, label="speech", score="0.9"),
            entry(2, kind),
        ]
    )
    assert [span.host for span in found] == [PI_A]
    assert [span.host for span in rest] == [PI_B]


def test_a_fingerprint_belongs_to_its_own_model_only():
    found, _ = spans_of(
        [
            entry(0, "summary", model_sha256="c0ffee"),
            entry(1, "event-off", label="speech", score="0.1", duration_s="1", model="esc10"),
        ]
    )
    assert found[0].model_sha256 is None


def test_what_cannot_be_read_makes_no_event():
    assert spans_of(
        [entry(1, "event-on", score="0.9"), entry(2, "event-off", label="speech", duration_s="nan"), entry(3, "")]
    ) == ([], [])


def test_events_become_a_parquet_file(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
    path = tmp_path / "events.parquet"
    found, rest = spans_of(
        [
            entry(0.000001, "event-on", label="=speech", score="0.9"),
            entry(2, "event-off", label="=speech", score="0.2", duration_s="2.5"),
            entry(3, "event-on", PI_B, label="dog_bark", score="0.75"),
        ]
    )
    with EventsTable(path) as events:
        events.add(found)
        events.add(rest)
    rows = parquet.read_table(path).to_pylist()
    assert [row["host"] for row in rows] == ["pi-a", "pi-b"]
    assert rows[0]["time"] - datetime.fromisoformat("2023-11-14T22:13:20+00:00") == timedelta(microseconds=1)
    assert (rows[0]["label"], rows[0]["duration_s"], rows[1]["duration_s"]) == ("=speech", 2.5, None)
    assert rows[1]["score"] == 0.75
    assert [path.name for path in tmp_path.iterdir()] == ["events.parquet"]


def test_a_table_that_fails_half_way_leaves_what_there_was(tmp_path):
    pytest.importorskip("pyarrow", exc_type=ImportError)
    path = tmp_path / "events.parquet"
    path.write_text("of yesterday")
    events = EventsTable(path)
    events.add(spans_of([entry(1, "event-on", label="speech", score="0.9")])[1])
    events.__exit__(UserError, UserError("the journal is gone"), None)
    assert path.read_text() == "of yesterday"
    assert [path.name for path in tmp_path.iterdir()] == ["events.parquet"]


def test_without_pyarrow_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pyarrow: .*archive"):
        EventsTable(tmp_path / "events.parquet")


def test_where_nothing_can_be_written_that_is_said(tmp_path):
    pytest.importorskip("pyarrow", exc_type=ImportError)
    with pytest.raises(UserError, match="cannot be written"):
        EventsTable(tmp_path / "none" / "events.parquet")
