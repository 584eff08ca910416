"""``audiomon report`` as a command: its table, its JSON, its pages and its times."""

import json
from datetime import datetime, timedelta

import pytest
from click.testing import CliRunner

from audiomon.cli import report as command
from audiomon.diagnostics.journal_entries import Entry, Host
from audiomon.errors import UserError
from tests.diagnostics.entries import T0, minute, prediction


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


def test_a_picture_is_drawn(journal, tmp_path):
    pytest.importorskip("matplotlib")
    assert run("--plot", str(tmp_path / "day.png")).exit_code == 0
    assert (tmp_path / "day.png").read_bytes().startswith(b"\x89PNG")
    assert journal["folder"] is None
