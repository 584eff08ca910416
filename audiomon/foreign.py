"""Text that others wrote, made safe to show: names in models, metadata, licences, devices, journal fields, paths.

Whatever is printed, logged or written to a status or a table and did not come from audiomon itself goes through
`shown` (one line, escaped and cut), `escaped` (one line, whole) or `csv_cell` (the same for spreadsheets, which take a
cell that begins with ``=`` for a formula). For HTML, put ``html.escape`` around `shown`. What cannot be printed becomes
a backslash escape: control characters, line ends, bidirectional overrides, invisible characters, and the bytes of a
file name that is not UTF-8 (``caf\\xe9.wav``), so that the result can be encoded. An `AudiomonError` does this by
itself. Nothing here raises, whatever it is given, and nothing takes longer or grows larger because a text is huge.
"""

import os

MAX_SHOWN = 200

_CUT = "…"
# What Excel and LibreOffice read as the start of a formula; the wide forms count in some locales.
_FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
# How Python represents a byte that is not UTF-8, in a file name or with errors="surrogateescape".
_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF


def shown(text: str | bytes | os.PathLike[str], limit: int = MAX_SHOWN) -> str:
    """Return a text as one printable line of at most ``limit`` characters, cut in the middle if it is longer.

    Args:
        text: anything; bytes are read as UTF-8.
        limit: at least 1.
    """
    whole = _as_str(text)
    if len(whole) <= limit:
        line = escaped(whole)
        if len(line) <= limit:
            return line
    end = limit // 3
    return _start_of(whole[:limit], limit - end - 1) + _CUT + _end_of(whole[-limit:], end)


def escaped(text: str | bytes | os.PathLike[str]) -> str:
    """Return a text as one printable line, uncut."""
    whole = _as_str(text)
    return whole if whole.isprintable() else "".join(map(_escape, whole))


def csv_cell(text: str | bytes | os.PathLike[str]) -> str:
    """Return a text as a cell that a spreadsheet shows and never computes; the caller's CSV writer does the quoting."""
    line = escaped(text)
    return f"'{line}" if line.startswith(_FORMULA_STARTS) else line


def _as_str(text: str | bytes | os.PathLike[str]) -> str:
    whole = os.fspath(text)
    return whole if isinstance(whole, str) else whole.decode("utf-8", "surrogateescape")


def _escape(char: str) -> str:
    if char.isprintable():
        return char
    if _FIRST_BYTE <= ord(char) <= _LAST_BYTE:
        return f"\\x{ord(char) - 0xDC00:02x}"
    return ascii(char)[1:-1]


def _start_of(text: str, room: int) -> str:
    """Return as much of the start as fits, escaped; no escape is cut in half."""
    kept = ""
    for char in text:
        piece = _escape(char)
        if len(kept) + len(piece) > room:
            break
        kept += piece
    return kept


def _end_of(text: str, room: int) -> str:
    kept = ""
    for char in reversed(text):
        piece = _escape(char)
        if len(kept) + len(piece) > room:
            break
        kept = piece + kept
    return kept
