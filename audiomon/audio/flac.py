"""How long a FLAC file is whose writer could not go back to say it, and where joined ones begin. Never decodes.

libsndfile reads a file of unknown length to the end, fails there, and loses what it had just read. The last frame says
where it ends; zeros behind it are padding.
"""

import struct

from audiomon.audio.partial_file import FileBytes, Part

_MAGIC = b"fLaC\0\0\0\x22"
_STREAMINFO_AT = 8
_METADATA_LAST = 0x80
# A frame is at most this long: 65 535 samples of 8 channels of 32 bits, not compressed, is more; no encoder does it.
_MAX_FRAME_BYTES = 1 << 20
_BLOCK_SIZES = {1: 192, **{2 + n: 576 << n for n in range(4)}, **{8 + n: 256 << n for n in range(8)}}
_BLOCK_SIZE_BYTES = {6: 1, 7: 2}
_RATE_BYTES = {12: 1, 13: 2, 14: 2}
_MAX_FRAMES = (1 << 36) - 1
# What looks like a frame's header, and is none that ends where the file does; more only in a damaged file.
_MAX_TRIES = 8


def parts_of(file: FileBytes, start: int, end: int) -> list[Part]:
    """Return a part for each of several joined files; for one of unknown length, with a header that has it."""
    begins = [start]
    while (found := file.find(_MAGIC, begins[-1] + len(_MAGIC), end)) >= 0:
        begins.append(found)
    return [_part(file, begin, finish) for begin, finish in zip(begins, [*begins[1:], end], strict=True)]


def _part(file: FileBytes, start: int, end: int) -> Part:
    info = file.at(start + _STREAMINFO_AT, 34)
    total = int.from_bytes(info[13:18], "big") & _MAX_FRAMES
    if total:
        return Part(start, end)
    if file.at(max(start, end - 128), 3) == b"TAG":
        end -= 128
    begin = _first_frame(file, start, end)
    head = file.at(begin, 32)
    first, last = _span(head, info), _last_span(file, begin, file.without_zeros(begin, end), info)
    if first is not None and first[0] > 0:
        return Part(start, end, foreign=True)  # a segment of a longer recording, which libFLAC takes for damaged
    if first is None or last is None or not 0 < last[1] - first[0] <= _MAX_FRAMES:
        return Part(start, end, exact=False)
    patched = bytearray(file.at(start, _STREAMINFO_AT + 34))
    counted = int.from_bytes(info[13:18], "big") | (last[1] - first[0])
    patched[_STREAMINFO_AT + 13 : _STREAMINFO_AT + 18] = counted.to_bytes(5, "big")
    return Part(start + len(patched), end, bytes(patched))


def _first_frame(file: FileBytes, start: int, end: int) -> int:
    """Return the place behind the metadata."""
    at = start + 4
    while at < end:
        head = file.at(at, 4)
        at += 4 + int.from_bytes(head[1:], "big")
        if not head or head[0] & _METADATA_LAST:
            break
    return at


def _span(head: bytes, info: bytes) -> tuple[int, int] | None:
    """Return the sample frames at which a FLAC frame begins and ends; None if this is no frame's header."""
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return None
    variable = head[1] & 1
    size_code, rate_code = head[2] >> 4, head[2] & 15
    if size_code == 0 or rate_code == 15 or head[3] >> 4 > 10:
        return None
    number, at = _coded_number(head, 4)
    if number is None:
        return None
    size_bytes = _BLOCK_SIZE_BYTES.get(size_code, 0)
    size = _BLOCK_SIZES.get(size_code, 0) or int.from_bytes(head[at : at + size_bytes], "big") + 1
    at += size_bytes + _RATE_BYTES.get(rate_code, 0)
    if at >= len(head) or _crc8(head[:at]) != head[at]:
        return None
    # Fixed blocks are numbered by frame; the size is that of all but the last.
    block: int = struct.unpack(">H", info[:2])[0]
    begin = number if variable else number * block
    return begin, begin + size


def _coded_number(head: bytes, at: int) -> tuple[int | None, int]:
    """Read a number in the manner of UTF-8, of up to 36 bits."""
    first = head[at]
    if first < 0x80:
        return first, at + 1
    more = 7 - (first ^ 0xFF).bit_length()
    if not 1 <= more <= 6 or at + 1 + more > len(head):
        return None, at
    number = first & (0x3F >> more)
    for byte in head[at + 1 : at + 1 + more]:
        if byte & 0xC0 != 0x80:
            return None, at
        number = number << 6 | byte & 0x3F
    return number, at + 1 + more


def _last_span(file: FileBytes, begin: int, end: int, info: bytes) -> tuple[int, int] | None:
    """Return the span of the frame that ends where the file does; None if none does: the file is cut off.

    Zeros at its end may be left out: they change nothing in a checksum that is right.
    """
    longest = int.from_bytes(info[7:10], "big") or _MAX_FRAME_BYTES
    start = max(begin, end - longest)
    tail = file.at(start, end - start)
    at, tries = len(tail), _MAX_TRIES
    while tries and (at := tail.rfind(b"\xff", 0, at)) >= 0:
        span = _span(tail[at : at + 32], info)
        if span is not None:
            if _crc16(tail[at:]) == 0:
                return span
            tries -= 1
    return None


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value = _CRC8[value ^ byte]
    return value


def _crc16(data: bytes) -> int:
    value = 0
    for byte in data:
        value = (value << 8 & 0xFFFF) ^ _CRC16[value >> 8 ^ byte]
    return value


def _table(polynomial: int, bits: int) -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte << (bits - 8)
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value >> (bits - 1) else 0)) & ((1 << bits) - 1)
        table.append(value)
    return tuple(table)


_CRC8, _CRC16 = _table(0x07, 8), _table(0x8005, 16)
