"""What ``audiomon classify`` writes of each recording: windows, spans of one label, or events, in several forms.

Rows are made as predictions come; nothing is kept but what the next row needs.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from audiomon.config import DecisionRules
from audiomon.foreign import csv_cell, escaped
from audiomon.outputs.json_lines import prediction_fields
from audiomon.outputs.terminal import bar
from audiomon.pipeline.listener import Heard
from audiomon.pipeline.prediction import Event, Prediction

Form = Literal["text", "json", "csv", "audacity", "raven"]

_RAVEN_COLUMNS = (
    *("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)"),
    *("Begin Path", "File Offset (s)", "Label", "Score"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write.

    Attributes:
        form: of a row.
        events: whether rows are events: from where a label turns on to where it turns off again. Audacity's and Raven's
            always are.
        scores: of a JSON line at most.
        min_score: below which a window, or an event, is left out.
        labels: of the model.
        rules: when scores become events.
        window_s: of the model.
        sample_rate: of the model, in Hz.
        fingerprint: of the model, which its name alone does not tell.
    """

    form: Form
    events: bool
    scores: int
    min_score: float
    labels: tuple[str, ...]
    rules: DecisionRules
    window_s: float
    sample_rate: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An event from beginning to end.

    Attributes:
        label: that was on.
        begin_s: where its score first crossed the threshold: the beginning of that window, in seconds.
        end_s: where its score fell below the threshold, or the recording ended.
        score: the highest in between, from 0 to 1.
    """

    label: str
    begin_s: float
    end_s: float
    score: float


class Rows(Protocol):
    """Makes rows of what is heard in one recording."""

    def heard(self, heard: Heard) -> Iterable[str | Occurrence]:
        """Return the rows that are complete with one more window."""
        ...

    def ended(self, last_events: Iterable[Event]) -> Iterable[str | Occurrence]:
        """Return the rows that the end of the recording completes."""
        ...


def rows_of(path: Path, plan: Plan) -> Rows:
    """Return what makes a recording's rows."""
    if plan.events:
        return _Events(plan)
    if plan.form == "text":
        return _Spans(plan)
    return _Windows(path, plan)


class _Windows:
    """One row for each window."""

    def __init__(self, path: Path, plan: Plan) -> None:
        self._path = path
        self._plan = plan

    def heard(self, heard: Heard) -> Iterator[str]:
        """See `Rows.heard`."""
        prediction = heard.prediction
        if prediction is None or prediction.score < self._plan.min_score:
            return
        if self._plan.form == "json":
            yield json_line(
                {
                    "type": "prediction",
                    "file": file_name(self._path),
                    **prediction_fields(prediction, self._plan.scores),
                    "model_sha256": self._plan.fingerprint,
                }
            )
        else:
            scores = (f"{score:.9g}" for score in prediction.scores)
            head = [csv_cell(self._path), f"{prediction.position_s:.6f}", csv_cell(prediction.label)]
            yield csv_row([*head, f"{prediction.score:.9g}", *scores])

    def ended(self, last_events: Iterable[Event]) -> Iterable[str]:  # noqa: ARG002  # the protocol's signature
        """See `Rows.ended`."""
        return ()


class _Spans:
    """Neighbours of one label joined: from the first window's beginning to the last one's end, with the mean score."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._label = ""
        self._begin_s = self._end_s = self._sum = 0.0
        self._count = 0

    def heard(self, heard: Heard) -> Iterator[str]:
        """See `Rows.heard`."""
        prediction = heard.prediction
        if prediction is None:
            return
        wanted = prediction.score >= self._plan.min_score
        if not wanted or prediction.label != self._label:
            yield from self._span()
        if wanted:
            self._add(prediction)

    def ended(self, last_events: Iterable[Event]) -> Iterator[str]:  # noqa: ARG002  # the protocol's signature
        """See `Rows.ended`."""
        yield from self._span()

    def _add(self, prediction: Prediction) -> None:
        if not self._count:
            self._label = prediction.label
            self._begin_s = max(0.0, prediction.position_s - self._plan.window_s)
        self._end_s = prediction.position_s
        self._sum += prediction.score
        self._count += 1

    def _span(self) -> Iterator[str]:
        if self._count:
            yield text_line(Occurrence(self._label, self._begin_s, self._end_s, self._sum / self._count))
        self._count, self._sum = 0, 0.0


class _Events:
    """One row for each event, when it is over."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._places = {label: place for place, label in enumerate(plan.labels)}
        self._on: dict[str, tuple[float, float]] = {}  # label -> its beginning and the highest score so far

    def heard(self, heard: Heard) -> Iterator[Occurrence]:
        """See `Rows.heard`."""
        yield from self._changes(heard.events)
        prediction = heard.prediction
        if prediction is not None:
            for label, (begin_s, highest) in self._on.items():
                score = float(prediction.scores[self._places[label]])
                if score > highest:
                    self._on[label] = begin_s, score

    def ended(self, last_events: Iterable[Event]) -> Iterator[Occurrence]:
        """See `Rows.ended`."""
        yield from self._changes(last_events, held=False)

    def _changes(self, events: Iterable[Event], *, held: bool = True) -> Iterator[Occurrence]:
        for event in events:
            threshold = self._plan.rules.thresholds[event.label]
            if event.state == "on":
                begin_s = event.position_s - threshold.min_on_s - self._plan.window_s
                self._on[event.label] = max(0.0, begin_s), event.score
            elif event.label in self._on:
                begin_s, score = self._on.pop(event.label)
                end_s = event.position_s - (threshold.min_off_s if held else 0.0)
                if score >= self._plan.min_score:
                    yield Occurrence(event.label, begin_s, end_s, score)


class Table:
    """Turns rows into lines, and knows what stands above and between them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._number = 0
        self._before_s = 0.0  # all recordings before this one

    def head(self) -> str:
        """Return what the table begins with."""
        if self._plan.form == "raven":
            return "\t".join(_RAVEN_COLUMNS) + "\n"
        if self._plan.form != "csv":
            return ""
        if self._plan.events:
            return csv_row(["file", "begin_s", "end_s", "label", "score"])
        return csv_row(["file", "position_s", "label", "score", *map(csv_cell, self._plan.labels)])

    def begin(self, path: Path) -> str:
        """Return what stands above a recording's rows."""
        return f"{escaped(path)}\n" if self._plan.form == "text" else ""

    def end(self, duration_s: float) -> None:
        """Take note of how long a recording was: Raven counts on from one file to the next."""
        self._before_s += duration_s

    def line(self, path: Path, row: str | Occurrence) -> str:
        """Return the line of a row."""
        if isinstance(row, str):
            return row
        match self._plan.form:
            case "text":
                return text_line(row)
            case "json":
                return json_line(
                    {
                        "type": "event",
                        "model_sha256": self._plan.fingerprint,
                        "file": file_name(path),
                        "label": row.label,
                        "begin_s": round(row.begin_s, 6),
                        "end_s": round(row.end_s, 6),
                        "score": float(f"{row.score:.9g}"),
                    }
                )
            case "csv":
                times = f"{row.begin_s:.6f}", f"{row.end_s:.6f}"
                return csv_row([csv_cell(path), *times, csv_cell(row.label), f"{row.score:.9g}"])
            case "audacity":
                return f"{row.begin_s:.6f}\t{row.end_s:.6f}\t{escaped(row.label)} {row.score:.2f}\n"
            case "raven":
                return self._raven(path, row)

    def _raven(self, path: Path, row: Occurrence) -> str:
        self._number += 1
        begin, end = (f"{self._before_s + time_s:.6f}" for time_s in (row.begin_s, row.end_s))
        cells = [str(self._number), "Spectrogram 1", "1", begin, end, "0", str(self._plan.sample_rate // 2)]
        return "\t".join([*cells, csv_cell(path), f"{row.begin_s:.6f}", csv_cell(row.label), f"{row.score:.4f}"]) + "\n"


def text_line(span: Occurrence) -> str:
    """Write a span or event for people."""
    label = f"{escaped(span.label):<16}"
    return f"  {span.begin_s:8.2f} - {span.end_s:8.2f} s  {label} {span.score:.2f} {bar(span.score)}\n"


def json_line(fields: dict[str, Any]) -> str:
    """Write one JSON object."""
    return msgspec.json.encode(fields).decode() + "\n"


def csv_row(cells: list[str]) -> str:
    """Write one row."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def file_name(path: Path) -> str:
    """Return a path as it is, or escaped where JSON cannot hold it: names need not be UTF-8."""
    name = str(path)
    try:
        name.encode()
    except UnicodeEncodeError:
        return escaped(path)
    return name
