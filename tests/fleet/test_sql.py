"""The views of ``deploy/fleet/fleet.sql`` say of shipped files what ``audiomon report`` says of the same entries."""

import json
import re
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from audiomon.outputs.message_ids import MESSAGE_IDS

SQL = (Path(__file__).resolve().parents[2] / "deploy" / "fleet" / "fleet.sql").read_text()
T0 = 1_700_000_000


def test_it_knows_the_kinds_by_their_identities():
    named = re.findall(r"when '(\w{32})' then '([\w-]+)'", SQL)
    assert len(named) >= 10
    assert all(MESSAGE_IDS[kind] == identity for identity, kind in named)


def entry(at_s, kind, host="pi-a", **fields):
    return {
        "__REALTIME_TIMESTAMP": str((T0 + at_s) * 10**6),
        "__MONOTONIC_TIMESTAMP": str(at_s * 10**6),
        "_BOOT_ID": f"boot of {host}",
        "_HOSTNAME": host,
        "_MACHINE_ID": f"id of {host}",
        "MESSAGE_ID": MESSAGE_IDS[kind],
        "PRIORITY": "6",
        "AUDIOMON_INSTANCE": "audiomon",
        "AUDIOMON_MODEL": "home",
        **{f"AUDIOMON_{name.upper()}": value for name, value in fields.items()},
    }


@pytest.fixture
def ask(tmp_path):
    """Answer a question to these entries, some of which are in two files."""
    duckdb = pytest.importorskip("duckdb")
    entries = [
        entry(0, "listening", model_sha256="c0ffee"),
        entry(1, "event-on", label="dog_bark", score="0.9"),
        entry(4, "event-off", label="dog_bark", score="0.2", duration_s="2.5"),
        entry(50, "audio-lost", lost="100"),
        entry(60, "summary", heard_s="59.5", health="listening", lost="100", model_sha256="c0ffee", lag_ms_p99="20"),
        entry(61, "model-swapped", model="esc10", model_sha256="beef", lost="7", lost_reopened="30"),
        entry(70, "device-back", lost="0", lost_away="4000"),
        entry(71, "undelivered", undelivered="500"),
        entry(90, "stopped", lost="107", lost_away="4000", model="esc10"),
        entry(5, "event-off", "pi-b", label="dog_bark", duration_s="a while"),
        entry(60, "summary", "pi-b", heard_s="60", health="doubtful"),
    ]
    for name, lines in (("one", entries), ("two", entries[2:5])):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        with (tmp_path / f"{name}.json.zst").open("wb") as packed:
            subprocess.run(["zstd", "-q"], input=text.encode(), stdout=packed, check=True)
    database = duckdb.connect()
    database.execute(f"set variable fleet = '{tmp_path}/*.json.zst'")
    database.execute(SQL)
    return lambda question: database.execute(question).fetchall()


def test_a_pi_is_one_row_with_what_it_said_last_and_each_loss_once(ask):
    assert ask("select host, health, heard_s, events, lost, model, model_sha256 from pis order by host") == [
        ("pi-a", "stopped", 59.5, 1, 107, "esc10", "beef"),
        ("pi-b", "doubtful", 60.0, 0, 0, "home", None),
    ]
    assert ask("select lost, lost_away, lost_reopened, undelivered from pis where host = 'pi-a'") == [
        (107, 4000, 30, 500)
    ]
    assert ask("select model, hosts from models order by model") == [("esc10", ["pi-a"]), ("home", ["pi-b"])]
    assert len(ask("from silent")) == 2


def test_an_event_begins_when_it_turned_on(ask):
    (row,) = ask("select host, label, time, duration_s from events where duration_s is not null")
    assert row == ("pi-a", "dog_bark", datetime(2023, 11, 14, 22, 13, 21, 500_000), 2.5)
    assert ask("select hour, events, on_s from hourly where host = 'pi-a'") == [(datetime(2023, 11, 14, 22), 1, 2.5)]
