"""A real-time stream of samples as a live source: what another program sends through a Unix socket or a FIFO.

The sender sets the pace, as a sound card would; nothing here waits for it or slows it down. A recording that may wait
is `PipeSource`'s.
"""

import array
import errno
import os
import re
import select
import socket
import stat
import sys
from pathlib import Path

import msgspec

from audiomon.audio.capture import DEFAULT_BLOCK_MS, DEFAULT_RING_S, CapturedSource
from audiomon.audio.source import Identity
from audiomon.audio.stream_pace import Pace
from audiomon.audio.stream_start import FOLDER, Start, read_start, request
from audiomon.clock import Clock, SystemClock
from audiomon.errors import DeviceError

# How `microphone.device` names a stream.
PREFIX = "stream:"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_MAX_CONNECTING_S = 1.5
# A camera takes a second or two to begin, WAV through HTTP five. Opening must end before the capture thread is given
# up.
_MAX_START_S = 8.0


def is_stream(device: str | int | None) -> bool:
    """Say whether ``microphone.device`` means a stream rather than a sound card."""
    return isinstance(device, str) and device.startswith(PREFIX)


def stream_path(device: str) -> Path:
    """Return where the stream is that ``stream:NAME`` or ``stream:/PATH`` means.

    Raises:
        DeviceError: that is neither.
    """
    name = device.removeprefix(PREFIX)
    if name.startswith("/"):
        return Path(name)
    if not _NAME.fullmatch(name):
        raise DeviceError(f"{device}: is neither stream:NAME (letters, digits and _ . -) nor stream:/PATH")
    return FOLDER / name


def streams(folder: Path = FOLDER) -> list[str]:
    """Return the streams of this machine, as ``microphone.device`` names them."""
    try:
        found = sorted(folder.iterdir())
    except OSError:
        return []
    return [f"{PREFIX}{path.name}" for path in found if _NAME.fullmatch(path.name) and _may_be_stream(path)]


def _may_be_stream(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode)


class StreamIdentity(msgspec.Struct, frozen=True):
    """Who sends.

    Attributes:
        name: what a person calls it.
    """

    name: str

    def is_like(self, other: Identity) -> bool:
        """Say whether this can be the same sender: it has the same name."""
        return isinstance(other, StreamIdentity) and self.name == other.name


class StreamSource(CapturedSource):
    """A stream of little-endian 16-bit samples, interleaved, after a WAV header or without one; a `LiveSource`.

    Args:
        path: of the Unix socket to connect to, or of the FIFO to read.
        sample_rate: wanted, in Hz; senders that can choose take it.
        raw_rate: in Hz, of a sender that does not tell; its samples have one channel.
        name: what a person calls it; the path if left out.
        block_ms: milliseconds captured at a time, at most 100.
        ring_s: seconds kept for a reader that falls behind, at least 2.
        clock: paces the polling and dates the samples.

    Raises:
        DeviceError: nothing sends there, or the sender says why it does not; or, from ``read``, the stream has ended,
            or its samples come at another rate than they are said to have.
    """

    def __init__(
        self,
        path: Path,
        *,
        sample_rate: int,
        raw_rate: int | None = None,
        name: str = "",
        block_ms: float = DEFAULT_BLOCK_MS,
        ring_s: float = DEFAULT_RING_S,
        clock: Clock | None = None,
    ) -> None:
        identity = StreamIdentity(name or str(path))
        clock = clock or SystemClock()
        super().__init__(
            lambda: _opened(path, identity, sample_rate, raw_rate, clock),
            block_ms=block_ms,
            ring_s=ring_s,
            clock=clock,
        )


class DescriptorStream:
    """Samples from a file descriptor that can be polled; see `InputStream`.

    Args:
        fd: non-blocking; this closes it.
        identity: of the sender.
        pace: of its samples.
        channels: interleaved.
        received: what has been read already.
        clock: times the samples.
    """

    def __init__(self, fd: int, identity: Identity, pace: Pace, channels: int, received: bytes, clock: Clock) -> None:
        self.identity = identity
        self.sample_rate = pace.sample_rate
        self.channels = channels
        # A sender of many small pieces fills a socket's buffer within a fraction of a second.
        self.kept_s = 0.0
        self.ending = False
        self._fd = fd
        self._pace = pace
        self._clock = clock
        self._sample_bytes = 2 * channels
        self._max_bytes = self.sample_rate * self._sample_bytes
        self._received = bytearray(received)
        # Unlike reading, polling tells a FIFO that has no sender yet from one whose sender has gone.
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def available(self) -> int:
        """See `InputStream.available`.

        Takes what has come out of the kernel, up to a second of it: a sender of many small pieces fills the buffer of a
        socket long before they make a block.
        """
        came = 0
        try:
            while not self.ending and len(self._received) < self._max_bytes and self._poll.poll(0):
                piece = _received(self._fd, self._max_bytes)
                self._received += piece
                came += len(piece)
                self.ending = not piece
        except OSError as error:
            raise DeviceError(f"{self.identity.name}: the stream has failed: {error.strerror}") from None
        if not self.ending and (rate := self._pace.off(came // self._sample_bytes, self._clock.monotonic_ns())):
            raise DeviceError(
                f"{self.identity.name}: sends {rate:.0f} samples a second, and is said to send {self.sample_rate}"
                f"{self._pace.advice}"
            )
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


def _opened(
    path: Path, identity: StreamIdentity, sample_rate: int, raw_rate: int | None, clock: Clock
) -> DescriptorStream:
    """Connect, and wait for the first sample."""
    fd = _connected(path, identity.name, sample_rate)
    try:
        start, received = _begun(fd, clock)
        rate = start.sample_rate or raw_rate
        if rate is None:
            raise DeviceError("it sends raw samples, and does not tell their rate: set microphone.stream_rate")
    except DeviceError as error:
        os.close(fd)
        raise DeviceError(f"{identity.name}: {error}") from None
    pace = Pace(rate, declared=start.sample_rate is not None)
    return DescriptorStream(fd, identity, pace, start.channels, received[start.header_bytes :], clock)


def _connected(path: Path, name: str, sample_rate: int) -> int:
    """Return a non-blocking descriptor of a socket or a FIFO."""
    try:
        if stat.S_ISFIFO(path.stat().st_mode):
            return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_MAX_CONNECTING_S)
            connection.connect(str(path))
            _ask(connection, sample_rate)
            connection.setblocking(False)
            return connection.detach()
    except OSError as error:
        why = "nothing sends there" if error.errno in (errno.ECONNREFUSED, errno.ENOENT) else error.strerror or error
        raise DeviceError(f"{name}: there is no stream: {why}") from None


def _ask(connection: socket.socket, sample_rate: int) -> None:
    """Ask for a sample rate; a sender that listens to nobody may have closed its ears, or be gone already."""
    try:
        connection.sendall(request(sample_rate))
    except (BrokenPipeError, ConnectionResetError):
        return


def _begun(fd: int, clock: Clock) -> tuple[Start, bytes]:
    """Wait until a stream has begun; how, and what has been received.

    Raises:
        DeviceError: it has not, or sends nothing that can be heard.
    """
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    deadline_ns = clock.monotonic_ns() + round(_MAX_START_S * 1e9)
    received, ended = b"", False
    while not ended:
        left_ms = (deadline_ns - clock.monotonic_ns()) / 1e6
        if left_ms <= 0 or not poll.poll(left_ms):
            raise DeviceError(f"it has sent nothing for {_MAX_START_S:.0f} s")
        try:
            piece = _received(fd, 4096)
        except OSError as error:
            raise DeviceError(f"the stream has failed: {error.strerror}") from None
        received, ended = received + piece, not piece
        if (start := read_start(received, ended=ended)) is not None:
            return start, received
    raise DeviceError("it ended before its first sample")


def _received(fd: int, max_bytes: int) -> bytes:
    """Read what has come; nothing at the end."""
    try:
        return os.read(fd, max_bytes)
    except ConnectionResetError:
        return b""  # it has ended without having read what it was asked for
