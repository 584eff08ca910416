"""Entries read back from journal files: which are taken, in which order, once."""

import sys
import tracemalloc
import types
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from audiomon.diagnostics.journal_entries import Copies, Entry, read_entries
from audiomon.diagnostics.report import summarise
from audiomon.errors import UserError
from audiomon.outputs.message_ids import MESSAGE_IDS
from tests.diagnostics.entries import T0


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
