"""Follows the feeds of all listeners on this machine: connects to every socket that there is, and again when one ends.

Reads lines and hands them to `audiomon.link.state`. A listener that is away, restarts, or writes what is no line of the
feed's costs nobody else anything.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from audiomon.foreign import shown
from audiomon.link.state import State
from audiomon.link.tasks import end_tasks
from audiomon.outputs.feed_protocol import (
    FEED_FOLDER,
    MAX_LINE_BYTES,
    PROTOCOL,
    Goodbye,
    Hello,
    Line,
    Want,
    decode,
    encode,
)
from audiomon.outputs.listening_sockets import SOCKET_SUFFIX, sockets_in

# How often the folder is looked through for new sockets.
_LOOK_S = 2.0
_MIN_WAIT_S = 0.2
_MAX_WAIT_S = 10.0
# A listener sends its state every 5 s. One that has sent nothing for this long is stopped, or hangs.
_SILENT_S = 20.0


class Feeds:
    """Follows listeners, each in a task of its own.

    Args:
        state: gets what they send.
        places: sockets, or folders of sockets named ``INSTANCE.sock``.
    """

    def __init__(self, state: State, places: Iterable[Path] = (FEED_FOLDER,)) -> None:
        self._state = state
        self._places = tuple(places)
        self._followed: dict[Path, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Follow them until cancelled."""
        try:
            while True:
                self._look()
                await asyncio.sleep(_LOOK_S)
        finally:
            await end_tasks(self._followed.values())

    def _look(self) -> None:
        """Begin to follow sockets that are new, and end with those that are gone."""
        there = set(sockets_in(self._places))
        for path in there - self._followed.keys():
            self._followed[path] = asyncio.create_task(Follower(path, self._state).run())
        for path in self._followed.keys() - there:
            self._followed.pop(path).cancel()
            self._state.lose(self._state.listener(instance_of(path)), f"{path}: the socket is gone")


class Follower:
    """Follows one listener: connects, reads until the end, and connects again, after ever longer waits.

    Args:
        path: of its socket; names the instance.
        state: gets what it sends.
    """

    def __init__(self, path: Path, state: State) -> None:
        self._path = path
        self._state = state
        self._listener = state.listener(instance_of(path))
        self._wait_s = _MIN_WAIT_S

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            problem = await self._follow_once()
            self._state.lose(self._listener, problem)
            await asyncio.sleep(self._wait_s)
            self._wait_s = min(2 * self._wait_s, _MAX_WAIT_S)

    async def _follow_once(self) -> str:
        """Follow one connection to its end.

        Returns:
            Why it ended, in one line.
        """
        try:
            reader, writer = await asyncio.open_unix_connection(self._path, limit=MAX_LINE_BYTES)
        except OSError as error:
            return f"{self._path}: {_why_it_ended(error)}"
        wants = asyncio.create_task(self._keep_wants(writer))
        try:
            return await self._read(reader)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            return f"{self._path}: {_why_it_ended(error)}"
        finally:
            wants.cancel()
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await wants

    async def _read(self, reader: asyncio.StreamReader) -> str:
        greeted = False
        while True:
            # Systemd accepts for a listener that is not there yet, which then says nothing until it is.
            line = await asyncio.wait_for(reader.readuntil(b"\n"), _SILENT_S if greeted else None)
            message = read_line(line)
            if isinstance(message, Hello):
                if message.protocol != PROTOCOL:
                    return f"{self._path}: speaks version {message.protocol} of the feed, this is version {PROTOCOL}"
                greeted = True
                self._wait_s = _MIN_WAIT_S
            elif not greeted:
                raise ValueError("the first line is no greeting")
            if isinstance(message, Goodbye):
                return f"{self._path}: {shown(message.reason)}"
            if message is not None:
                self._state.take(self._listener, message)

    async def _keep_wants(self, writer: asyncio.StreamWriter) -> None:
        """Say what is wanted, now and whenever that changes."""
        async for kinds in self._state.wants():
            writer.write(encode(Want(tuple(sorted(kinds)))) + b"\n")
            await writer.drain()


def _why_it_ended(error: Exception) -> str:
    match error:
        case EOFError():
            return "the connection was closed"
        case TimeoutError():
            return f"nothing has come for {_SILENT_S:.0f} s"
        case asyncio.LimitOverrunError():
            return f"a line is longer than {MAX_LINE_BYTES} bytes"
        case OSError():
            return error.strerror or type(error).__name__
        case _:  # a line that is no JSON, or of no known kind
            return shown(str(error))


def instance_of(path: Path) -> str:
    """Return the name of the listener whose feed a socket is."""
    return path.name.removesuffix(SOCKET_SUFFIX)


def read_line(line: bytes) -> Line | None:
    """Read one line; None for one of a kind that this version does not know.

    Raises:
        ValueError: it is no line of the feed's.
    """
    try:
        return decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if isinstance(error, msgspec.ValidationError) and "Invalid value" in str(error) and "$.type" in str(error):
            return None
        raise ValueError(f"not a line of the feed: {shown(str(error))}") from None
