"""The keeper's process: takes what the listeners hand over, answers people, deletes what has to go. One thread.

It may wait for its disk: nobody who listens waits for it.
"""

import contextlib
import os
import selectors
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from audiomon import __version__
from audiomon.config.saved import SavedFile
from audiomon.errors import AudiomonError, ConfigError
from audiomon.foreign import shown
from audiomon.keeper.answering import answered
from audiomon.keeper.settings import KeeperConfig, load_keeper_config
from audiomon.keeper.status import FILE, WRITE_S, KeeperStatus
from audiomon.keeper.store import Store
from audiomon.keeper.wall_clock import clock_is_set
from audiomon.outputs.clip_protocol import PROTOCOL, Answer, Lines, Offer, send
from audiomon.outputs.listening_sockets import sockets_in
from audiomon.runtime_files import RuntimeFiles, runtime_folder
from audiomon.systemd import ServiceManager

_LOOK_S = 1.0
# How often clips are looked through for what has to go, besides after each one that comes.
_TIDY_S = 60.0
# A reader that takes longer to take an answer is left.
_MAX_SEND_S = 5.0
_MAX_CLIENTS = 16


class KeeperProcess:
    """Everything that the keeper does.

    Args:
        folder: its own, for clips and index.
        config_path: of ``keeper.yaml``; None for the defaults.
        places: sockets of listeners, or folders of such sockets.
        listening: a listening socket for what people ask; becomes this object's. None for no such socket.

    Raises:
        ConfigError: ``keeper.yaml`` is not what it should be.
        UserError: see `Store`.
        OSError: the folder cannot be used.
    """

    def __init__(
        self, folder: Path, config_path: Path | None, places: Sequence[Path], listening: socket.socket | None
    ) -> None:
        self._saved = SavedFile(config_path)
        config = KeeperConfig() if config_path is None else load_keeper_config(config_path)
        self._store = Store(folder, config, time_ns=time.time_ns, clock_is_set=clock_is_set)
        self._places = places
        self._listening = listening
        self._manager = ServiceManager()
        self._files = RuntimeFiles(runtime_folder())
        self._selector = selectors.DefaultSelector()
        self._lines: dict[socket.socket, Lines] = {}
        self._followed: dict[Path, socket.socket] = {}
        self._clients: set[socket.socket] = set()
        self._refused = self._failing = ""
        self._tidied_s = self._written_s = float("-inf")
        self._stopping = False

    def run(self) -> None:
        """Run until SIGTERM or SIGINT."""
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._forget_saved)
        self._selector.register(reading, selectors.EVENT_READ, lambda: os.read(reading, 4096))
        if self._listening is not None:
            self._listening.setblocking(False)
            self._selector.register(self._listening, selectors.EVENT_READ, self._accept)
        self._look()
        self._manager.tell(READY="1")
        while not self._stopping:
            for key, _ in self._selector.select(_LOOK_S):
                ready: Callable[[], object] = key.data
                ready()
            self._look()
        self._manager.tell(STOPPING="1")
        self._files.remove(FILE)
        for connection in list(self._lines):
            self._hang_up(connection)
        self._store.close()

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _forget_saved(self, *_: object) -> None:
        self._saved.forget()

    def _look(self) -> None:
        """Do what is due by now."""
        now_s = time.monotonic()
        if (saved := self._saved.changed()) is not None:
            self._reload(saved)
        self._follow()
        if now_s - self._tidied_s >= _TIDY_S:
            self._tidied_s = now_s
            self._tidy()
        if now_s - self._written_s >= WRITE_S:
            self._written_s = now_s
            self._report()
        self._manager.tell(WATCHDOG="1")

    def _reload(self, path: Path) -> None:
        try:
            self._store.config = load_keeper_config(path)
        except ConfigError as error:
            self._refused = f"refused: {error}; goes on as before"
            _say(self._refused)
            return
        self._refused = ""
        _say(f"{shown(path)}: applied")
        self._tidied_s = float("-inf")

    def _tidy(self) -> None:
        try:
            self._store.make_room()
        except (OSError, sqlite3.Error) as error:
            self._note_failure(str(error))
        else:
            self._failing = ""

    def _note_failure(self, reason: str) -> None:
        if reason != self._failing:
            _say(f"cannot make room: {shown(reason)}")
        self._failing = reason

    def _report(self) -> None:
        number, size = self._store.index.totals()
        listeners = tuple(sorted(path.stem for path in self._followed))
        counts = self._store.index.counts()
        problem = self._refused or (f"cannot make room: {self._failing}" if self._failing else "")
        status = KeeperStatus(
            os.getpid(), __version__, listeners, number, size / 1e6, counts, clock_is_set(), shown(problem, 500)
        )
        self._manager.tell(STATUS=status.line)
        self._files.write(FILE, status)

    def _follow(self) -> None:
        """Connect to every listener that there is."""
        for path in sockets_in(self._places):
            if path in self._followed:
                continue
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            try:
                connection.connect(os.fspath(path))
            except OSError:
                connection.close()
                continue
            self._followed[path] = connection
            self._watch(connection, self._take_offers)

    def _accept(self) -> None:
        if self._listening is None:
            return
        try:
            client, _ = self._listening.accept()
        except OSError:
            return
        if len(self._clients) >= _MAX_CLIENTS:
            client.close()
            return
        client.setblocking(False)
        self._clients.add(client)
        self._watch(client, self._take_requests)

    def _watch(self, connection: socket.socket, take: Callable[[socket.socket, Lines], None]) -> None:
        lines = self._lines[connection] = Lines(connection)

        def ready() -> None:
            try:
                if lines.receive():
                    take(connection, lines)
                    return
            except BlockingIOError:
                return
            except (OSError, ValueError, sqlite3.Error):
                pass
            self._hang_up(connection)

        self._selector.register(connection, selectors.EVENT_READ, ready)

    def _take_offers(self, connection: socket.socket, lines: Lines) -> None:
        while (found := lines.take()) is not None:
            line, file = found
            try:
                offer = msgspec.json.decode(line, type=Offer)
                if offer.protocol == PROTOCOL:
                    answer = self._store.keep(offer, file)
                else:
                    answer = Answer(False, reason=f"this keeper knows protocol {PROTOCOL}, not {offer.protocol}")
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                answer = Answer(False, reason=f"no offer: {shown(str(error))}")
            finally:
                if file is not None:
                    os.close(file)
            if not answer.kept:
                _say(f"did not keep a clip: {answer.reason}")
            self._send(connection, answer, None)

    def _take_requests(self, connection: socket.socket, lines: Lines) -> None:
        while (found := lines.take()) is not None:
            line, surplus = found
            if surplus is not None:
                os.close(surplus)
            reply, file = answered(self._store, line)
            try:
                self._send(connection, reply, file)
            finally:
                if file is not None:
                    os.close(file)

    def _send(self, connection: socket.socket, message: msgspec.Struct, file: int | None) -> None:
        connection.settimeout(_MAX_SEND_S)
        send(connection, message, file)
        connection.setblocking(False)

    def _hang_up(self, connection: socket.socket) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(connection)
        self._lines.pop(connection).close()
        self._clients.discard(connection)
        self._followed = {path: one for path, one in self._followed.items() if one is not connection}
        connection.close()


def run_keeper(folder: Path, config_path: Path | None, places: Sequence[Path], listening: socket.socket | None) -> None:
    """Run the keeper until a signal ends it.

    Raises:
        AudiomonError: see `KeeperProcess`.
    """
    try:
        process = KeeperProcess(folder, config_path, places, listening)
    except OSError as error:
        raise AudiomonError(f"{shown(folder)} cannot be used: {error.strerror or error}") from None
    process.run()


def _say(message: str) -> None:
    print(f"audiomon keeper: {message}", file=sys.stderr, flush=True)
