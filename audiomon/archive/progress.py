"""How far an archive is: files, hours of sound, bad files, rate, time left; one line, rewritten on a terminal."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TextIO

# Where nobody watches, a line this often is enough for a log.
_LOGGED_EVERY_S = 60.0


@dataclass(slots=True)
class Progress:
    """Counts what is done, and writes it down.

    Attributes:
        files: to be done.
        total_bytes: of them; time is left in proportion to these.
        stream: where to write.
        watched: whether that is a terminal.
        clock: monotonic seconds.
    """

    files: int
    total_bytes: int
    stream: TextIO
    watched: bool
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    bad: int = 0
    audio_s: float = 0.0
    _bytes: int = 0
    _began_s: float = field(init=False)
    _written_s: float = field(init=False)
    _shown: int = 0

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Count time from now."""
        self._began_s = self._written_s = self.clock()

    def add(self, counts: dict[str, Any]) -> None:
        """Take in what a part had to count."""
        self.done += counts["files"]
        self.bad += counts["bad"]
        self.audio_s += counts["audio_s"]
        self._bytes += counts["bytes"]
        if self.watched:
            self._show(self.line())
        elif self.clock() - self._written_s >= _LOGGED_EVERY_S:
            self._written_s = self.clock()
            self.stream.write(self.line() + "\n")
            self.stream.flush()

    def line(self) -> str:
        """Return how far it is."""
        elapsed_s = max(self.clock() - self._began_s, 1e-3)
        text = f"{self.done} of {self.files} files, {self.audio_s / 3600:.1f} h, {self.bad} bad"
        text += f", {self.done / elapsed_s:.1f} files/s, {self.audio_s / elapsed_s:.0f} × real time"
        if 0 < self._bytes < self.total_bytes:
            text += f", {_clock(elapsed_s * (self.total_bytes - self._bytes) / self._bytes)} left"
        return text

    def say(self, message: str) -> None:
        """Write a line of its own."""
        self.clear()
        self.stream.write(message + "\n")
        self.stream.flush()

    def clear(self) -> None:
        """Leave an empty line on the terminal."""
        if self._shown:
            self._show("")
            self.stream.write("\r")
            self._shown = 0

    def _show(self, text: str) -> None:
        self.stream.write("\r" + text.ljust(self._shown))
        self.stream.flush()
        self._shown = len(text)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
