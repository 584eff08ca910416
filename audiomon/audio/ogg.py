"""Where the streams of a chained Ogg file begin, and where bytes of it are missing. Never decodes.

libsndfile reads the first stream only, and passes over a page that is cut off without a word.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from audiomon.audio.partial_file import FileBytes, Part

_BLOCK_BYTES = 1 << 20
_HEAD_BYTES = 27
_MAX_HEAD_BYTES = _HEAD_BYTES + 255
_CHECKSUM = slice(22, 26)
_BEGINS = 2
# "OggS", the version, and three flags: in compressed sound, that comes by chance once in 30 TB.
_PAGE = re.compile(rb"OggS\0[\0-\7]")
_PAGE_BYTES = 6
_PAGE_STUBS = tuple(b"OggS\0"[:count] for count in range(1, 6))
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True, slots=True)
class _Page:
    at: int
    end: int  # where the next one begins
    begins: bool  # a stream
    cut: bool  # off, or followed by the first bytes of one that is


def parts_of(file: FileBytes, start: int, end: int) -> list[Part]:
    """Return a part for each stream of a chain.

    Streams that begin together (sound beside a picture) belong together.
    """
    parts: list[Part] = []
    begin, is_among_begins, has_page = start, True, False
    cuts: list[int] = []
    for page in _pages(file, start, end):
        # Stumps of pages in a row are one part: a few bytes each would make a list larger than the file.
        if page.begins and not is_among_begins and (has_page or not page.cut):
            parts.append(_part(begin, page.at, cuts))
            begin, cuts, has_page = page.at, [], False
        is_among_begins = page.begins and not page.cut
        has_page = has_page or not page.cut
        if page.cut:
            cuts = [*cuts[:1], page.end]
    return [*parts, _part(begin, end, cuts)]


def _part(begin: int, end: int, cuts: list[int]) -> Part:
    """Return a part that is cut off at the first and the last of some places."""
    has_end = end not in cuts
    # How much is missing is unknown.
    return Part(begin, end, missing=None if has_end else 1.0, gap=cuts[0] if cuts and cuts[0] != end else None)


def _pages(file: FileBytes, start: int, end: int) -> Iterator[_Page]:
    """List pages, also those that are cut off: what they say of their own length is then wrong."""
    window = _Window(file, end)
    at = start
    while at < end:
        block, place = window.at(at, _MAX_HEAD_BYTES)
        if not _PAGE.match(block, place):
            at = window.next_page(at + 1)
            continue
        segments = block[place + _HEAD_BYTES - 1] if place + _HEAD_BYTES <= len(block) else 0
        lacing = block[place + _HEAD_BYTES : place + _HEAD_BYTES + segments]
        length = _HEAD_BYTES + segments + sum(lacing)
        begins = bool(block[place + 5] & _BEGINS)
        block, place = window.at(at, length + _PAGE_BYTES)
        inner = _PAGE.search(block, place + 1, place + length + _PAGE_BYTES - 1)
        if inner is not None:
            following, cut = at + inner.start() - place, True
        elif at + length >= end:
            following, cut = end, at + length > end
        elif _PAGE.match(block, place + length):
            following, cut = at + length, False
        else:
            following = window.next_page(at + length)
            between = file.at(at + length, min(following - at - length, _PAGE_BYTES))
            cut = between in _PAGE_STUBS or not _is_whole(block[place : place + length])
        yield _Page(at, following, begins, cut)
        at = following


def _is_whole(page: bytes) -> bool:
    """Whether a page's checksum is right: that of zlib, with the bits of each byte in the opposite order."""
    said = int.from_bytes(page[_CHECKSUM], "little")
    unsigned = page[: _CHECKSUM.start] + bytes(4) + page[_CHECKSUM.stop :]
    value = zlib.crc32(unsigned.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{value:032b}"[::-1], 2) == said


class _Window:
    """A block of the file that moves forward, so that no byte is read often."""

    def __init__(self, file: FileBytes, end: int) -> None:
        self._file = file
        self._end = end
        self._block = b""
        self._block_at = 0

    def at(self, place: int, count: int) -> tuple[bytes, int]:
        """Return a block that has ``count`` bytes from a place on, or all there are, and where in it they begin."""
        if place < self._block_at or min(place + count, self._end) > self._block_at + len(self._block):
            self._block = self._file.at(place, min(_BLOCK_BYTES, self._end - place))
            self._block_at = place
        return self._block, place - self._block_at

    def next_page(self, at: int) -> int:
        """Return where the next page begins; the end if there is none."""
        while at < self._end:
            block, place = self.at(at, _PAGE_BYTES)
            found = _PAGE.search(block, place)
            if found is not None:
                return at + found.start() - place
            at = max(at + 1, at + len(block) - place - _PAGE_BYTES + 1)
        return self._end
