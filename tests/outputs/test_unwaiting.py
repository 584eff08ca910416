"""Lines that are written without waiting, where that can be told; in order, whole, and never by two threads at once."""

import os
import threading

import pytest

from audiomon.outputs.queued import Queued
from audiomon.outputs.unwaiting import UnwaitingStream
from audiomon.pipeline.prediction import Status, StatusKind
from tests.manual_clock import ManualClock
from tests.pipeline.test_listener import KeptOutput

PATIENCE_S = 60


class Lines(KeptOutput):
    """Writes each status's message as a line, and notes the thread that did."""

    def __init__(self, stream: UnwaitingStream) -> None:
        super().__init__()
        self._stream = stream
        self.threads: set[int] = set()

    def status(self, status: Status) -> None:
        self.threads.add(threading.get_ident())
        self._stream.write(status.message + "\n")


def line(number: int) -> Status:
    return Status(StatusKind.SUMMARY, f"{number:04} " + 200 * "x", 0)


def test_a_pipe_with_room_is_written_by_the_caller():
    reading, writing = os.pipe()
    with os.fdopen(reading) as reader, os.fdopen(writing, "w") as writer:
        stream = UnwaitingStream(writer)
        lines = Lines(stream)
        queued = Queued(lines, "a pipe", ManualClock(), stream=stream)
        if not stream.attempt(lambda: stream.write("probe\n")):
            pytest.skip("this kernel cannot tell")
        queued.status(line(1))
        assert lines.threads == {threading.get_ident()}
        assert [reader.readline() for _ in range(2)] == ["probe\n", line(1).message + "\n"]
        queued.close()


def test_a_pipe_that_is_full_gets_every_line_whole_and_in_order_once_it_is_read():
    reading, writing = os.pipe()
    with os.fdopen(reading) as reader, os.fdopen(writing, "w") as writer:
        stream = UnwaitingStream(writer)
        queued = Queued(Lines(stream), "a pipe", ManualClock(), max_waiting=1000, stream=stream)
        for number in range(700):  # twice of what a pipe holds
            queued.status(line(number))
        assert queued.waiting > 0
        for number in range(700):
            assert reader.readline() == line(number).message + "\n"
        assert queued.lost == 0
        queued.close()


def test_what_is_dropped_is_never_the_rest_of_a_line():
    reading, writing = os.pipe()
    with os.fdopen(reading) as reader, os.fdopen(writing, "w") as writer:
        stream = UnwaitingStream(writer)
        queued = Queued(Lines(stream), "a pipe", ManualClock(), max_waiting=10, stream=stream)
        for number in range(700):
            queued.status(line(number))
        lost = queued.lost
        assert lost > 0
        written = [reader.readline() for _ in range(700 - lost + 1)]
        queued.close()
    assert {len(one) for one in written if "not written" not in one} == {len(line(0).message) + 1}
    assert [one for one in written if "not written" in one] == [
        f"{lost} entries were not written: a pipe did not take them in time\n"
    ]


def test_a_file_is_written_by_the_thread(tmp_path):
    with (tmp_path / "file").open("w") as file:
        stream = UnwaitingStream(file)
        queued = Queued(Lines(stream), "a file", ManualClock(), stream=stream)
        for number in range(3):
            queued.status(line(number))
        queued.close()
    assert (tmp_path / "file").read_text() == "".join(line(number).message + "\n" for number in range(3))


def test_a_reader_that_has_gone_is_noticed():
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as writer:
        stream = UnwaitingStream(writer)
        queued = Queued(Lines(stream), "a pipe", ManualClock(), stream=stream)
        os.close(reading)
        queued.status(line(1))
        if not queued.gone:
            queued._thread.join(PATIENCE_S)
        assert queued.gone
        assert queued.error is None
