import os
import select
import socket
import stat

import numpy as np
import pytest

from audiomon.clock import SystemClock
from audiomon.config import Config
from audiomon.config import Feed as FeedSettings
from audiomon.errors import AudiomonError, UserError
from audiomon.outputs.feed import MAX_CLIENTS, Feed, open_feed
from audiomon.outputs.feed_connection import MAX_BACKLOG_BYTES
from audiomon.outputs.feed_protocol import (
    KINDS,
    PROTOCOL,
    ColumnsLine,
    Dropped,
    EventLine,
    Goodbye,
    Hello,
    LevelLine,
    Limits,
    On,
    PredictionLine,
    StateLine,
    StatusLine,
)
from audiomon.outputs.listening_sockets import make_socket, passed_socket
from audiomon.outputs.live import Fanout
from audiomon.outputs.observations import Level
from audiomon.pipeline.columns import Columns
from audiomon.pipeline.prediction import Status, StatusKind
from tests.manual_clock import ManualClock
from tests.outputs.listening import NOON_NS, Client, event, model, prediction, snapshot

NOON = "2023-11-14T22:13:20.000000+00:00"
COLUMNS = Columns(np.arange(6, dtype=np.uint8).reshape(3, 2), 0.15, gap=False)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "feed.sock"


@pytest.fixture
def feed(path, clock):
    feed = open_feed(path, "kitchen", clock)
    feed.configure(Config())
    yield feed
    feed.close()


@pytest.fixture
def connect(feed, path):
    clients = []

    def connect(*wanted):
        clients.append(Client(feed, path, *wanted))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


def drained(feed, client):
    """All that a client can read by and by, while the main thread does what wakes it."""
    lines = client.lines()
    while select.select([feed.fd], [], [], 0)[0]:
        feed.flush()
        lines += client.lines()
    return lines


def test_who_connects_late_is_greeted_with_all_that_holds(feed, connect):
    feed.observe(model())
    feed.observe(snapshot(lost=7))
    feed.event(event("speech"))
    feed.event(event("dog_bark"))
    feed.event(event("dog_bark", "off", 2.5))
    (hello,) = connect().lines()
    assert hello == Hello(
        protocol=PROTOCOL,
        version=hello.version,
        instance="kitchen",
        model="home",
        fingerprint="fingerprint of home",
        labels={"dog_bark": Limits(0.6, 0.4), "speech": Limits(0.6, 0.4)},
        on={"speech": On(NOON, 0.8)},
        state=snapshot(lost=7),
        spectrogram=False,
    )


def test_each_client_gets_the_kinds_that_it_wants_and_may_change_its_mind(feed, connect):
    events, everything = connect("event"), connect(*KINDS)
    feed.prediction(prediction())
    feed.event(event())
    feed.status(Status(StatusKind.AUDIO_LOST, "lost 5 samples", NOON_NS, {"lost": 5}, "warning"))
    feed.observe(snapshot())
    feed.observe(Level(-40.0, -20.0))
    speech = EventLine(NOON, "speech", "on", 0.8, 1.0, 0.0)
    scores = {"background": 0.100000001, "dog_bark": 0.200000003, "speech": 0.699999988}
    assert events.lines()[1:] == [speech]
    assert everything.lines()[1:] == [
        PredictionLine(NOON, "speech", 0.7, scores, 0.0, 500.0, 300.0, 50.0, 0, "home"),
        speech,
        StatusLine(NOON, "audio-lost", "warning", "lost 5 samples", {"lost": 5}),
        StateLine(snapshot()),
        LevelLine(-40.0, -20.0),
    ]
    events.want("level", "what only a newer listener knows")
    feed.event(event("speech", "off", 3.0))
    feed.observe(Level(-41.0, -21.0))
    assert events.lines() == [LevelLine(-41.0, -21.0)]


def test_nothing_is_made_of_what_nobody_wants(feed, connect):
    connect("event")

    class Unreadable:
        def __getattr__(self, name):
            raise AssertionError(f"{name} was read")

    feed.prediction(Unreadable())


def test_another_model_is_announced_with_a_new_greeting(feed, connect):
    client = connect()
    feed.observe(model())
    feed.observe(model("garden", ("blackbird",)))
    assert [line.model for line in client.lines()] == ["", "home", "garden"]


def test_columns_are_made_only_while_they_are_allowed_and_wanted(feed, connect):
    client = connect("columns")
    assert not feed.wants_columns
    feed.columns = None
    feed.observe(COLUMNS)
    feed.configure(Config(feed=FeedSettings(spectrogram=True)))
    assert feed.wants_columns
    feed.observe(COLUMNS)
    client.want("event")
    assert not feed.wants_columns
    feed.observe(COLUMNS)
    lines = client.lines()
    assert [line.spectrogram for line in lines[:2]] == [False, True]
    assert lines[2:] == [ColumnsLine(2, 0.15, False, bytes(range(6)))]


def test_a_client_that_never_reads_loses_its_own_lines_and_its_neighbour_none(feed, connect):
    idle, neighbour = connect("prediction"), connect("prediction")
    count = 2500
    received = 0
    for number in range(count):
        feed.prediction(prediction(number=number))
        received += sum(isinstance(line, PredictionLine) for line in neighbour.lines())
    assert received == count
    (connection,) = (one for one in feed._clients.values() if one.waiting)
    assert connection._backlog_bytes <= MAX_BACKLOG_BYTES
    assert connection.dropped > 0
    feed.event(event())
    lines = drained(feed, idle)
    predictions = [line for line in lines if isinstance(line, PredictionLine)]
    dropped, hello = lines[-2:]
    assert predictions == lines[1:-2]
    assert [line.position_s * 2 for line in predictions] == list(range(len(predictions)))
    assert dropped == Dropped(count - len(predictions))
    assert isinstance(hello, Hello)
    assert hello.on == {"speech": On(NOON, 0.8)}
    feed.prediction(prediction())
    assert len(idle.lines()) == 1


def test_a_greeting_larger_than_what_may_wait_arrives_whole(feed, connect):
    labels = tuple(f"label number {number}" for number in range(10_000))
    feed.observe(model("large", labels))
    client = connect()
    lines = drained(feed, client)
    assert tuple(lines[0].labels) == labels


def test_a_client_that_hangs_up_is_forgotten(feed, connect):
    stays, goes = connect("event"), connect("event")
    goes.close()
    feed.event(event())
    feed.flush()
    feed.event(event("speech", "off"))
    assert len(stays.lines()) == 3
    assert len(feed._clients) == 1


@pytest.mark.parametrize(
    "sent", [b"hello\n", b'{"want": "event"}\n', b'{"want": [1]}\n', b"[" * 3000 + b"\n", b"\xff\n", b"x" * 4097]
)
def test_a_client_that_says_something_else_is_told_and_hung_up_on(feed, connect, sent):
    client = connect("event")
    client.lines()
    client.send(sent)
    feed.flush()  # what is longer than one read
    (goodbye,) = client.lines()
    assert isinstance(goodbye, Goodbye)
    assert client.ended
    feed.event(event())
    assert feed._clients == {}


def test_a_client_may_change_its_mind_about_once_a_second(feed, connect, clock):
    client = connect()
    for _ in range(19):
        client.want("event")
    clock.advance(1)
    client.want("event")
    assert not client.ended
    client.want("event")
    assert client.ended


def test_one_client_too_many_waits_until_another_hangs_up(feed, connect):
    clients = [connect() for _ in range(MAX_CLIENTS)]
    late = connect()
    feed.flush()
    assert late.lines() == []
    assert not select.select([feed.fd], [], [], 0)[0]
    clients[0].close()
    feed.flush()
    feed.flush()
    assert isinstance(late.lines()[0], Hello)


def test_the_end_is_said_and_the_socket_removed(feed, connect, path):
    client = connect("event")
    feed.close()
    assert client.lines()[-1] == Goodbye("the listener has stopped")
    assert client.ended
    assert not path.exists()


def test_a_line_that_the_feed_cannot_write_costs_that_line_only(feed, connect, clock):
    client = connect("status")
    fanout = Fanout([feed], clock)
    fanout.status(Status(StatusKind.AUDIO_LOST, "", NOON_NS, {"lost": np.float64(1)}))
    fanout.status(Status(StatusKind.AUDIO_LOST, "after", NOON_NS))
    assert fanout.failures == 1
    assert client.lines()[-1].message == "after"


def test_it_wakes_the_main_thread_for_what_clients_do(feed, path):
    def ready():
        return bool(select.select([feed.fd], [], [], 0)[0])

    assert not ready()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(path))
        assert ready()
        feed.flush()
        assert not ready()
        client.send(b'{"want": ["event"]}\n')
        assert ready()
        feed.flush()
        assert not ready()
    assert ready()
    feed.flush()
    assert not ready()


def test_a_socket_made_here_is_for_this_user_alone(path):
    made = make_socket(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(UserError, match="another process listens there"):
        make_socket(path)
    made.close()
    make_socket(path).close()  # one that a crash left behind


@pytest.mark.parametrize("name", ["missing/feed.sock", "x" * 200, "file"])
def test_a_socket_that_cannot_be_made_is_refused_in_one_line(tmp_path, name):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(UserError) as error:
        make_socket(tmp_path / name)
    assert str(error.value).startswith(str(tmp_path)[:20])
    assert (tmp_path / "file").read_text() == "precious"


def test_systemds_socket_is_found_by_its_name(monkeypatch, path):
    made = make_socket(path)
    environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "clips:feed"}
    monkeypatch.setattr("audiomon.outputs.listening_sockets._FIRST_PASSED", made.fileno() - 1)
    assert passed_socket("feed", {**environment, "LISTEN_PID": "1"}) is None
    assert passed_socket("other", environment) is None
    passed = passed_socket("feed", environment)
    assert passed.fileno() == made.fileno()
    assert not passed.get_inheritable()
    feed = Feed(passed, "kitchen", SystemClock())
    client = Client(feed, path)
    assert client.lines()[0].instance == "kitchen"
    client.close()
    made.detach()
    feed.close()
    assert path.exists()  # systemd's own


def test_a_socket_of_another_kind_is_refused(monkeypatch):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wrong:
        monkeypatch.setattr("audiomon.outputs.listening_sockets._FIRST_PASSED", wrong.fileno())
        environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "feed"}
        with pytest.raises(AudiomonError, match="not a listening Unix stream socket"):
            passed_socket("feed", environment)
        wrong.detach()
