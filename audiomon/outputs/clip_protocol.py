"""What the listener and the keeper say to each other, as typed structs that both import: one JSON object a line.

The listener offers, the keeper answers each offer before the next one comes. A clip's sound goes beside its offer, as a
file in memory that is sealed: nobody can change it any more, and its size is what it says.
"""

import array
import contextlib
import errno
import fcntl
import os
import socket
from pathlib import Path

import msgspec

# Where systemd puts the sockets: audiomon.sock is audiomon.service's, NAME.sock is audiomon@NAME.service's.
CLIPS_FOLDER = Path("/run/audiomon-clips")

PROTOCOL = 1
# A line of either side's, at most; events and bytes of a clip, at most.
MAX_LINE_BYTES = 64 << 10
MAX_EVENTS = 50
MAX_CLIP_BYTES = 16 << 20
MAX_LABEL = 200

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class OfferedEvent(msgspec.Struct, frozen=True):
    """An event that the listener heard.

    Attributes:
        label: which.
        time_ns: wall-clock time at which it turned on, nanoseconds since 1970-01-01 UTC.
        score: smoothed, when it turned on.
        duration_s: how long it was on; None if it was still on when its clip ended.
    """

    label: str
    time_ns: int
    score: float
    duration_s: float | None


class OfferedSound(msgspec.Struct, frozen=True):
    """What the file beside an offer holds: FLAC, 16 bits, one channel.

    Attributes:
        bytes: of the file.
        sample_rate: in Hz.
        samples: how many.
        position: of the first one in the listener's stream.
        began_ns: wall-clock time of it, nanoseconds since 1970-01-01 UTC.
        never_score: the highest score of a label that is never kept.
        never_label: whose that was; empty if there is none.
    """

    bytes: int
    sample_rate: int
    samples: int
    position: int
    began_ns: int
    never_score: float
    never_label: str


class Offer(msgspec.Struct, frozen=True):
    """Events, with their clip or why there is none.

    Attributes:
        protocol: `PROTOCOL` of the listener.
        instance: name of the listener among several.
        source: name of the microphone.
        model: name of the package that heard them.
        fingerprint: of that package.
        events: at least one, the first one first.
        sound: of the clip; None if there is none.
        reason: why not, as a word.
        detail: the same in a few words.
    """

    protocol: int
    instance: str
    source: str
    model: str
    fingerprint: str
    events: tuple[OfferedEvent, ...]
    sound: OfferedSound | None = None
    reason: str = ""
    detail: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What the keeper did with an offer.

    Attributes:
        kept: whether it is on disk now, whole.
        clip: what its clip is called; empty if there is none.
        reason: why it is not kept.
    """

    kept: bool
    clip: str = ""
    reason: str = ""


class Lines:
    """Reads lines of one side, with the files that come beside them; never waits longer than its socket does.

    Args:
        connection: to read from; the caller's.
        max_bytes: of a line.
    """

    def __init__(self, connection: socket.socket, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._connection = connection
        self._max_bytes = max_bytes
        self._received = bytearray()
        self._files: list[int] = []

    def receive(self) -> bool:
        """Read once; False when the other side has hung up.

        Raises:
            OSError: there is nothing to read (yet), or reading fails.
            ValueError: a line is longer than any could be.
        """
        room = socket.CMSG_SPACE(4 * array.array("i").itemsize)
        data, ancillary, _, _ = self._connection.recvmsg(MAX_LINE_BYTES, room, socket.MSG_CMSG_CLOEXEC)
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                files = array.array("i")
                files.frombytes(content[: len(content) - len(content) % files.itemsize])
                self._files += files
        self._received += data
        if len(self._received) > self._max_bytes and b"\n" not in self._received:
            raise ValueError("a line is too long")
        return bool(data)

    def take(self) -> tuple[bytes, int | None] | None:
        """Return the next whole line, and the file that came with it, which is the caller's; None if there is none."""
        end = self._received.find(b"\n")
        if end < 0:
            return None
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        files, self._files = self._files, []
        for surplus in files[1:]:
            os.close(surplus)
        return line, files[0] if files else None

    def close(self) -> None:
        """Close files that nobody took."""
        for file in self._files:
            with contextlib.suppress(OSError):
                os.close(file)
        self._files.clear()


def send(connection: socket.socket, message: msgspec.Struct, file: int | None = None) -> None:
    """Send a line, and a file beside it.

    Raises:
        OSError: the other side is gone, or does not take it in time.
    """
    line = msgspec.json.encode(message) + b"\n"
    beside = [] if file is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))]
    sent = connection.sendmsg([line], beside)
    connection.sendall(line[sent:])


def exchange(
    connection: socket.socket, message: msgspec.Struct, file: int | None = None, max_bytes: int = MAX_LINE_BYTES
) -> tuple[bytes, int | None]:
    """Send a line, and a file beside it; return the line that answers it, and its file, which is the caller's.

    Args:
        connection: with a time limit.
        message: to send.
        file: to send; the caller's.
        max_bytes: of the answer.

    Raises:
        OSError: the other side is gone, or does not answer in time.
        ValueError: its answer is too long.
    """
    send(connection, message, file)
    lines = Lines(connection, max_bytes)
    try:
        while (found := lines.take()) is None:
            if not lines.receive():
                raise ConnectionResetError(errno.ECONNRESET, "it has hung up")
        return found
    finally:
        lines.close()
