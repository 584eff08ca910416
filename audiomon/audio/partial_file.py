"""Part of a file as a file of its own, behind a header that says how long it really is. Never writes, never decodes."""

import io
import os
from dataclasses import dataclass
from typing import Any

_BLOCK_BYTES = 1 << 20


class FileBytes:
    """The bytes of an open file, by their place.

    Args:
        fd: its descriptor; stays the caller's.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.size = os.fstat(fd).st_size

    def at(self, place: int, count: int) -> bytes:
        """Return up to ``count`` bytes from a place on; fewer only at the end of the file."""
        pieces = []
        while count > 0 and (piece := os.pread(self.fd, min(count, 1 << 30), place)):
            pieces.append(piece)
            place += len(piece)
            count -= len(piece)
        return b"".join(pieces)

    def number(self, place: int, count: int, big_endian: bool = False) -> int:
        """Return an unsigned number of ``count`` bytes."""
        return int.from_bytes(self.at(place, count), "big" if big_endian else "little")

    def find(self, pattern: bytes, start: int, end: int) -> int:
        """Return the place of the first ``pattern`` that lies wholly between two places; -1 if there is none."""
        while start < end:
            block = self.at(start, min(_BLOCK_BYTES, end - start))
            found = block.find(pattern)
            if found >= 0:
                return start + found
            if len(block) < _BLOCK_BYTES:
                return -1
            start += len(block) - len(pattern) + 1
        return -1

    def is_zero(self, start: int, end: int) -> bool:
        """Whether nothing but zeros lies between two places."""
        return self.without_zeros(start, end) == start

    def without_zeros(self, start: int, end: int) -> int:
        """Return the place behind the last byte between two places that is not 0; the first place if all are 0."""
        while start < end:
            block_at = max(start, end - _BLOCK_BYTES)
            kept = self.at(block_at, end - block_at).rstrip(b"\0")
            if kept:
                return block_at + len(kept)
            end = block_at
        return start


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a file that a decoder can read by itself.

    Attributes:
        start: place of its first byte.
        end: place behind its last byte.
        head: bytes to be read before those; empty where the file's own header is right.
        missing: how many times as long as what is there its header says it is: above 1 if the file is cut off, 1 if
            that is known and how much is missing is not; None if it is whole.
        gap: place in the file before which bytes in the middle of the part are missing; None if none are.
        exact: whether the number of sample frames that a decoder finds in its header is a promise; None if it is one
            unless it is the decoder's own estimate (MPEG).
        foreign: whether libsndfile cannot read it, although it is sound.
    """

    start: int
    end: int
    head: bytes = b""
    missing: float | None = None
    gap: int | None = None
    exact: bool | None = None
    foreign: bool = False


class PartialFile(io.RawIOBase):
    """A part of a file, for a decoder.

    Args:
        fd: descriptor of the file; duplicated, and the duplicate closed with this.
        part: which.
    """

    def __init__(self, fd: int, part: Part) -> None:
        super().__init__()
        self._fd = os.dup(fd)
        self._part = part
        self._at = 0
        self._size = len(part.head) + part.end - part.start

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; see `io.IOBase.seek`."""
        self._at = max(0, offset + (0 if whence == os.SEEK_SET else self._at if whence == os.SEEK_CUR else self._size))
        return self._at

    def tell(self) -> int:
        """Return the place that is read next."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; see `io.RawIOBase.readinto`."""
        view = memoryview(buffer).cast("B")[: max(0, self._size - self._at)]
        done = 0
        while done < len(view):
            behind = self._at - len(self._part.head)
            if behind < 0:
                piece = self._part.head[behind:][: len(view) - done]
                view[done : done + len(piece)] = piece
                count = len(piece)
            else:
                count = os.preadv(self._fd, [view[done:]], self._part.start + behind)
            if not count:
                break
            done += count
            self._at += count
        return done

    def close(self) -> None:
        """Close it."""
        if not self.closed:
            os.close(self._fd)
        super().close()
