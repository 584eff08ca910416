"""What an audio file's header promises, and whether it may be believed.

libsndfile shortens a truncated file without a word, except in its log; and it finds no samples in a WAV whose writer
could not go back to fill in the size. Nothing here decodes.
"""

import io
import re
from pathlib import Path
from typing import Any

# `data : 44100 (should be 22028)`: bytes promised and bytes there, by WAV, AIFF, AU, W64 and RF64 in this order.
_SHORTER_THAN_PROMISED = re.compile(r"^ *(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)", re.M)
_CUT_OGG_PAGE = "Ogg: Junk after the last page."
# A writer into a pipe cannot know the size and puts the largest there is, less some bytes of header. Truncated files
# of that very size, 2 or 4 GiB, are taken for such streams.
_UNKNOWN_SIZES = (range(0x7FFF_0000, 0x8001_0000), range(0xFFFF_0000, 0x1_0000_0000))
_UNKNOWN_SIZE = b"\xff\xff\xff\xff"


def missing_part(log: str) -> float | None:
    """Return how many times as long as what is there the file should be, or None if nothing shows that it is cut off.

    Args:
        log: libsndfile's, `soundfile.SoundFile.extra_info`.

    Returns:
        Above 1; 1 if only that something is missing is known, not how much.
    """
    if _CUT_OGG_PAGE in log:
        return 1.0
    found = _SHORTER_THAN_PROMISED.search(log)
    if found is None:
        return None
    promised, there = int(found[1]), int(found[2])
    if promised <= there or any(promised in sizes for sizes in _UNKNOWN_SIZES):
        return None
    return promised / max(1, there)


class UnsizedWav(io.FileIO):
    """A WAV whose data size was left at 0, read as if it said "unknown", which libsndfile understands.

    Args:
        path: the file.
        size_at: byte offset of that size, from `zero_data_size`.
    """

    def __init__(self, path: Path, size_at: int) -> None:
        super().__init__(path)
        self._size_at = size_at

    def readinto(self, buffer: Any) -> int:
        """Read bytes, with the size's four replaced."""
        start = self.tell()
        count = super().readinto(buffer) or 0
        view = memoryview(buffer)
        for offset, byte in enumerate(_UNKNOWN_SIZE, self._size_at - start):
            if 0 <= offset < count:
                view[offset : offset + 1] = bytes((byte,))
        return count


def zero_data_size(path: Path) -> int | None:
    """Return where a WAV says that it has no data although bytes follow, or None for every other file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        at = 12
        while at + 8 < size:
            file.seek(at)
            name, length = file.read(4), int.from_bytes(file.read(4), "little")
            if name == b"data":
                return at + 4 if length == 0 else None
            at += 8 + length + length % 2
    return None
