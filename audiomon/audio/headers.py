"""What the header of an audio file promises, and what is really there. Never decodes.

A writer that cannot go back leaves its sizes at 0 or at a number that no file has; one that lost power, or that wrote
more than 32 bits can say, leaves sizes that are too small; some writers count the header in. libsndfile believes every
size that is not larger than the file. Here a file is taken apart into `Part`s, each with a header that is right.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from audiomon.audio import flac, mpeg, ogg
from audiomon.audio.partial_file import FileBytes, Part

# Data that are so little longer than their header says are none: padding, a writer's own bytes.
_MAX_STRAY_BYTES = 512
_MAX_STRAY_S = 0.02
# A size that counts the header, or part of it, is too large by no more than this, or by exactly the header.
_MAX_COUNTED_HEADER_BYTES = 512
# Sizes of a writer into a pipe: near a multiple of 16 MiB, from 1 GiB on. Truncated files of such a size are taken for
# streams.
_MIN_PLACEHOLDER_BYTES = (1 << 30) - (1 << 16)
_PLACEHOLDER_STEP_BYTES = 1 << 24
_PLACEHOLDER_SLACK_BYTES = 1 << 16
_UNKNOWN_32 = 0xFFFF_FFFF
# What may stand behind the chunks of a file: ID3v1, ID3v2, APE and Lyrics3 tags.
_TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")
_MAX_HEADER_BYTES = 1 << 20
_MAX_CHUNKS = 10_000
_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_TAIL = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
# AIFF-C's names of encodings whose samples have a size of their own.
_AIFF_PCM = {b"NONE", b"twos", b"sowt", b"raw ", b"in24", b"in32", b"fl32", b"FL32", b"fl64", b"FL64", b"ulaw", b"alaw"}
_WAVE_FORMAT_MPEG = (0x50, 0x55)


def parts_of(file: FileBytes) -> list[Part]:
    """Take a file apart into what a decoder can read, in order.

    Args:
        file: of any kind.

    Returns:
        At least one part; the whole file where nothing here knows better than its header.
    """
    start = mpeg.behind_id3(file, 0, file.size)
    head = file.at(start, 16)
    kind = next((kind for magic, kind in _KINDS.items() if head.startswith(magic)), None)
    if kind is None and mpeg.is_frame(head):
        kind = mpeg.parts_of
    found: list[Part] | None = None
    if kind is not None:
        try:
            found = kind(file, start, file.size)
        except (struct.error, IndexError, OverflowError):
            found = None  # the decoder says what is wrong
    if not found:
        return [Part(0, file.size)]
    if len(found) == 1 and not found[0].head and found[0].end == file.size and found[0].start == start:
        return [replace(found[0], start=0)]
    return found


@dataclass(slots=True)
class _Chunk:
    name: bytes
    at: int  # of its contents
    length: int  # of its contents, as it says


@dataclass(frozen=True, slots=True)
class _Data:
    """How long the samples are.

    Attributes:
        length: in bytes, that are there.
        missing: see `Part`.
        right: whether the header has that length.
        next_file: place of another file behind this one; None if there is none.
    """

    length: int
    missing: float | None = None
    right: bool = True
    next_file: int | None = None


def _measured(
    file: FileBytes,
    data: _Chunk,
    end: int,
    bytes_per_s: int,
    follows: Callable[[int], bool],
    magic: tuple[bytes, ...] = (),
) -> _Data:
    """Compare what a header says of its data with what is there.

    Args:
        file: that has them.
        data: their chunk.
        end: of the file.
        bytes_per_s: of the samples, about.
        follows: whether well-formed chunks, or nothing, follow from a place on to the end.
        magic: how another file of the same kind would begin.
    """
    there = end - data.at
    if data.length > there:
        too_large = data.length - there
        harmless = (
            _is_placeholder(data.length)
            or too_large <= _MAX_COUNTED_HEADER_BYTES
            or too_large in (data.at, data.at - 8)  # counts its own header
        )
        return _Data(there, None if harmless else data.length / max(1, there), there == 0)
    behind = data.at + data.length
    if there == data.length or follows(behind) or (data.length % 2 and follows(behind + 1)):
        return _Data(data.length)
    for place in (behind, behind + data.length % 2):
        if magic and file.at(place, 4) in magic:
            return _Data(data.length, right=False, next_file=place)
    wrapped = data.length + ((there - data.length) >> 32 << 32)
    if wrapped > data.length and (there - wrapped <= _MAX_STRAY_BYTES or follows(data.at + wrapped)):
        return _Data(wrapped, right=False)
    if data.length and not _is_placeholder(data.length) and _is_stray(file, behind, end, bytes_per_s):
        return _Data(data.length)
    return _Data(there, right=False)


def _is_stray(file: FileBytes, start: int, end: int, bytes_per_s: int) -> bool:
    """Whether what stands behind the data is padding or a tag, rather than sound that the header leaves out."""
    is_short = end - start <= max(_MAX_STRAY_BYTES, _MAX_STRAY_S * bytes_per_s)
    return is_short or file.at(start, 16).startswith(_TAGS) or file.is_zero(start, end)


def _is_placeholder(length: int) -> bool:
    """Whether a size is one that is written where none is known: nearly 2 or 4 GiB, -1, or sox's 0x7F000000."""
    off = length % _PLACEHOLDER_STEP_BYTES
    near = min(off, _PLACEHOLDER_STEP_BYTES - off) <= _PLACEHOLDER_SLACK_BYTES
    return length >= _MIN_PLACEHOLDER_BYTES and near


def _chunks(file: FileBytes, at: int, end: int, *, big_endian: bool, size_bytes: int = 4) -> Iterator[_Chunk]:
    """List chunks of a name of four bytes, a size and contents padded to an even size (in CAF, of 64 bits: as is)."""
    head_bytes = 4 + size_bytes
    for _ in range(_MAX_CHUNKS):
        if at + head_bytes > end:
            return
        head = file.at(at, head_bytes)
        chunk = _Chunk(head[:4], at + head_bytes, int.from_bytes(head[4:], "big" if big_endian else "little"))
        yield chunk
        at = chunk.at + chunk.length + (chunk.length % 2 if size_bytes == 4 else 0)


def _chunks_follow(file: FileBytes, end: int, *, big_endian: bool, size_bytes: int = 4) -> Callable[[int], bool]:
    """Return what says whether nothing but chunks follows from a place on."""

    def follow(at: int) -> bool:
        reached = at
        for chunk in _chunks(file, at, end, big_endian=big_endian, size_bytes=size_bytes):
            if not all(32 <= byte < 127 for byte in chunk.name) or chunk.name in (b"RIFF", b"RF64", b"FORM"):
                return False
            if chunk.name in (b"data", b"SSND"):
                return False
            reached = chunk.at + chunk.length
            if reached > end + 1:
                # Cut off, as the last chunk of a truncated file is; noise does not begin with four letters.
                return chunk.name.isalpha()
        return end - reached <= 8 and at < end

    return follow


def _wave(file: FileBytes, start: int, end: int) -> list[Part] | None:
    """Take a WAV apart: RIFF, RIFX, RF64 or BW64."""
    magic = file.at(start, 4)
    if file.at(start + 8, 4) != b"WAVE":
        return None
    big_endian = magic == b"RIFX"
    chunks: dict[bytes, _Chunk] = {}
    for chunk in _chunks(file, start + 12, end, big_endian=big_endian):
        chunks.setdefault(chunk.name, chunk)
        if chunk.name == b"data":
            break
    data, fmt = chunks.get(b"data"), chunks.get(b"fmt ")
    if data is None or fmt is None or not 14 <= fmt.length <= 1 << 16:
        return None
    if b"ds64" in chunks and data.length == _UNKNOWN_32:
        data.length = file.number(chunks[b"ds64"].at + 8, 8)
    bytes_per_s = file.number(fmt.at + 8, 4, big_endian)
    follows = _chunks_follow(file, end, big_endian=big_endian)
    measured = _measured(file, data, end, bytes_per_s, follows, (b"RIFF", b"RIFX", b"RF64", b"BW64"))
    data_end = data.at + measured.length
    if file.number(fmt.at, 2, big_endian) in _WAVE_FORMAT_MPEG and mpeg.is_frame(file.at(data.at, 4)):
        return mpeg.parts_of(file, data.at, data_end)
    if measured.right and magic != b"BW64":
        return [Part(start, end, missing=measured.missing)]
    head = _wave_head(magic, file.at(fmt.at, fmt.length), measured.length)
    if head is None:
        return None
    parts = [Part(data.at, data_end, head, measured.missing)] if measured.length else []
    if measured.next_file is not None:
        parts += _wave(file, measured.next_file, end) or [Part(measured.next_file, end)]
    return parts


def _wave_head(magic: bytes, fmt: bytes, length: int) -> bytes | None:
    """Return the header of a WAV of a given length; None for one of 4 GiB whose numbers are big-endian."""
    order = ">" if magic == b"RIFX" else "<"
    fmt_chunk = b"fmt " + struct.pack(f"{order}I", len(fmt)) + fmt + b"\0" * (len(fmt) % 2)
    if length + len(fmt_chunk) + 64 < _UNKNOWN_32:
        sizes = struct.pack(f"{order}I", 4 + len(fmt_chunk) + 8 + length), struct.pack(f"{order}I", length)
        first = b"RIFX" if magic == b"RIFX" else b"RIFF"
        return first + sizes[0] + b"WAVE" + fmt_chunk + b"data" + sizes[1]
    if magic == b"RIFX":
        return None
    ds64 = b"ds64" + struct.pack("<IQQQI", 28, 4 + 36 + len(fmt_chunk) + 8 + length, length, 0, 0)
    unknown = struct.pack("<I", _UNKNOWN_32)
    return b"RF64" + unknown + b"WAVE" + ds64 + fmt_chunk + b"data" + unknown


def _aiff(file: FileBytes, start: int, end: int) -> list[Part] | None:
    """Take an AIFF or AIFF-C apart."""
    form = file.at(start + 8, 4)
    if form not in (b"AIFF", b"AIFC"):
        return None
    common: _Chunk | None = None
    for chunk in _chunks(file, start + 12, end, big_endian=True):
        if chunk.name == b"COMM":
            common = chunk
        if chunk.name == b"SSND":
            break
    else:
        return None
    if common is None:
        return None
    channels, _, bits = struct.unpack(">HIH", file.at(common.at, 8))
    encoding = file.at(common.at + 18, 4) if form == b"AIFC" else b"NONE"
    frame_bytes = channels * ((bits + 7) // 8)
    # Its first 8 bytes are an offset and a block size.
    data = _Chunk(chunk.name, chunk.at + 8, max(0, chunk.length - 8))
    rate = _extended(file.at(common.at + 8, 10))
    follows = _chunks_follow(file, end, big_endian=True)
    measured = _measured(file, data, end, int(rate * frame_bytes), follows)
    head = bytearray(file.at(start, min(data.at - start, _MAX_HEADER_BYTES)))
    if measured.right or encoding not in _AIFF_PCM or not frame_bytes or len(head) < data.at - start:
        return [Part(start, end, missing=measured.missing)]
    struct.pack_into(">I", head, 4, min(_UNKNOWN_32, len(head) - 8 + measured.length))
    struct.pack_into(">I", head, common.at - start + 2, min(_UNKNOWN_32, measured.length // frame_bytes))
    struct.pack_into(">I", head, chunk.at - start - 4, min(_UNKNOWN_32, measured.length + 8))
    return [Part(data.at, data.at + measured.length, bytes(head), measured.missing)]


def _extended(number: bytes) -> float:
    """Read a float of 80 bits: positive, and no larger than a sample rate may be."""
    exponent, mantissa = struct.unpack(">HQ", number)
    return float(mantissa * 2.0 ** (min(exponent, 0x4040) - 16383 - 63))


def _au(file: FileBytes, start: int, end: int) -> list[Part] | None:
    """Take an AU apart: behind its samples comes nothing."""
    big_endian = file.at(start, 4) == b".snd"
    data_at, length = (file.number(start + place, 4, big_endian) for place in (4, 8))
    rate, channels = (file.number(start + place, 4, big_endian) for place in (16, 20))
    if not 24 <= data_at < _MAX_HEADER_BYTES:
        return None
    data = _Chunk(b"", start + data_at, length)
    measured = _measured(file, data, end, rate * channels, lambda at: at == end)
    if measured.right or length == _UNKNOWN_32:
        return [Part(start, end, missing=None if length == _UNKNOWN_32 else measured.missing)]
    head = bytearray(file.at(start, data_at))
    # "Unknown" is what libsndfile reads to the end of the file.
    struct.pack_into("<I", head, 8, _UNKNOWN_32)
    return [Part(data.at, end, bytes(head), measured.missing)]


def _caf(file: FileBytes, start: int, end: int) -> list[Part] | None:
    """Take a CAF apart."""
    description: _Chunk | None = None
    for chunk in _chunks(file, start + 8, end, big_endian=True, size_bytes=8):
        if chunk.name == b"desc":
            description = chunk
        if chunk.name == b"data":
            break
    else:
        return None
    if description is None:
        return None
    rate, _, _, frame_bytes, per_packet = struct.unpack(">d4sIII", file.at(description.at, 24))
    bytes_per_s = int(rate * frame_bytes / max(1, per_packet)) if 0 < rate < 1e7 else 0
    is_unknown = chunk.length >= 1 << 63
    data = _Chunk(chunk.name, chunk.at + 4, 0 if is_unknown else max(0, chunk.length - 4))  # 4: an edit count
    if is_unknown:
        measured = _Data(end - data.at, right=False)
    else:
        follows = _chunks_follow(file, end, big_endian=True, size_bytes=8)
        measured = _measured(file, data, end, bytes_per_s, follows)
    head = bytearray(file.at(start, min(data.at - start, _MAX_HEADER_BYTES)))
    if measured.right or len(head) < data.at - start:
        return [Part(start, end, missing=measured.missing)]
    struct.pack_into(">Q", head, chunk.at - start - 8, measured.length + 4)
    return [Part(data.at, data.at + measured.length, bytes(head), measured.missing)]


def _w64(file: FileBytes, start: int, end: int) -> list[Part] | None:
    """Take a Wave64 apart: names of 16 bytes, sizes of 8 that count them, contents padded to 8."""
    at = start + 40
    bytes_per_s = 0
    for _ in range(_MAX_CHUNKS):
        name, size = file.at(at, 16), file.number(at + 16, 8)
        if name[4:] != _W64_TAIL or size < 24:
            if name[:4] != b"data":
                return None
            size = 24
        if name[:4] == b"fmt ":
            bytes_per_s = file.number(at + 24 + 8, 4)
        if name[:4] == b"data":
            break
        at += (size + 7) // 8 * 8
    else:
        return None

    def follows(place: int) -> bool:
        place = start + (place - start + 7) // 8 * 8
        return place >= end or (file.at(place, 16)[4:] == _W64_TAIL and file.number(place + 16, 8) <= end - place)

    data = _Chunk(b"data", at + 24, size - 24)
    measured = _measured(file, data, end, bytes_per_s, follows)
    head = bytearray(file.at(start, min(data.at - start, _MAX_HEADER_BYTES)))
    if measured.right or len(head) < data.at - start:
        return [Part(start, end, missing=measured.missing)]
    struct.pack_into("<Q", head, 16, len(head) + measured.length)
    struct.pack_into("<Q", head, at - start + 16, 24 + measured.length)
    return [Part(data.at, data.at + measured.length, bytes(head), measured.missing)]


_KINDS: dict[bytes, Callable[[FileBytes, int, int], list[Part] | None]] = {
    b"RIFF": _wave,
    b"RIFX": _wave,
    b"RF64": _wave,
    b"BW64": _wave,
    b"FORM": _aiff,
    b".snd": _au,
    b"dns.": _au,
    b"caff": _caf,
    _W64_RIFF: _w64,
    b"OggS": ogg.parts_of,
    b"fLaC": flac.parts_of,
}
