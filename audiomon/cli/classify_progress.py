"""A line on the terminal that says how far ``audiomon classify`` is; out of the way of what it writes there."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from audiomon.foreign import shown
from audiomon.outputs.terminal import columns_of

_REDRAW_S = 0.2
_WIPE = "\r\033[K"
_USUAL_COLUMNS = 80


class ProgressLine:
    """The last line of a terminal.

    Args:
        stream: the terminal; None draws nothing.
        files: how many there are.
        clock: monotonic seconds.
    """

    def __init__(self, stream: TextIO | None, files: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._files = files
        self._clock = clock
        self._begun_s = clock()
        self._drawn_s = float("-inf")
        self._heard_s = 0.0
        self._line = ""

    def done(self, heard_s: float) -> None:
        """Count a file, and how much of it was heard."""
        self._heard_s += heard_s

    def show(self, number: int, path: Path, position_s: float, duration_s: float) -> None:
        """Draw how far a file is, unless it was drawn just now.

        Args:
            number: of the file, from 1.
            path: of it.
            position_s: that has been heard of it.
            duration_s: of it; 0 if unknown.
        """
        now_s = self._clock()
        if self._stream is None or now_s - self._drawn_s < _REDRAW_S:
            return
        self._drawn_s = now_s
        of = f" of {_minutes(duration_s)}" if duration_s else ""
        speed = (self._heard_s + position_s) / max(now_s - self._begun_s, 1e-3)
        head, tail = f"{number}/{self._files}  ", f"  {_minutes(position_s)}{of}  {speed:.0f} × real time"
        room = self._columns - len(head) - len(tail) - 1
        self._line = head + (shown(path.name, room) if room >= 4 else "") + tail
        self._draw()

    def above(self) -> None:
        """Wipe the line, since something is written now; `back` draws it again."""
        if self._stream is not None and self._line:
            self._stream.write(_WIPE)
            self._stream.flush()

    def back(self) -> None:
        """Draw the line again below what was written."""
        if self._line:
            self._draw()

    def end(self) -> None:
        """Wipe the line for good."""
        self.above()
        self._line = ""

    @property
    def _columns(self) -> int:
        """How many characters fit: it may have been resized."""
        return (columns_of(self._stream) if self._stream is not None else None) or _USUAL_COLUMNS

    def _draw(self) -> None:
        if self._stream is not None:
            self._stream.write(_WIPE + self._line[: self._columns - 1])
            self._stream.flush()


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
