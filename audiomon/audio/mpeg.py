"""How long MPEG audio (MP3) is: by its Xing or VBRI frame, or by counting frames. Never decodes.

libsndfile estimates the length of a file without such a frame from its first bitrate, stops there if the estimate is
too small, and stops at the end of the first file where several were joined. Counted frames, put into a Xing frame of
our own before them, make it read all.
"""

import re
import struct
from dataclasses import dataclass

from audiomon.audio.partial_file import FileBytes, Part

_BLOCK_BYTES = 1 << 20
# kbit/s by bitrate index 1 to 14: MPEG 1 layers I to III, then MPEG 2 and 2.5 layers I and II/III.
_KBITS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_HZ = (44_100, 48_000, 32_000)
_SYNC = re.compile(rb"\xff[\xe2-\xff]")
# An empty tag: some frames' first bytes are not enough for libsndfile to take a stream without a name for MP3.
_ID3 = b"ID3\4\0\0\0\0\0\x0a" + bytes(10)
# A frame is believed if as many follow it.
_FOLLOWING = 2
# As much as a tag between two joined files may take: a picture.
_MAX_GAP_BYTES = 16 << 20
# A Xing frame's count of bytes leaves out some encoders' tags.
_MAX_UNCOUNTED_BYTES = 4096


@dataclass(frozen=True, slots=True)
class _Frame:
    """What a frame's header says.

    Attributes:
        stream: version, layer, sample rate and channels: the same in all frames of a recording.
        length: in bytes, with its header.
        side_bytes: of its side information, for layer III.
    """

    stream: tuple[int, int, int, int]
    length: int
    side_bytes: int


def _frame(head: bytes) -> _Frame | None:
    """Read a frame's header, of 4 bytes; None if it is none, or of no stated bitrate."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version = {0: 25, 2: 2, 3: 1}.get(head[1] >> 3 & 3)
    layer = 4 - (head[1] >> 1 & 3)
    bitrate, rate_index = head[2] >> 4, head[2] >> 2 & 3
    if version is None or layer == 4 or bitrate in (0, 15) or rate_index == 3 or head[3] & 3 == 2:
        return None
    rate = _RATES_HZ[rate_index] // {1: 1, 2: 2, 25: 4}[version]
    kbits = _KBITS[1 if version == 1 else 2, layer][bitrate - 1]
    channels = 1 if head[3] >> 6 == 3 else 2
    padding = head[2] >> 1 & 1
    if layer == 1:
        length = (12_000 * kbits // rate + padding) * 4
    else:
        length = (72_000 if layer == 3 and version != 1 else 144_000) * kbits // rate + padding
    side_bytes = {(True, 1): 17, (True, 2): 32, (False, 1): 9, (False, 2): 17}[version == 1, channels]
    return _Frame((version, layer, rate, channels), length, side_bytes)


def is_frame(head: bytes) -> bool:
    """Whether 4 bytes can begin an MPEG audio frame."""
    return _frame(head[:4]) is not None


def behind_id3(file: FileBytes, at: int, end: int) -> int:
    """Return the place behind the ID3v2 tags that begin at a place; the place itself if there is none."""
    while (head := file.at(at, 10))[:3] == b"ID3" and len(head) == 10:
        length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        at += 10 + length + (10 if head[5] & 0x10 else 0)
    return min(at, end)


def parts_of(file: FileBytes, start: int, end: int) -> list[Part]:
    """Take MPEG audio apart, so that all of it is decoded, and its length is known.

    Args:
        file: that has it.
        start: place of the first frame.
        end: place behind the last one; tags before it do no harm.

    Returns:
        A part for each stretch of one sample rate and channel count. Layers I and II, and frames that do not state
        their bitrate, are not counted.
    """
    first = _frame(file.at(start, 4))
    if first is None or first.stream[1] != 3 or not _is_followed(file, start, end):
        return [_as_it_is(file, start, end, exact=False)]
    stated = _stated_end(file, start, first)
    if stated is not None:
        if stated == 0:
            stated = start + first.length
        elif _next_frame(file, stated, end) is None:
            # All is there as stated; or less is, which the decoder notices.
            return [_as_it_is(file, start, end, exact=True)]
        start += first.length
    return [
        Part(begin, finish, _xing(file.at(begin, 4), count), exact=False)
        for begin, finish, count in _stretches(file, start, end)
    ]


def _as_it_is(file: FileBytes, start: int, end: int, *, exact: bool) -> Part:
    """Return a part without a frame of ours before it; the file itself where it begins with a tag."""
    is_tagged_file = start > 0 and start == behind_id3(file, 0, file.size) and end == file.size
    return Part(start, end, b"" if is_tagged_file else _ID3, exact=exact)


def _stated_end(file: FileBytes, at: int, frame: _Frame) -> int | None:
    """Return the end that a Xing, Info or VBRI frame states; 0 if it states none, None if the frame is an ordinary one.

    Such a frame is no audio.
    """
    content = file.at(at, frame.length)
    place = 4 + frame.side_bytes
    if content[place : place + 4] in (b"Xing", b"Info"):
        flags = int.from_bytes(content[place + 4 : place + 8], "big")
        if not flags & 2:
            return 0
        behind = place + 8 + (4 if flags & 1 else 0)
        length = int.from_bytes(content[behind : behind + 4], "big")
        return at + length if length else 0
    if content[36:40] == b"VBRI":
        length = int.from_bytes(content[46:50], "big")
        return at + length if length else 0
    return None


def _next_frame(file: FileBytes, at: int, end: int) -> int | None:
    """Find the next audio behind the end that a header states; None if there is none."""
    at = behind_id3(file, at, end)
    if end - at <= _MAX_UNCOUNTED_BYTES:
        return None
    return _found(file, at, min(end, at + _MAX_GAP_BYTES), end)


def _found(file: FileBytes, at: int, limit: int, end: int) -> int | None:
    """Find the first place up to a limit where a frame is followed by others."""
    while at < limit:
        block = file.at(at, min(_BLOCK_BYTES, limit - at) + 1)
        for match in _SYNC.finditer(block):
            if _is_followed(file, at + match.start(), end):
                return at + match.start()
        if len(block) < 2:
            return None
        at += len(block) - 1
    return None


def _is_followed(file: FileBytes, at: int, end: int) -> bool:
    """Whether a frame begins here, and others of its kind follow; at the end of a file, none need to."""
    stream = None
    for _ in range(1 + _FOLLOWING):
        frame = _frame(file.at(at, 4))
        if frame is None or (stream is not None and frame.stream[:3] != stream[:3]):
            return stream is not None and at >= end - 128
        stream = frame.stream
        at += frame.length
        if at >= end:
            return True
    return True


def _stretches(file: FileBytes, at: int, end: int) -> list[tuple[int, int, int]]:
    """Count frames: where each stretch of one sample rate and channel count begins and ends, and its frames."""
    found: list[tuple[int, int, int]] = []
    known: dict[bytes, _Frame | None] = {}
    stream: tuple[int, int, int, int] | None = None
    begin, count = at, 0
    block, block_at = b"", at
    while at < end:
        place = at - block_at
        if place + 4 > len(block):
            block, block_at, place = file.at(at, _BLOCK_BYTES), at, 0
        head = block[place : place + 4]
        if head not in known:
            known[head] = _frame(head)
        frame = known[head]
        if frame is None:
            following = _found(file, at, min(end, at + _MAX_GAP_BYTES), end)
            if following is None:
                break
            at = following
            continue
        if frame.stream != stream:
            if count:
                found.append((begin, at, count))
            stream, begin, count = frame.stream, at, 0
        if at + frame.length <= end:
            count += 1
        at += frame.length
    if count:
        found.append((begin, min(at, end), count))
    return found


def _xing(head: bytes, count: int) -> bytes:
    """Make a frame that says how many frames follow; it is no audio itself.

    Args:
        head: the header of the first of them.
        count: how many.
    """
    # Without a checksum, and at a bitrate that leaves room.
    for index in range(1, 15):
        header = bytes((0xFF, head[1] | 1, index << 4 | head[2] & 0x0C, head[3]))
        frame = _frame(header)
        assert frame is not None
        tag = b"\0" * frame.side_bytes + b"Xing" + struct.pack(">II", 1, count)
        if frame.length >= 4 + len(tag):
            return _ID3 + header + tag + b"\0" * (frame.length - 4 - len(tag))
    raise OverflowError(head)
