import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from audiomon.cli.workers import Batches, Lost, in_order


def thrice(number: int) -> Iterator[str]:
    for part in "abc":
        yield f"{number}{part}"


def deadly(number: int) -> Iterator[str]:
    yield f"{number} begun"
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 4:
        os._exit(7)
    yield f"{number} done"


def large_last(number: int) -> Iterator[bytes]:
    for _ in range(3 if number else 1):
        yield bytes(6 << 20)


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_messages_come_in_the_order_of_the_items_however_many_processes_there_are(jobs):
    said = list(in_order(range(20), thrice, jobs))
    assert said == [(number, f"{number}{part}") for number in range(20) for part in "abc"]


def test_a_process_that_dies_costs_its_own_item_and_is_replaced():
    said = list(in_order(range(7), deadly, 2))
    for number in range(7):
        messages = [message for item, message in said if item == number]
        assert messages[0] == f"{number} begun"
        expected = {2: Lost("killed (SIGKILL)"), 4: Lost("ended (status 7)")}.get(number, f"{number} done")
        assert messages[1:] == [expected]


def test_results_too_large_to_be_kept_wait_for_their_turn():
    sizes = [len(message) for _, message in in_order(range(4), large_last, 3)]
    assert sizes == [6 << 20] * 10


def test_closing_early_ends_the_processes():
    before = children()
    said = in_order(range(100), thrice, 3)
    next(said)
    assert len(children() - before) == 3
    said.close()
    assert children() <= before


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_killed_processes_leave_none_behind(how):
    program = (
        "import os, time\n"
        "from audiomon.cli.workers import in_order\n"
        "def work(number):\n"
        "    yield os.getpid()\n"
        "    time.sleep(60)\n"
        "for _, pid in in_order(range(2), work, 2):\n"
        "    print(pid, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        parent.send_signal(how)
    deadline = time.monotonic() + 20
    while is_running(worker) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(worker)


def children() -> set[str]:
    """Numbers of this process's children; other tests may have left some of theirs."""
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_batches_are_due_after_a_tenth_of_a_second():
    now_s = [0.0]
    batches: Batches[int] = Batches(lambda: now_s[0])
    batches.extend([1, 2])
    assert not batches.are_due()
    now_s[0] = 0.1
    assert batches.are_due()
    assert batches.take() == [1, 2]
    assert not batches.are_due()
    assert batches.take() == []
