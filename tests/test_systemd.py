import os
import socket

import pytest

from audiomon.systemd import ServiceManager


@pytest.fixture
def manager_socket(tmp_path):
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    listening.bind(str(tmp_path / "notify"))
    return listening


def test_lines_arrive_in_one_datagram_each_on_one_line(manager_socket):
    manager = ServiceManager({"NOTIFY_SOCKET": manager_socket.getsockname()})
    manager.tell(READY="1", STATUS="speech 0.93 ·\ntwo lines\nREADY=0")
    assert manager_socket.recv(4096).decode() == "READY=1\nSTATUS=speech 0.93 · two lines READY=0"


def test_an_abstract_socket_is_reached_as_well():
    name = f"audiomon-test-{os.getpid()}"
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(f"\0{name}")
    ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).tell(WATCHDOG="1")
    assert listening.recv(4096) == b"WATCHDOG=1"


def test_where_nobody_listens_or_nobody_reads_telling_returns_all_the_same(manager_socket, tmp_path):
    ServiceManager({}).tell(READY="1")
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).tell(READY="1")
    busy = ServiceManager({"NOTIFY_SOCKET": manager_socket.getsockname()})
    for _ in range(5000):  # the kernel keeps a few hundred of these at most
        busy.tell(WATCHDOG="1")


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_that_of_this_process(environment, watchdog_s):
    assert ServiceManager(environment).watchdog_s == watchdog_s
