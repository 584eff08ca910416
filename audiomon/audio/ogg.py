"""Where the streams of a chained Ogg file begin: what was recorded, or sent, one after the other. Never decodes.

libsndfile reads the first one only.
"""

from audiomon.audio.partial_file import FileBytes, Part

_BLOCK_BYTES = 1 << 20
_HEAD_BYTES = 27
_MAX_PAGE_BYTES = _HEAD_BYTES + 255 + 255 * 255
_BEGINS = 2


def parts_of(file: FileBytes, start: int, end: int) -> list[Part]:
    """Return a part for each stream of a chain.

    Streams that begin together (sound beside a picture) belong together.
    """
    begins = [start]
    at, among_begins = start, True
    block, block_at = b"", start
    while at < end:
        place = at - block_at
        if place + _HEAD_BYTES + 255 > len(block):
            block, block_at, place = file.at(at, _BLOCK_BYTES), at, 0
        if block[place : place + 4] != b"OggS" or place + _HEAD_BYTES > len(block):
            found = file.find(b"OggS", at, min(end, at + _MAX_PAGE_BYTES))
            if found < 0:
                break
            at = found
            continue
        begins_here = bool(block[place + 5] & _BEGINS)
        if begins_here and not among_begins:
            begins.append(at)
        among_begins = begins_here
        lacing = block[place + _HEAD_BYTES : place + _HEAD_BYTES + block[place + 26]]
        at += _HEAD_BYTES + len(lacing) + sum(lacing)
    ends = [*begins[1:], end]
    # A page that ends behind the file is cut off; how much is missing is unknown.
    return [
        Part(begin, finish, missing=1.0 if finish == end < at else None)
        for begin, finish in zip(begins, ends, strict=True)
    ]
