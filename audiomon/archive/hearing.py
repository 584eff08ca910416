"""One recording: its rows, and what is to be said of it as a file. Writes nothing."""

import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from audiomon.archive.schema import Run, Status
from audiomon.archive.store import Entry, Store
from audiomon.audio.file import FileSource
from audiomon.clock import SystemClock
from audiomon.config import DecisionRules
from audiomon.errors import InputError, ModelError
from audiomon.models.classifier import Classifier
from audiomon.pipeline.listener import Heard, Listener
from audiomon.pipeline.prediction import Event


class FileHeard(msgspec.Struct):
    """What became of one recording.

    Attributes:
        starts_s, ends_s, ranks, labels, scores: columns of its rows, as bytes: float64, float64, int16, int32 (numbers
            of the model's labels) and float32.
        status: see `Status`.
        error: what is wrong with it; None if nothing is.
        heard_s: how far it was heard.
        windows: that were classified.
        cpu_s: what it cost.
        duration_s, sample_rate, channels: as its header says; None if it could not be read.
    """

    starts_s: bytes = b""
    ends_s: bytes = b""
    ranks: bytes = b""
    labels: bytes = b""
    scores: bytes = b""
    status: Status = "ok"
    error: str | None = None
    heard_s: float = 0.0
    windows: int = 0
    cpu_s: float = 0.0
    duration_s: float | None = None
    sample_rate: int | None = None
    channels: int | None = None


@dataclass(frozen=True, slots=True)
class Hearing:
    """A loaded model, and how to listen with it.

    Attributes:
        run: what rows are wanted.
        classifier: loaded and warmed.
        rules: when scores become events.
    """

    run: Run
    classifier: Classifier
    rules: DecisionRules

    def hear(self, root: Store, entry: Entry) -> FileHeard:
        """Classify a recording.

        Raises:
            OSError: it could not be fetched, for no fault of its own.
        """
        began_s = time.process_time()
        name, size, mtime_ns = entry
        try:
            with root.spooled(name) as path:
                if (problem := _changed(path, size, mtime_ns if root.local else None)) is not None:
                    heard = FileHeard(status="refused", error=f"{name}: {problem}")
                else:
                    heard = self._hear(path, name)
        except FileNotFoundError:
            heard = FileHeard(status="refused", error=f"{name}: no such file")
        heard.cpu_s = time.process_time() - began_s
        return heard

    def _hear(self, path: Path, name: str) -> FileHeard:
        heard = FileHeard()
        rows = _Rows()
        try:
            source = FileSource(path)
            heard.duration_s, heard.sample_rate, heard.channels = source.duration_s, source.sample_rate, source.channels
            listener = Listener(
                source,
                self.classifier,
                self.rules,
                hop_s=self.run.hop_s,
                channel=self.run.channel,
                clock=SystemClock(),
            )
            add = self._adder(rows)
            while not listener.ended:
                one = listener.next()
                if one is not None and one.prediction is not None:
                    heard.windows += 1
                    heard.heard_s = one.prediction.position_s
                    add(one)
            if not heard.windows:
                window_s = self.classifier.spec.window_s
                raise InputError(f"{path}: {source.duration_s:.3f} s is less than one window of {window_s:.3f} s")
            for event in listener.switch_off():
                rows.off(event, self.classifier.labels)
        except (InputError, ModelError) as error:
            heard.status = "damaged" if heard.windows else "refused"
            heard.error = _in_unicode(str(error).replace(_in_unicode(str(path)), name))
            rows.close(heard.heard_s)
        rows.into(heard)
        return heard

    def _adder(self, rows: "_Rows") -> Callable[[Heard], None]:
        window_s, run, labels = self.classifier.spec.window_s, self.run, self.classifier.labels

        def window(heard: Heard) -> None:
            prediction = heard.prediction
            assert prediction is not None
            scores, end_s = prediction.scores, prediction.position_s
            start_s = max(0.0, end_s - window_s)
            best = int(scores.argmax())
            rows.add(start_s, end_s, 0, best, prediction.score)
            if run.scores > 1:
                others = [index for index in prediction.highest(run.scores) if index != best][: run.scores - 1]
                for rank, index in enumerate(others, 1):
                    if scores[index] < run.min_score:
                        break
                    rows.add(start_s, end_s, rank, index, float(scores[index]))

        def events(heard: Heard) -> None:
            prediction = heard.prediction
            assert prediction is not None
            for event in heard.events:
                if event.state == "on":
                    rows.on(labels.index(event.label), max(0.0, event.position_s - window_s))
                else:
                    rows.off(event, labels)
            for index in rows.open:
                rows.open[index][1] = max(rows.open[index][1], float(prediction.scores[index]))

        return window if run.rows == "windows" else events


class _Rows:
    """Columns that grow by a row, without an object for each."""

    def __init__(self) -> None:
        self.starts_s, self.ends_s, self.ranks = array("d"), array("d"), array("h")
        self.labels, self.scores = array("i"), array("f")
        # Labels that are on: since when, and the highest score that a window has given each.
        self.open: dict[int, list[float]] = {}

    def add(self, start_s: float, end_s: float, rank: int, label: int, score: float) -> None:
        self.starts_s.append(start_s)
        self.ends_s.append(end_s)
        self.ranks.append(rank)
        self.labels.append(label)
        self.scores.append(score)

    def on(self, label: int, start_s: float) -> None:
        self.open[label] = [start_s, 0.0]

    def off(self, event: Event, labels: tuple[str, ...]) -> None:
        label = labels.index(event.label)
        if label in self.open:
            start_s, score = self.open.pop(label)
            self.add(start_s, event.position_s, 0, label, score)

    def close(self, end_s: float) -> None:
        """End what is on where the recording does."""
        for label, (start_s, score) in self.open.items():
            self.add(start_s, end_s, 0, label, score)
        self.open.clear()

    def into(self, heard: FileHeard) -> None:
        heard.starts_s, heard.ends_s, heard.ranks = (
            self.starts_s.tobytes(),
            self.ends_s.tobytes(),
            self.ranks.tobytes(),
        )
        heard.labels, heard.scores = self.labels.tobytes(), self.scores.tobytes()


def _changed(path: Path, size: int, mtime_ns: int | None) -> str | None:
    details = path.stat()
    if details.st_size == size and mtime_ns in (None, details.st_mtime_ns):
        return None
    return "has changed since it was planned; the same command hears it as it is now"


def _in_unicode(text: Any) -> str:
    # As AudiomonError escapes what cannot be printed.
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
