import sys
import tracemalloc
import types
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from click.testing import CliRunner

from audiomon.cli import report as command
from audiomon.diagnostics import report as report_module
from audiomon.diagnostics.report import Entry, LabelHeard, entry_of, read_entries, summarise
from audiomon.lab.heard_plot import MAX_COLUMNS, HeardColumns
from audiomon.outputs.message_ids import MESSAGE_IDS
from audiomon.pipeline.tally import Percentiles

T0 = 1_700_000_000.0


def minute(number, counts, **fields):
    predictions = sum(counts.values())
    given = {
        "predictions": str(predictions),
        "heard_s": str(predictions / 2),
        "by_label": "{" + ",".join(f'"{label}":{count}' for label, count in counts.items()) + "}",
        "level_dbfs": "-42.5",
        "model": "home",
        "instance": "audiomon",
    }
    return Entry(T0 + 60 * number, "summary", given | fields)


def prediction(at_s, label, **fields):
    given = {
        "label": label,
        "score": "0.9",
        "features_us": "100",
        "inference_us": "36",
        "lag_ms": "12",
        "model": "home",
    }
    return Entry(T0 + at_s, "prediction", given | fields)


def test_time_by_label_is_what_the_minutes_say():
    found = summarise([minute(1, {"speech": 30, "background": 90}), minute(2, {"background": 120})])
    assert found.heard_s == 120
    assert list(found.labels) == ["background", "speech"]
    assert found.labels["speech"] == LabelHeard(predictions=30, heard_s=15)
    assert found.labels["background"] == LabelHeard(predictions=210, heard_s=105)


def test_time_below_the_gate_was_heard_and_belongs_to_no_label():
    found = summarise(
        [minute(1, {"speech": 30}, heard_s="60", gated="90", gate_saved_s="0.25"), minute(2, {"speech": 120})]
    )
    assert found.heard_s == 120
    assert found.labels == {"speech": LabelHeard(predictions=150, heard_s=75)}
    assert (found.gated, found.saved_s) == (90, 0.25)


def test_a_minute_without_a_microphone_adds_nothing():
    found = summarise([minute(1, {}, level_dbfs=""), minute(2, {"speech": 120})])
    assert found.heard_s == 60
    assert found.labels == {"speech": LabelHeard(predictions=120, heard_s=60)}


def test_what_no_minute_covers_is_put_together_from_the_predictions():
    killed = [prediction(number / 2, "speech") for number in range(5)]
    covered = [prediction(20 + number / 2, "background") for number in range(120)]
    since_then = [prediction(100 + number / 2, "dog_bark") for number in range(4)]
    found = summarise([*killed, *covered, minute(1.4, {"background": 120}), *since_then])
    assert found.labels["background"] == LabelHeard(predictions=120, heard_s=60)
    assert found.labels["dog_bark"] == LabelHeard(predictions=3, heard_s=1.5)
    assert found.labels["speech"] == LabelHeard(predictions=4, heard_s=2)
    assert found.heard_s == 60 + 1.5 + 2


def test_events_are_counted_with_how_long_they_lasted():
    found = summarise(
        [
            Entry(T0, "event-on", {"label": "dog_bark", "score": "0.7"}),
            Entry(T0 + 3, "event-off", {"label": "dog_bark", "duration_s": "3.0"}),
            Entry(T0 + 9, "event-on", {"label": "dog_bark", "score": "0.7"}),
            Entry(T0 + 10, "event-off", {"label": "dog_bark", "duration_s": "1.25"}),
        ]
    )
    assert found.labels == {"dog_bark": LabelHeard(events=2, on_s=4.25, longest_s=3.0)}


def test_percentiles_are_those_of_the_predictions_that_were_written():
    found = summarise([prediction(number, "speech", inference_us=str(number)) for number in range(101)])
    assert found.latencies["inference_us"] == Percentiles(50, 95, 99, 100)
    assert found.latencies_of == 101


def test_where_none_were_written_the_minutes_say_what_is_true_of_all_of_them():
    def latencies(p50, p95, p99, highest):
        return {"lag_ms_p50": p50, "lag_ms_p95": p95, "lag_ms_p99": p99, "lag_ms_max": highest}

    found = summarise(
        [
            minute(1, {"speech": 120}, **latencies("10", "15", "20", "90")),
            minute(2, {}, **latencies("0", "0", "0", "0")),
            minute(3, {"speech": 120}, **latencies("14", "16", "19", "30")),
        ]
    )
    assert found.latencies["lag_ms"] == Percentiles(12, 16, 20, 90)
    assert found.latencies_of == 0


def test_losses_and_changes_are_added_up():
    found = summarise(
        [
            Entry(T0, "listening", {"model": "home"}),
            Entry(T0 + 1, "audio-lost", {"lost": "1000"}),
            Entry(T0 + 2, "config-applied", {"lost": "2205"}),
            Entry(T0 + 3, "model-swapped", {"lost": "0", "model": "esc10"}),
            Entry(T0 + 4, "swap-refused", {}),
            Entry(T0 + 5, "device-lost", {}),
            Entry(T0 + 9, "device-back", {"lost": "88200", "lost_s": "4.0"}),
            Entry(T0 + 10, "journal-lost", {"entries_lost": "7"}),
            Entry(T0 + 11, "stopped", {}),
        ]
    )
    assert (found.lost, found.entries_lost, found.away, found.away_s) == (3205, 7, 1, 4.0)
    assert (found.swaps, found.refusals, found.starts) == (1, 1, 1)
    assert found.models == ["home", "esc10"]
    assert (found.begin_s, found.end_s, found.entries) == (T0, T0 + 11, 9)


def test_what_is_kept_does_not_grow_with_the_time():
    def growth(minutes):
        def entries():
            for number in range(minutes):
                at_s = 60.0 * number
                yield from (prediction(at_s + tenth, "speech", lag_ms=str(number % 100)) for tenth in range(4))
                yield minute(number, {"speech": 4}, lag_ms_p50=str(number % 100))

        tracemalloc.start()
        try:
            summarise(entries())
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    growth(200)  # what is made on first use
    assert growth(2000) < 1.5 * growth(500)


def test_predictions_that_no_summary_follows_are_added_as_they_come(monkeypatch):
    monkeypatch.setattr(report_module, "_MAX_UNCOVERED", 10)
    found = summarise(prediction(number, "speech") for number in range(101))
    assert found.labels["speech"] == LabelHeard(predictions=100, heard_s=100)


@pytest.mark.parametrize(
    "entry",
    [
        Entry(T0, "event-off", {"label": "speech", "duration_s": "boo"}),
        Entry(T0, "event-off", {"label": "speech", "duration_s": "nan"}),
        Entry(T0, "event-off", {"duration_s": "1"}),
        Entry(T0, "event-on", {}),
        prediction(0, "speech", lag_ms="1e999"),
        Entry(T0, "summary", {"by_label": "{", "predictions": "1", "heard_s": "60"}),
        Entry(T0, "summary", {"by_label": '{"speech": 7}', "heard_s": "60"}),
        Entry(T0, "summary", {"by_label": '{"speech": 7}', "predictions": "7", "heard_s": "inf"}),
        Entry(T0, "audio-lost", {"lost": "inf"}),
        Entry(T0, "device-back", {"lost_s": "a while"}),
        entry_of(T0, {"MESSAGE_ID": b"00"}),
        entry_of(T0, {"MESSAGE_ID": MESSAGE_IDS["event-on"].encode(), "AUDIOMON_LABEL": b"\xff"}),
        entry_of(T0, {"MESSAGE_ID": MESSAGE_IDS["event-on"].encode(), "AUDIOMON_LABEL": [b"one", b"two"]}),
        entry_of(T0, {"MESSAGE_ID": MESSAGE_IDS["event-on"].encode(), "AUDIOMON_LABEL": b"y" * (1 << 21)}),
    ],
)
def test_an_entry_that_cannot_be_read_is_left_out_and_counted(entry):
    found = summarise([entry])
    assert (found.entries, found.unreadable) == (1, 1)
    assert found.labels == {}
    assert (found.heard_s, found.lost, found.away_s) == (0, 0, 0)


class FakeReader:
    """Has what systemd-python's has, and remembers what it was asked for."""

    entries = ()
    matches: ClassVar[dict] = {}

    def __init__(self, path=None):  # as the real one is called
        self.matches.clear()

    def add_match(self, **fields):
        for name, value in fields.items():
            self.matches.setdefault(name, []).append(value)

    def seek_realtime(self, since):
        pass

    def query_unique(self, _name):
        return set()

    def __iter__(self):
        return iter(self.entries)


@pytest.mark.parametrize("folder", [None, Path("/copied")])
@pytest.mark.parametrize(
    ("instance", "unit"), [("audiomon", "audiomon.service"), ("kitchen", "audiomon@kitchen.service")]
)
def test_what_others_sent_is_not_taken_for_the_services_own(monkeypatch, instance, unit, folder):
    fake = types.ModuleType("systemd")
    fake.journal = types.SimpleNamespace(Reader=FakeReader)
    monkeypatch.setitem(sys.modules, "systemd", fake)
    raw = {"MESSAGE_ID": MESSAGE_IDS["event-on"].encode(), "AUDIOMON_LABEL": b"speech"}
    monkeypatch.setattr(FakeReader, "entries", [raw | {"__REALTIME_TIMESTAMP": int(T0 * 1e6)}])
    entries = list(read_entries(instance, datetime.now().astimezone(), None, folder))
    assert [(entry.kind, entry.fields) for entry in entries] == [("event-on", {"label": "speech"})]
    assert FakeReader.matches["_SYSTEMD_UNIT"] == [unit]
    assert FakeReader.matches["AUDIOMON_INSTANCE"] == [instance]


@pytest.fixture
def journal(monkeypatch):
    """Stands in for the journal, whose reader the tests under a booted systemd use; what it was asked for."""
    asked = {}
    entries = [
        prediction(0.5, "speech"),
        Entry(T0 + 1, "event-on", {"label": "speech", "score": "0.7"}),
        minute(1, {"speech": 30, "background": 90}),
        Entry(T0 + 61, "model-swapped", {"lost": "0", "model": "esc10"}),
    ]

    def read(instance, since, until, folder):
        asked.update(instance=instance, since=since, until=until, folder=folder)
        return iter(entries)

    monkeypatch.setattr(command, "read_entries", read)
    return asked


def run(*arguments):
    return CliRunner().invoke(command.report, arguments)


def test_the_table_has_a_line_for_each_label_and_each_latency(journal):
    lines = run("-u", "kitchen").stdout.splitlines()
    assert lines[0].startswith("kitchen, 2023-11-1")
    assert lines[0].endswith("1.0 min heard, model home, esc10")
    assert any(line.split() == ["speech", "15.0", "s", "25%", "30", "1", "-", "-"] for line in lines)
    assert any(line.split() == ["inference,", "µs", "36", "36", "36", "36"] for line in lines)
    assert any(line.startswith("changes") and "model once" in line for line in lines)
    assert journal["instance"] == "kitchen"


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_nothing_that_a_terminal_obeys_is_printed(monkeypatch, options):
    strange = "\x1b]0;owned\x07\x1b[2J\x9b1m" + "y" * 1000
    entries = [
        Entry(T0, "event-on", {"label": strange, "model": strange}),
        Entry(T0, "event-off", {"label": "speech", "duration_s": "boo"}),
    ]
    monkeypatch.setattr(command, "read_entries", lambda *_: iter(entries))
    printed = run(*options)
    assert printed.exit_code == 0
    assert all(line.isprintable() for line in printed.stdout.splitlines())
    if not options:
        assert max(map(len, printed.stdout.splitlines())) < 400
        assert "left out      1 of 2 entries, which cannot be read" in printed.stdout


def test_json_has_all_of_it(journal):
    assert '"speech":{"predictions":30,"heard_s":15.0,"events":1' in run("--json").stdout
    assert journal["instance"] == "audiomon"


@pytest.mark.parametrize(
    ("text", "ago"), [("90min", timedelta(minutes=90)), ("-2h", timedelta(hours=2)), ("1.5d", timedelta(hours=36))]
)
def test_since_may_be_so_long_ago(journal, text, ago):
    assert run("--since", text).exit_code == 0
    assert abs(datetime.now().astimezone() - ago - journal["since"]) < timedelta(minutes=1)


def test_since_may_be_a_day_or_a_moment(journal):
    today = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    run("--since", "yesterday", "--until", "today")
    assert (journal["since"], journal["until"]) == (today - timedelta(days=1), today)
    run("--since", "2026-01-31 12:00")
    assert journal["since"] == datetime(2026, 1, 31, 12).astimezone()


@pytest.mark.parametrize("text", ["frog", "9999999d", f"{'9' * 400}h"])
def test_a_time_that_is_none_is_refused(journal, text):
    refused = run("--since", text)
    assert refused.exit_code == 2
    assert "is not a time" in refused.stderr
    assert not journal


def test_a_picture_keeps_as_much_of_two_minutes_as_of_a_month():
    for seconds in (120, 86_400, 30 * 86_400):
        columns = HeardColumns()
        step_s = seconds / 5000
        for number in range(5000):
            columns.add(T0 + number * step_s, "speech" if number % 4 else "dog_bark", 200 + number % 50, 10)
        assert min(seconds, MAX_COLUMNS / 2) <= len(columns) <= MAX_COLUMNS
        assert columns.edges[0] == T0
        assert columns.edges[-1] >= T0 + 4999 * step_s
        assert columns.most_frequent(1) == ["speech"]
        assert np.nanmean(columns.shares(["speech"])) == pytest.approx(0.75, abs=0.02)
        median, highest = columns.latencies("inference_us")
        assert np.nanmin(median) >= 200
        assert np.nanmax(highest) <= 250


def test_a_picture_of_hours_without_predictions_is_blank_there():
    columns = HeardColumns()
    for at_s in (0, 40_000):
        columns.add(T0 + at_s, "speech", 200, 10)
    shares = columns.shares(["speech"])[0]
    assert shares[0] == shares[-1] == 1
    assert np.isnan(shares[1:-1]).all()


def test_a_picture_is_drawn(journal, tmp_path):
    pytest.importorskip("matplotlib")
    assert run("--plot", str(tmp_path / "day.png")).exit_code == 0
    assert (tmp_path / "day.png").read_bytes().startswith(b"\x89PNG")
    assert journal["folder"] is None
