"""Standard output and error as they are found: closed, full, or of an encoding that lacks what audiomon writes."""

import codecs
import contextlib
import os
import sys
from typing import TextIO

# What stands for signs that an encoding lacks, where something does.
_INSTEAD = {
    **{ord(sign): "#" for sign in "█▉▊▋▌■"},
    **{ord(sign): "=" for sign in "▍▎▏"},
    ord("…"): "...",
    ord("→"): "->",
    ord("▶"): ">",
    ord("µ"): "u",
    ord("×"): "x",
    ord("–"): "-",
    ord("≥"): ">=",
    ord("≤"): "<=",
    ord("±"): "+/-",
    ord("½"): "1/2",
    ord("·"): ".",
}
_HANDLER = "audiomon-instead"


def _instead(error: UnicodeError) -> tuple[str, int]:
    """Stand in for what cannot be encoded: a sign like it, or its number; bytes of a name that is not UTF-8 as such."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    pieces = []
    for char in error.object[error.start : error.end]:
        number = ord(char)
        if 0xDC80 <= number <= 0xDCFF:
            pieces.append(f"\\x{number - 0xDC00:02x}")
        else:
            pieces.append(_INSTEAD.get(number) or ascii(char)[1:-1])
    return "".join(pieces), error.end


def open_streams() -> None:
    """Make standard output and error take everything: closed ones discard it, and signs they lack are replaced."""
    codecs.register_error(_HANDLER, _instead)
    for name in ("stdout", "stderr"):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # for as long as this process
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_HANDLER)


def discard_output() -> None:
    """Throw away what standard output still holds: there is no room for it, or no reader."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def say(line: str) -> None:
    """Write a line to standard error, if that takes it."""
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
