"""Lines for people: fixed columns, a bar for the score, colour on a terminal, and the timings that fit into it."""

import contextlib
import os
from datetime import datetime
from typing import TextIO

import click

from audiomon.outputs.unwaiting import LineStream
from audiomon.pipeline.prediction import Event, Prediction, Status

_BAR_CELLS = 10
_EIGHTHS = " ▏▎▍▌▋▊▉"
_SURE = 0.8


def obeys_codes(stream: TextIO) -> bool:
    """Whether a stream is a terminal that knows colours and can be wiped."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def shows_colour(stream: TextIO) -> bool:
    """Whether a stream is a terminal that knows colours, and nobody has asked for none (https://no-color.org)."""
    return obeys_codes(stream) and not os.environ.get("NO_COLOR")


def columns_of(stream: TextIO) -> int | None:
    """Return how many characters fit into a line; None where there is no terminal, or it does not say."""
    with contextlib.suppress(OSError):
        return os.get_terminal_size(stream.fileno()).columns or None
    return None


class Terminal:
    """Writes predictions, events and statuses as readable lines.

    Args:
        stream: where to.
        colour: whether to colour.
        columns: characters that fit into a line; None for any number. Timings that do not fit are left out.
        dated: whether lines begin with the time of day; otherwise with the place in the recording.
    """

    def __init__(self, stream: LineStream, *, colour: bool, columns: int | None = None, dated: bool = True) -> None:
        self._stream = stream
        self._labels: tuple[str, ...] = ()
        self._width = 0
        self._colour = colour
        self._columns = columns
        self._dated = dated

    def prediction(self, prediction: Prediction) -> None:
        """See `Output.prediction`."""
        if prediction.labels is not self._labels:
            self._labels, self._width = prediction.labels, label_width(prediction.labels)
        bold = prediction.score >= _SURE
        when, label = self._when(prediction), f"{prediction.label[: self._width]:<{self._width}}"
        columns = len(f"{when}  {label}  0.00 ") + _BAR_CELLS
        timings = ""
        for timing in (
            f"  features {prediction.features_us:5.0f} µs",
            f"  inference {prediction.inference_us:5.0f} µs",
            f"  lag {prediction.lag_ms:4.0f} ms",
        ):
            columns += len(timing)
            if self._columns is None or columns <= self._columns:
                timings += timing
        self._write(
            f"{when}  {self._style(label, bold=bold)} {prediction.score:5.2f} "
            f"{self._style(bar(prediction.score), fg='green' if bold else 'yellow')}{timings}"
        )

    def event(self, event: Event) -> None:
        """See `Output.event`."""
        if event.state == "on":
            text = self._style(f"▶ {event.label} ({event.score:.2f})", fg="cyan", bold=True)
        else:
            text = self._style(f"■ {event.label} ended after {event.duration_s:.1f} s", fg="cyan")
        self._write(f"{self._when(event)}  {text}")

    def status(self, status: Status) -> None:
        """See `Output.status`."""
        colours = {"info": None, "warning": "yellow", "error": "red"}
        self._write(self._style(status.message, fg=colours[status.severity], bold=status.severity == "error"))

    def _when(self, what: Prediction | Event) -> str:
        return _time_of_day(what.time_ns) if self._dated else _place(what.position_s)

    def _style(self, text: str, *, fg: str | None = None, bold: bool = False) -> str:
        return click.style(text, fg=fg, bold=bold) if self._colour else text

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def label_width(labels: tuple[str, ...]) -> int:
    """Return the width of the labels' column, in characters."""
    return min(24, max(map(len, labels), default=8))


def bar(score: float, cells: int = _BAR_CELLS) -> str:
    """Draw a score from 0 to 1 as a bar, ``cells`` characters wide, to an eighth of a character."""
    eighths = round(min(1.0, max(0.0, score)) * cells * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(cells)


def _time_of_day(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9).astimezone().strftime("%H:%M:%S")


def _place(position_s: float) -> str:
    minutes, seconds = divmod(round(position_s, 2), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{seconds:05.2f}"
