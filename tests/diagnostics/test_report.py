import json
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
from audiomon.diagnostics.journal_entries import Copies, Entry, Host, entry_of, read_entries
from audiomon.diagnostics.report import LabelHeard, summarise, summarise_by_host
from audiomon.errors import UserError
from audiomon.lab.heard_plot import MAX_COLUMNS, HeardColumns, name_times, scale_latencies
from audiomon.outputs.message_ids import MESSAGE_IDS
from audiomon.pipeline.losses import Losses
from audiomon.pipeline.tally import Percentiles

T0 = 1_700_000_000.0


def minute(number, counts, host="", **fields):
    predictions = sum(counts.values())
    given = {
        "predictions": str(predictions),
        "heard_s": str(predictions / 2),
        "by_label": "{" + ",".join(f'"{label}":{count}' for label, count in counts.items()) + "}",
        "level_dbfs": "-42.5",
        "model": "home",
        "instance": "audiomon",
    }
    return Entry(T0 + 60 * number, "summary", given | fields, Host(host, host))


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
            Entry(T0 + 2, "config-applied", {"lost": "5", "lost_reopened": "2200"}),
            Entry(T0 + 3, "model-swapped", {"lost": "0", "model": "esc10"}),
            Entry(T0 + 3, "undelivered", {"lost": "0", "undelivered": "300", "lost_s": "0.0136"}),
            Entry(T0 + 4, "swap-refused", {}),
            Entry(T0 + 5, "device-lost", {}),
            Entry(T0 + 9, "device-back", {"lost": "0", "lost_away": "88200", "lost_s": "4.0"}),
            Entry(T0 + 10, "journal-lost", {"entries_lost": "7"}),
            Entry(T0 + 11, "stopped", {}),
        ]
    )
    assert found.losses == Losses(lost=1005, away=88_200, reopened=2200, undelivered=300)
    assert (found.entries_lost, found.away, found.away_s) == (7, 1, 4.0)
    assert (found.swaps, found.refusals, found.starts) == (1, 1, 1)
    assert found.models == ["home", "esc10"]
    assert (found.begin_s, found.end_s, found.entries) == (T0, T0 + 11, 10)


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
        Entry(T0, "device-back", {"lost_s": "1", "lost_away": "many"}),
        Entry(T0, "link-action-done", {"outcome": "done"}),
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
    assert (found.heard_s, found.losses, found.away_s) == (0, Losses(), 0)


class FakeReader:
    """Has what systemd-python's has, and remembers what it was asked for."""

    entries = ()
    matches: ClassVar[dict] = {}

    def __init__(self, path=None):  # as the real one is called
        self.matches.clear()

    def add_match(self, **fields):
        for name, value in fields.items():
            self.matches.setdefault(name, []).append(value)

    def add_disjunction(self):
        self.matches.setdefault("_SYSTEMD_UNIT", []).append("or")

    def seek_realtime(self, since):
        pass

    def query_unique(self, _name):
        return set()

    def __iter__(self):
        return iter(self.entries)


AGES_AGO = datetime.fromtimestamp(T0 - 3600).astimezone()


def raw_event(at_s, host="pi-a", boot="b", **fields):
    return {
        "MESSAGE_ID": MESSAGE_IDS["event-on"].encode(),
        "AUDIOMON_LABEL": b"speech",
        "_HOSTNAME": host.encode(),
        "_MACHINE_ID": f"0123456789{host}".encode(),
        "_BOOT_ID": boot.encode(),
        "__REALTIME_TIMESTAMP": int((T0 + at_s) * 1e6),
        "__MONOTONIC_TIMESTAMP": (int(at_s * 1e6), boot),
        **fields,
    }


@pytest.fixture
def shipped(monkeypatch):
    """Stands in for journal files, whose reader the tests under a booted systemd use: read back with these entries."""
    fake = types.ModuleType("systemd")
    fake.journal = types.SimpleNamespace(Reader=FakeReader)
    monkeypatch.setitem(sys.modules, "systemd", fake)

    def read(raw, since=AGES_AGO, until=None, folder=Path("/copied"), host=None):
        monkeypatch.setattr(FakeReader, "entries", raw)
        return list(read_entries("audiomon", since, until, folder, host))

    return read


def test_an_entry_that_was_sent_twice_counts_once_whenever_it_comes(shipped):
    sent = [raw_event(at_s) for at_s in (1, 2, 3)]
    again = [raw_event(2), raw_event(4), raw_event(3), raw_event(2.5), raw_event(1, boot="c"), raw_event(2.5)]
    assert [entry.time_s - T0 for entry in shipped(sent + again)] == [1, 2, 3, 4, 2.5, 1]


def test_what_is_kept_to_know_copies_is_eight_bytes_an_entry():
    tracemalloc.start()
    try:
        copies = Copies()
        assert not any(copies.has("boot", 1_000_000_000 + 511 * number) for number in range(50_000))
        assert tracemalloc.get_traced_memory()[0] < 10 * 50_000
    finally:
        tracemalloc.stop()


def test_files_that_are_not_in_the_order_of_time_are_read_to_their_end(shipped):
    entries = shipped(
        [raw_event(7000), raw_event(10), raw_event(-9000), raw_event(20)], until=AGES_AGO + timedelta(hours=2)
    )
    assert [entry.time_s - T0 for entry in entries] == [10, 20]
    found = summarise([Entry(T0 + 20, "listening", {}), Entry(T0 + 10, "listening", {})])
    assert (found.begin_s, found.end_s) == (T0 + 10, T0 + 20)


def test_one_machine_of_several_is_read_by_its_name_or_by_its_identity(monkeypatch, shipped):
    raw = [raw_event(1, "pi-a"), raw_event(2, "pi-b"), raw_event(3, "pi-a")]
    assert [entry.time_s - T0 for entry in shipped(raw, host="pi-a")] == [1, 3]
    assert [entry.time_s - T0 for entry in shipped(raw, host="0123456789pi-b")] == [2]
    monkeypatch.setattr(FakeReader, "query_unique", lambda *_: {"pi-a", "pi-b"})
    with pytest.raises(UserError, match="on the machine pi from that time; there are entries of: pi-a, pi-b"):
        shipped(raw, host="pi")


def test_several_machines_are_not_summed_up_as_one():
    entries = [minute(1, {"speech": 120}, host="pi-a"), minute(1, {"speech": 60}, host="pi-b")]
    with pytest.raises(UserError, match="pi-a and pi-b among them: name one with --host"):
        summarise(entries)
    found = summarise_by_host(reversed(entries))
    assert {host.name: heard.heard_s for host, heard in found.items()} == {"pi-a": 60, "pi-b": 30}
    assert [host.name for host in found] == ["pi-a", "pi-b"]


def test_machines_that_share_a_name_or_an_identity_are_two():
    entries = [Entry(T0, "listening", {}, Host(*names)) for names in (("pi", "aa"), ("pi", "bb"), ("pi-2", "aa"))]
    assert len(summarise_by_host(entries)) == 3


def test_what_runs_is_the_model_that_was_named_last_with_its_fingerprint():
    found = summarise(
        [
            Entry(T0, "listening", {"model": "home", "model_sha256": "aa"}),
            prediction(1, "speech"),
            minute(1, {"speech": 120}, model_sha256="bb", health="doubtful"),
        ]
    )
    assert (found.model, found.model_sha256, found.health) == ("home", "bb", "doubtful")
    found = summarise([minute(1, {}, model_sha256="bb"), prediction(70, "speech", model="esc10")])
    assert (found.model, found.model_sha256) == ("esc10", "")
    assert summarise([minute(1, {}, health="listening"), Entry(T0 + 61, "stopped", {})]).health == "stopped"


@pytest.mark.parametrize("folder", [None, Path("/copied")])
@pytest.mark.parametrize(
    ("instance", "unit"), [("audiomon", "audiomon.service"), ("kitchen", "audiomon@kitchen.service")]
)
def test_what_others_sent_is_not_taken_for_the_services_own(monkeypatch, shipped, instance, unit, folder):
    monkeypatch.setattr(FakeReader, "entries", [raw_event(0)])
    entries = list(read_entries(instance, AGES_AGO, None, folder))
    assert [(entry.kind, entry.fields) for entry in entries] == [("event-on", {"label": "speech"})]
    assert FakeReader.matches["_SYSTEMD_UNIT"] == [unit, "or", "audiomon-link.service"]
    assert FakeReader.matches["AUDIOMON_INSTANCE"] == [instance, instance]
    of_link = FakeReader.matches["MESSAGE_ID"][-2:]
    assert of_link == [MESSAGE_IDS["link-action-done"], MESSAGE_IDS["link-action-failed"]]
    assert not {MESSAGE_IDS[kind] for kind in MESSAGE_IDS if "link-" in kind} & set(
        FakeReader.matches["MESSAGE_ID"][:-2]
    )


def test_what_came_of_actions_is_counted_by_rule():
    found = summarise(
        Entry(
            T0 + number,
            f"link-action-{'done' if outcome == 'done' else 'failed'}",
            {"action": name, "outcome": outcome},
        )
        for number, (name, outcome) in enumerate(
            [("1 ntfy", "done"), ("1 ntfy", "done"), ("1 ntfy", "late"), ("2 webhook", "failed")]
        )
    )
    assert found.actions == {"1 ntfy": {"done": 2, "late": 1}, "2 webhook": {"failed": 1}}
    lines = command._table(found, "audiomon")
    assert "action        1 ntfy: done 2 times, late once" in lines
    assert "action        2 webhook: failed once" in lines


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

    def read(instance, since, until, folder, host):
        asked.update(instance=instance, since=since, until=until, folder=folder, host=host)
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


@pytest.fixture
def fleet(monkeypatch):
    """Stands in for journal files of two machines."""
    entries = [
        minute(1, {"speech": 120}, host="pi-a", model_sha256="c0ffee" * 8, health="listening"),
        minute(1, {"speech": 60}, host="pi-b"),
        Entry(T0, "event-on", {"label": "speech", "score": "0.9", "instance": "audiomon"}, Host("pi-b", "pi-b")),
    ]
    monkeypatch.setattr(command, "read_entries", lambda *_: iter(entries))


def test_several_machines_are_refused_unless_they_are_asked_for(fleet, tmp_path):
    refused = run("--directory", str(tmp_path))
    assert isinstance(refused.exception, UserError)
    lines = run("--directory", str(tmp_path), "--by-host").stdout.splitlines()
    assert lines[1].split()[3:] == ["listening", "1.0", "min", "0", "0", "0", "home", "c0ffeec0"]
    assert [line.split()[0] for line in lines] == ["machine", "pi-a", "pi-b"]
    found = json.loads(run("--directory", str(tmp_path), "--by-host", "--json").stdout)
    assert {name: heard["heard_s"] for name, heard in found.items()} == {"pi-a": 60, "pi-b": 30}


def test_a_fleet_is_a_page_and_its_events_one_table(fleet, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
    page, events = tmp_path / "fleet.html", tmp_path / "events.parquet"
    done = run("--directory", str(tmp_path), "--html", str(page), "--export", str(events))
    assert done.exit_code == 0, done.exception
    assert "2 Pis" in page.read_text()
    assert parquet.read_table(events)["host"].to_pylist() == ["pi-b"]


def test_a_fleet_is_not_drawn_as_one(fleet, tmp_path):
    refused = run("--directory", str(tmp_path), "--by-host", "--plot", str(tmp_path / "day.png"))
    assert refused.exit_code == 2
    assert "--host" in refused.stderr


def test_the_day_of_one_machine_is_a_page(journal, tmp_path):
    assert run("--html", str(tmp_path / "day.html")).exit_code == 0
    assert "<h2>How often</h2>" in (tmp_path / "day.html").read_text()


@pytest.mark.parametrize(
    ("text", "ago"), [("90min", timedelta(minutes=90)), ("-2h", timedelta(hours=2)), ("1.5d", timedelta(hours=36))]
)
def test_since_may_be_so_long_ago(journal, text, ago):
    assert run("--since", text).exit_code == 0
    assert abs(datetime.now().astimezone() - ago - journal["since"]) < timedelta(minutes=1)


def test_since_may_be_a_time_of_day_the_last_one(journal):
    run("--since", "00:00")
    assert journal["since"] == datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    run("--since", "23:59")
    assert timedelta(0) <= datetime.now().astimezone() - journal["since"] <= timedelta(days=1)


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
    assert np.isnan(shares[2:-1]).all()


@pytest.mark.parametrize("hop_s", [0.511, 1.3, 2.2, 7])
def test_a_picture_has_no_stripes_where_predictions_are_rarer_than_columns(hop_s):
    columns = HeardColumns()
    for number in range(400):
        columns.add(T0 + number * hop_s, "speech", 200, 10)
    assert (columns.shares(["speech"]) == 1).all()
    assert not np.isnan(columns.latencies("lag_ms")).any()


def test_a_picture_is_blank_from_when_the_microphone_was_lost():
    columns = HeardColumns()
    columns.add(T0, "speech", 200, 10)
    columns.end(T0 + 5)
    columns.add(T0 + 30, "speech", 200, 10)
    shares = columns.shares(["speech"])[0]
    assert (shares[:5] == 1).all()
    assert np.isnan(shares[5:30]).all()


def test_a_picture_of_minutes_shows_their_shares_medians_and_maxima():
    columns = HeardColumns()
    for number in range(1, 5):
        columns.add_minute(T0 + 60 * number, {"speech": 30, "background": 90}, (36, 90), (12, 40))
    columns.add_minute(T0 + 300, {}, (0, 0), (0, 0))
    assert len(columns) == 181
    assert columns.shares(["speech"])[0, [0, 60, 180]] == pytest.approx(0.25)
    median, highest = columns.latencies("lag_ms")
    assert (median[0], highest[0]) == (12, 40)


@pytest.mark.parametrize(("low", "high"), [(36, 36), (55, 78), (62, 155), (150, 21_000), (0.01, 9e6)])
def test_the_numbers_of_an_axis_of_latencies_are_few_and_round(low, high):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    panel = figure.subplots()
    scale_latencies(panel, np.array([low, np.nan, high]))
    texts = [text.get_text() for text in panel.get_yticklabels()]
    assert 1 <= len(texts) <= 5
    assert len(set(texts)) == len(texts)
    assert max(map(len, texts)) <= 9


@pytest.mark.parametrize("length_s", [20, 142, 3600, 86_400, 3 * 86_400, 30 * 86_400, 400 * 86_400])
def test_the_times_under_a_picture_are_few_and_inside_it(length_s):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    panel = figure.subplots()
    name_times(panel, np.array([T0, T0 + length_s]))
    assert 2 <= len(panel.get_xticks()) <= 13
    assert T0 <= min(panel.get_xticks()) <= max(panel.get_xticks()) <= T0 + length_s


def test_a_picture_is_drawn(journal, tmp_path):
    pytest.importorskip("matplotlib")
    assert run("--plot", str(tmp_path / "day.png")).exit_code == 0
    assert (tmp_path / "day.png").read_bytes().startswith(b"\x89PNG")
    assert journal["folder"] is None
