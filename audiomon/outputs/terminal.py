"""Lines for people: fixed columns, a bar for the score, colour on a terminal."""

from datetime import datetime
from typing import TextIO

import click

from audiomon.pipeline.prediction import Event, Prediction, Status

_BAR_CELLS = 10
_EIGHTHS = " ▏▎▍▌▋▊▉"
_SURE = 0.8


class Terminal:
    """Writes predictions, events and statuses as readable lines.

    Args:
        stream: where to.
        labels: that will come; sets the width of their column.
        colour: whether to colour.
    """

    def __init__(self, stream: TextIO, labels: tuple[str, ...], *, colour: bool) -> None:
        self._stream = stream
        self._labels = labels
        self._width = label_width(labels)
        self._colour = colour

    def prediction(self, prediction: Prediction) -> None:
        """See `Output.prediction`."""
        if prediction.labels is not self._labels:
            self._labels, self._width = prediction.labels, label_width(prediction.labels)
        bold = prediction.score >= _SURE
        label = self._style(f"{prediction.label[: self._width]:<{self._width}}", bold=bold)
        self._write(
            f"{_clock(prediction.time_ns)}  {label} {prediction.score:5.2f} "
            f"{self._style(bar(prediction.score), fg='green' if bold else 'yellow')}  "
            f"features {prediction.features_us:5.0f} µs  inference {prediction.inference_us:5.0f} µs  "
            f"lag {prediction.lag_ms:4.0f} ms"
        )

    def event(self, event: Event) -> None:
        """See `Output.event`."""
        if event.state == "on":
            text = self._style(f"▶ {event.label} ({event.score:.2f})", fg="cyan", bold=True)
        else:
            text = self._style(f"■ {event.label} ended after {event.duration_s:.1f} s", fg="cyan")
        self._write(f"{_clock(event.time_ns)}  {text}")

    def status(self, status: Status) -> None:
        """See `Output.status`."""
        colours = {"info": None, "warning": "yellow", "error": "red"}
        self._write(self._style(status.message, fg=colours[status.severity], bold=status.severity == "error"))

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


def _clock(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9).astimezone().strftime("%H:%M:%S")
