"""A real-time stream of raw samples as a live source: what another program sends through a Unix socket or a FIFO.

The sender sets the pace, as a sound card would; nothing here waits for it or slows it down. A recording that may wait
is `PipeSource`'s.
"""

import array
import errno
import os
import select
import socket
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from audiomon.audio.capture import DEFAULT_BLOCK_MS, DEFAULT_RING_S, CapturedSource
from audiomon.audio.source import Identity
from audiomon.clock import Clock
from audiomon.errors import DeviceError

_MAX_CONNECTING_S = 5.0


@dataclass(frozen=True, slots=True)
class StreamIdentity:
    """Who sends.

    Attributes:
        name: what a person calls it.
    """

    name: str

    def is_like(self, other: Identity) -> bool:
        """Say whether this can be the same sender: it has the same name."""
        return isinstance(other, StreamIdentity) and self.name == other.name


class StreamSource(CapturedSource):
    """A stream of raw little-endian 16-bit samples, interleaved, without a header; a `LiveSource`.

    Args:
        path: of the Unix socket to connect to, or of the FIFO to read.
        sample_rate: in Hz; the stream cannot tell.
        channels: interleaved in it.
        name: what a person calls it; the path if left out.
        block_ms: milliseconds captured at a time, at most 100.
        ring_s: seconds kept for a reader that falls behind, at least 2.
        clock: paces the polling and dates the samples.

    Raises:
        DeviceError: nothing sends there; or, from ``read``, the stream has ended.
    """

    def __init__(
        self,
        path: Path,
        sample_rate: int,
        channels: int = 1,
        *,
        name: str = "",
        block_ms: float = DEFAULT_BLOCK_MS,
        ring_s: float = DEFAULT_RING_S,
        clock: Clock | None = None,
    ) -> None:
        identity = StreamIdentity(name or str(path))
        super().__init__(
            lambda: DescriptorStream(_connected(path, identity.name), identity, sample_rate, channels),
            block_ms=block_ms,
            ring_s=ring_s,
            clock=clock,
        )


class DescriptorStream:
    """Raw samples from a file descriptor that can be polled; see `InputStream`.

    Args:
        fd: non-blocking; this closes it.
        identity: of the sender.
        sample_rate: in Hz.
        channels: interleaved.
    """

    def __init__(self, fd: int, identity: Identity, sample_rate: int, channels: int) -> None:
        self.identity = identity
        self.sample_rate = sample_rate
        self.channels = channels
        # A sender of many small pieces fills a socket's buffer within a fraction of a second.
        self.kept_s = 0.0
        self.ending = False
        self._fd = fd
        self._sample_bytes = 2 * channels
        self._max_bytes = sample_rate * self._sample_bytes
        self._received = bytearray()
        # Unlike reading, polling tells a FIFO that has no sender yet from one whose sender has gone.
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def available(self) -> int:
        """See `InputStream.available`.

        Takes what has come out of the kernel, up to a second of it: a sender of many small pieces fills the buffer of a
        socket long before they make a block.
        """
        try:
            while not self.ending and len(self._received) < self._max_bytes and self._poll.poll(0):
                piece = os.read(self._fd, self._max_bytes)
                self._received += piece
                self.ending = not piece
        except OSError as error:
            raise DeviceError(f"{self.identity.name}: the stream has failed: {error.strerror}") from None
        count = len(self._received) // self._sample_bytes
        if self.ending and not count:
            raise DeviceError(f"{self.identity.name}: the stream has ended")
        return count

    def read(self, count: int) -> bytes:
        """See `InputStream.read`."""
        taken = array.array("h", bytes(self._received[: count * self._sample_bytes]))
        del self._received[: count * self._sample_bytes]
        if sys.byteorder == "big":
            taken.byteswap()
        return taken.tobytes()

    def close(self) -> None:
        """See `InputStream.close`."""
        os.close(self._fd)


def _connected(path: Path, name: str) -> int:
    """Return a non-blocking descriptor of a socket or a FIFO."""
    try:
        if stat.S_ISFIFO(path.stat().st_mode):
            return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_MAX_CONNECTING_S)
            connection.connect(str(path))
            connection.setblocking(False)
            return connection.detach()
    except OSError as error:
        why = "nothing sends there" if error.errno in (errno.ECONNREFUSED, errno.ENOENT) else error.strerror or error
        raise DeviceError(f"{name}: there is no stream: {why}") from None
