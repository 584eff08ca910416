"""The feed's side of one client: what it wants, and what it has not taken yet. Never waits for it.

A client that does not read costs 256 kB and its own lines. It learns how many it missed, and gets a greeting with all
that holds then.
"""

import contextlib
import socket
from collections import deque

import msgspec

from audiomon.clock import Clock
from audiomon.outputs.feed_protocol import KINDS, MAX_WANT_BYTES, Dropped, Goodbye, decode_want, encode

MAX_BACKLOG_BYTES = 256 << 10
# What the kernel keeps of it besides.
_SEND_BUFFER_BYTES = 64 << 10
# Wants that a client may state at once, and how soon it may state another: each wakes the listener's main thread.
_MAX_WANTS = 20
_WANT_EVERY_NS = 1_000_000_000


class ClientGoneError(Exception):
    """It hung up, or has to be hung up on."""


class Connection:
    """One client.

    Args:
        client: its socket; becomes this object's.
        clock: for how often it may state what it wants.

    Attributes:
        wants: kinds of lines.
        has_asked: whether it has said what it wants, if only nothing.
        dropped: lines that it did not take in time, since it was last told.
    """

    def __init__(self, client: socket.socket, clock: Clock) -> None:
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self.wants: frozenset[str] = frozenset()
        self.has_asked = False
        self.dropped = 0
        self._socket = client
        self._clock = clock
        self._backlog: deque[memoryview] = deque()
        self._backlog_bytes = 0
        self._received = b""
        self._wants_left = _MAX_WANTS
        self._refilled_ns = clock.monotonic_ns()

    @property
    def fd(self) -> int:
        """Of its socket."""
        return self._socket.fileno()

    @property
    def waiting(self) -> bool:
        """Whether there are lines that it has not taken yet."""
        return bool(self._backlog)

    @property
    def missed_lines(self) -> bool:
        """Whether it has missed lines, and now takes more: it is due `resume`."""
        return self.dropped > 0 and not self._backlog

    def put(self, line: bytes) -> None:
        """Send a line, or keep it until it is taken; drop it where too much waits.

        Raises:
            ClientGoneError: nobody will take it.
        """
        if self.dropped or self._backlog_bytes + len(line) > MAX_BACKLOG_BYTES:
            self.dropped += 1
        else:
            self._append(line)
            self.send()

    def resume(self, hello: bytes) -> None:
        """Say how many lines it missed, and greet it with what holds now.

        Raises:
            ClientGoneError: nobody will take it.
        """
        if self.dropped:
            self._append(encode(Dropped(self.dropped)) + b"\n")
            self.dropped = 0
        self._append(hello)
        self.send()

    def send(self) -> None:
        """Send what is waiting, as far as it is taken now.

        Raises:
            ClientGoneError: nobody will take it.
        """
        try:
            while self._backlog:
                taken = self._socket.send(self._backlog[0])
                self._backlog_bytes -= taken
                if taken < len(self._backlog[0]):
                    self._backlog[0] = self._backlog[0][taken:]
                else:
                    self._backlog.popleft()
        except BlockingIOError:
            pass
        except OSError:
            raise ClientGoneError from None

    def receive(self) -> bool:
        """Read what it wants; True if it wants something else than before.

        Raises:
            ClientGoneError: it hung up, or does not speak the feed's language.
        """
        try:
            received = self._socket.recv(MAX_WANT_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            raise ClientGoneError from None
        if not received:
            raise ClientGoneError
        *lines, self._received = (self._received + received).split(b"\n")
        if max(map(len, [*lines, self._received])) > MAX_WANT_BYTES:
            self._refuse(f"a line of more than {MAX_WANT_BYTES} bytes")
        before = self.wants
        for line in lines:
            self._take_want(line)
        return self.wants != before

    def hang_up(self, reason: str = "") -> None:
        """Close the connection; say why, if it can be said now."""
        if reason and not self.dropped:
            self._append(encode(Goodbye(reason)) + b"\n")
            with contextlib.suppress(ClientGoneError):
                self.send()
        self._socket.close()

    def _take_want(self, line: bytes) -> None:
        now_ns = self._clock.monotonic_ns()
        earned = (now_ns - self._refilled_ns) // _WANT_EVERY_NS
        self._refilled_ns += earned * _WANT_EVERY_NS
        self._wants_left = min(_MAX_WANTS, self._wants_left + earned) - 1
        if self._wants_left < 0:
            self._refuse("wants something else too often")
        try:
            self.has_asked = True
            self.wants = frozenset(decode_want(line).want) & frozenset(KINDS)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            self._refuse('not a line such as {"want": ["event", "status"]}')

    def _refuse(self, reason: str) -> None:
        self.hang_up(reason)
        raise ClientGoneError

    def _append(self, line: bytes) -> None:
        self._backlog.append(memoryview(line))
        self._backlog_bytes += len(line)
