"""The feed: what is heard, as lines on a Unix socket, for programs that have no microphone. Sound never goes over it.

Called by the inference worker and the supervisor, like every live output, and without a thread of its own. It never
waits for a client: each has a bounded backlog (`audiomon.outputs.feed_connection`).
"""

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from audiomon import __version__
from audiomon.clock import Clock
from audiomon.config import Config
from audiomon.outputs.feed_connection import ClientGoneError, Connection
from audiomon.outputs.feed_protocol import (
    PROTOCOL,
    ColumnsLine,
    Hello,
    Kind,
    LevelLine,
    Limits,
    On,
    StateLine,
    StatusLine,
    encode,
)
from audiomon.outputs.json_lines import event_fields, iso_time, prediction_fields
from audiomon.outputs.listening_sockets import make_socket
from audiomon.outputs.observations import Level, ModelInForce, Observation
from audiomon.outputs.selection import SCORES_WRITTEN
from audiomon.outputs.snapshot import Snapshot
from audiomon.pipeline.columns import Columns
from audiomon.pipeline.prediction import Audience, Event, Prediction, Status

# Further ones wait until one hangs up.
MAX_CLIENTS = 16


class Feed:
    """Writes what is heard to everybody who connects. A `LiveOutput`.

    Args:
        listening: a listening Unix stream socket; becomes this object's.
        instance: name of this listener among several.
        clock: for how often clients may state what they want.
        made: path of the socket, if it is to be removed at the end.
    """

    name = "feed"
    audience = Audience.LOG
    gone = False  # there may be a client at any time
    # What a client has not taken is its own affair, and it is told: nothing is lost to anybody else.
    waiting = lost = 0
    error: Exception | None = None

    def __init__(self, listening: socket.socket, instance: str, clock: Clock, *, made: Path | None = None) -> None:
        self._listening = listening
        self._listening.setblocking(False)
        self._clock = clock
        self._made = made
        self._hello = Hello(PROTOCOL, __version__, instance)
        self._on: dict[str, On] = {}
        # Held while lines are sent; nothing in there waits.
        self._sending = threading.Lock()
        self._clients: dict[int, Connection] = {}
        self._wanted: frozenset[str] = frozenset()
        self._epoll = select.epoll()
        self._epoll.register(listening, select.EPOLLIN)

    @property
    def fd(self) -> int:
        """See `LiveOutput.fd`: of an epoll, which is ready when any of its sockets is."""
        return self._epoll.fileno()

    @property
    def wants_columns(self) -> bool:
        """See `LiveOutput.wants_columns`."""
        return self._hello.spectrogram and "columns" in self._wanted

    def configure(self, config: Config) -> None:
        """See `LiveOutput.configure`."""
        if config.feed.spectrogram != self._hello.spectrogram:
            self._change_hello(spectrogram=config.feed.spectrogram)

    def prediction(self, prediction: Prediction) -> None:
        """See `Output.prediction`."""
        self._send(
            "prediction", lambda: encode({"type": "prediction", **prediction_fields(prediction, SCORES_WRITTEN)})
        )

    def event(self, event: Event) -> None:
        """See `Output.event`."""
        with self._sending:
            if event.state == "on":
                self._on[event.label] = On(iso_time(event.time_ns), round(event.score, 6))
            else:
                self._on.pop(event.label, None)
        self._send("event", lambda: encode({"type": "event", **event_fields(event)}))

    def status(self, status: Status) -> None:
        """See `Output.status`."""
        line = StatusLine(iso_time(status.time_ns), status.kind, status.severity, status.message, status.facts)
        self._send("status", lambda: encode(line))

    def observe(self, observation: Observation) -> None:
        """See `LiveOutput.observe`."""
        match observation:
            case Snapshot():
                self._hello = msgspec.structs.replace(self._hello, state=observation)
                self._send("state", lambda: encode(StateLine(observation)))
            case Level():
                self._send("level", lambda: encode(LevelLine(observation.rms_dbfs, observation.peak_dbfs)))
            case Columns():
                if self.wants_columns:
                    self._send("columns", lambda: encode(_columns_line(observation)))
            case ModelInForce():
                labels = {label: Limits(limits.on, limits.off) for label, limits in observation.thresholds.items()}
                self._change_hello(model=observation.name, fingerprint=observation.fingerprint, labels=labels)

    def flush(self) -> None:
        """Accept clients, read what they want, and send what waits for them."""
        with self._sending:
            # One round: a client that is ready after it wakes the caller again.
            for fd, _ in self._epoll.poll(0):
                if fd == self._listening.fileno():
                    self._accept()
                elif fd in self._clients:
                    self._guarded(self._clients[fd], self._serve)

    def close(self) -> None:
        """Hang up on everybody."""
        with self._sending:
            for connection in self._clients.values():
                connection.hang_up("the listener has stopped")
            self._clients.clear()
            self._wanted = frozenset()
            self._epoll.close()
            self._listening.close()
            if self._made is not None:
                with contextlib.suppress(OSError):
                    self._made.unlink()

    def _send(self, kind: Kind, encoded: Callable[[], bytes]) -> None:
        """Send a line to all who want it; it is made only if there are any."""
        if kind not in self._wanted:
            return
        with self._sending:
            line = encoded() + b"\n"
            for connection in [one for one in self._clients.values() if kind in one.wants]:
                self._guarded(connection, lambda connection: self._put(connection, line))

    def _put(self, connection: Connection, line: bytes) -> None:
        connection.send()
        if connection.missed_lines:
            connection.resume(self._greeting())
        connection.put(line)

    def _change_hello(self, **changes: object) -> None:
        with self._sending:
            self._hello = msgspec.structs.replace(self._hello, **changes)
            line = self._greeting()
            for connection in [one for one in self._clients.values() if one.has_asked]:
                self._guarded(connection, lambda connection: self._put(connection, line))

    def _greeting(self) -> bytes:
        return encode(msgspec.structs.replace(self._hello, on=self._on)) + b"\n"

    def _accept(self) -> None:
        try:
            client, _ = self._listening.accept()
        except OSError:
            return  # it has hung up, or there are too many open files
        connection = Connection(client, self._clock)
        self._clients[connection.fd] = connection
        self._epoll.register(connection.fd, select.EPOLLIN)
        self._guarded(connection, self._serve)
        self._watch_listening()

    def _serve(self, connection: Connection) -> None:
        """Do what a client is ready for."""
        had_asked = connection.has_asked
        if connection.receive():
            self._note_wanted()
        if connection.has_asked and not had_asked:
            # Not before: what happened between a hello and what a client wants would be in no line.
            connection.resume(self._greeting())
        connection.send()
        if connection.missed_lines:
            connection.resume(self._greeting())

    def _guarded(self, connection: Connection, call: Callable[[Connection], None]) -> None:
        """Call with a client that may be found to be gone; wake up when it takes more, if there is more."""
        fd = connection.fd
        try:
            call(connection)
            self._epoll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if connection.waiting else 0))
        except ClientGoneError:
            del self._clients[fd]
            connection.hang_up()
            self._note_wanted()
            self._watch_listening()

    def _watch_listening(self) -> None:
        room = len(self._clients) < MAX_CLIENTS
        self._epoll.modify(self._listening, select.EPOLLIN if room else 0)

    def _note_wanted(self) -> None:
        self._wanted = frozenset().union(*(connection.wants for connection in self._clients.values()))


def open_feed(path: Path, instance: str, clock: Clock) -> Feed:
    """Open a feed on a socket made for it, which only this user may connect to.

    Raises:
        UserError: it cannot be made there.
    """
    return Feed(make_socket(path), instance, clock, made=path)


def _columns_line(columns: Columns) -> ColumnsLine:
    levels = columns.levels
    return ColumnsLine(levels.shape[1], round(columns.duration_s, 6), columns.gap, levels.tobytes())
