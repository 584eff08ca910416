import socket

import pytest

from audiomon.outputs.journal_socket import JournalSocket
from tests.outputs.journald import Journald


def numbered(journald):
    return [int(entry["NUMBER"]) for entry in journald.entries()]


def test_an_entry_arrives_with_its_fields(journald):
    JournalSocket(journald.path).send({"MESSAGE": "grüß dich · ▶", "PRIORITY": "6"})
    assert journald.entries() == [{"MESSAGE": "grüß dich · ▶", "PRIORITY": "6"}]


def test_values_of_several_lines_and_with_equal_signs_arrive_whole(journald):
    fields = {"MESSAGE": "one\ntwo=2\n", "EMPTY": "", "FORMULA": "a=b=c", "LAST": "\n"}
    JournalSocket(journald.path).send(fields)
    assert journald.entries() == [fields]


def test_an_entry_too_large_for_a_datagram_arrives_as_a_file_in_memory(journald):
    sending = JournalSocket(journald.path)
    large = "x" * sending._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    for number in range(3):
        sending.send({"NUMBER": str(number), "LARGE": large})
    entries = journald.entries()
    assert [entry["NUMBER"] for entry in entries] == ["0", "1", "2"]
    assert all(entry["LARGE"] == large for entry in entries)
    assert journald.files == 3


def test_while_nobody_reads_entries_are_kept_in_order_and_nobody_waits(journald):
    sending = JournalSocket(journald.path)
    for number in range(2000):  # the kernel keeps a few hundred of these at most
        sending.send({"NUMBER": str(number)})
    assert sending.waiting > 1000
    arrived = []
    while sending.waiting:
        arrived += numbered(journald)
        sending.flush()
    assert arrived + numbered(journald) == list(range(2000))
    assert sending.lost == 0


def test_entries_written_before_journald_runs_or_while_it_restarts_arrive_once_it_does(tmp_path):
    sending = JournalSocket(str(tmp_path / "socket"))
    sending.send({"NUMBER": "0"})
    journald = Journald(tmp_path / "socket")
    sending.send({"NUMBER": "1"})
    assert numbered(journald) == [0, 1]
    journald.stop()
    sending.send({"NUMBER": "2"})
    journald = Journald(tmp_path / "socket")
    sending.flush()
    assert numbered(journald) == [2]


@pytest.mark.parametrize("size", [100, 10_000])
def test_what_does_not_fit_while_nobody_reads_is_dropped_oldest_first_and_counted(tmp_path, size):
    sending = JournalSocket(str(tmp_path / "socket"))
    sent = 4_000_000 // size
    for number in range(sent):
        sending.send({"NUMBER": str(number), "FILLING": "x" * size})
    assert 0 < sending.lost == sent - sending.waiting
    lost = sending.lost
    journald = Journald(tmp_path / "socket")
    arrived = []
    while sending.waiting:
        sending.flush()
        arrived += numbered(journald)
    assert arrived == list(range(lost, sent))
    assert sending.lost == lost
