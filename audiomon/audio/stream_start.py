"""How a stream begins: what its listener asks for, and what its sender may say before the first sample.

A listener that connects to a socket writes one line, `rate 22050`; a sender that can choose its rate takes that one.
What comes back is raw samples; or a WAV header, which tells their rate and channels, and then samples; or a line that
says why there are none. Nothing here reads or writes.
"""

import re
import struct
from pathlib import Path

import msgspec

from audiomon.errors import DeviceError

# Where senders have their sockets and FIFOs, by name.
FOLDER = Path("/run/audiomon-source")
MAX_REQUEST_BYTES = 32
MIN_RATE, MAX_RATE = 1000, 192_000

_REQUEST = re.compile(rb"rate (\d{4,6})\n")
# Raw samples that begin like this are as rare as a number of 136 bits.
_REFUSAL = b"audiomon-source: "
_MAX_REFUSAL_BYTES = 500
# Programs write 44 to some hundred bytes.
_MAX_HEADER_BYTES = 4096
_PCM, _EXTENSIBLE = 1, 0xFFFE
_SAMPLE_BITS = 16


class Start(msgspec.Struct, frozen=True):
    """What is known of a stream once it has begun.

    Attributes:
        sample_rate: in Hz; None if it did not tell.
        channels: interleaved.
        header_bytes: before the first sample.
    """

    sample_rate: int | None = None
    channels: int = 1
    header_bytes: int = 0


def request(sample_rate: int) -> bytes:
    """Return what a listener writes who wants a sample rate, in Hz."""
    return f"rate {sample_rate}\n".encode()


def requested_rate(line: bytes) -> int | None:
    """Return the sample rate that a listener asks for, in Hz; None if that is no such request."""
    match = _REQUEST.fullmatch(line)
    rate = int(match[1]) if match else 0
    return rate if MIN_RATE <= rate <= MAX_RATE else None


def refusal(reason: str) -> bytes:
    """Return what a sender writes that has no samples to send."""
    return _REFUSAL + reason.encode(errors="replace")[: _MAX_REFUSAL_BYTES - len(_REFUSAL) - 1] + b"\n"


def read_start(received: bytes, *, ended: bool) -> Start | None:
    """Read how a stream begins.

    Args:
        received: its first bytes.
        ended: whether no more will come.

    Returns:
        None if that takes more bytes.

    Raises:
        DeviceError: it sends no samples, or none that can be heard.
    """
    for beginning, read in ((b"RIFF", _wav_start), (_REFUSAL, _refused)):
        if received.startswith(beginning):
            return read(received, ended)
        if beginning.startswith(received) and not ended:
            return None
    if not received:
        raise DeviceError("it ended before its first sample")
    return Start()


def _refused(received: bytes, ended: bool) -> None:
    if b"\n" in received or ended or len(received) >= _MAX_REFUSAL_BYTES:
        raise DeviceError(received.removeprefix(_REFUSAL).partition(b"\n")[0].decode(errors="replace"))


def _wav_start(received: bytes, ended: bool) -> Start | None:
    found = None
    at = 12
    while len(received) >= at + 8:
        kind, size = struct.unpack_from("<4sI", received, at)
        at += 8
        if received[8:12] != b"WAVE" or (kind == b"data" and found is None):
            break
        if kind == b"data":
            return Start(*found, header_bytes=at) if found else None
        if kind == b"fmt " and len(received) >= at + min(size, 40):
            found = _wav_format(received[at : at + size])
        at += size + size % 2
        if at > _MAX_HEADER_BYTES:
            break
    else:
        if not ended:
            return None
    raise DeviceError("it begins with a damaged WAV header")


def _wav_format(described: bytes) -> tuple[int, int]:
    if len(described) < 16:
        raise DeviceError("it begins with a damaged WAV header")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", described)
    if tag == _EXTENSIBLE and len(described) >= 26:
        tag = struct.unpack_from("<H", described, 24)[0]
    if tag != _PCM or bits != _SAMPLE_BITS:
        raise DeviceError(f"it sends WAV of format {tag} with {bits} bits; 16-bit PCM is wanted")
    if not (1 <= channels <= 64 and MIN_RATE <= rate <= MAX_RATE):
        raise DeviceError(f"it sends {channels} channels at {rate} Hz, which cannot be")
    return rate, channels
