"""``audiomon classify``: what is heard in recordings, by the same code and to the same bits as live."""

import csv
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import click
import msgspec

from audiomon.audio.file import FileSource
from audiomon.cli.archive_options import ArchiveOptions, archive_options, classify_archive
from audiomon.cli.settings import config_option, hop_option, interpreter_option, model_option, scores_option
from audiomon.clock import SystemClock
from audiomon.config import DecisionRules
from audiomon.config.settings import Settings, load_settings
from audiomon.errors import InputError
from audiomon.models.classifier import Classifier
from audiomon.models.package import ModelPackage
from audiomon.outputs.json_lines import prediction_fields
from audiomon.outputs.terminal import bar
from audiomon.pipeline.listener import Listener
from audiomon.pipeline.loading import LoadingModel
from audiomon.pipeline.prediction import Prediction

Form = Literal["text", "json", "csv"]


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "form", flag_value="json", help="One JSON object a line, for every window.")
@click.option("--csv", "form", flag_value="csv", help="A table with one row for every window.")
@scores_option
@model_option
@hop_option
@interpreter_option
@click.option("-j", "--jobs", type=click.IntRange(1), help="Processes; otherwise as many as cores, for several files.")
@config_option
@archive_options
def classify(
    files: tuple[Path, ...],
    form: Form | None,
    scores: int,
    model: str | None,
    hop_s: float | None,
    interpreter: str | None,
    jobs: int | None,
    config_path: Path | None,
    archive: ArchiveOptions | None,
) -> int:
    """Say what is heard in audio FILES: whatever libsndfile reads, at any sample rate.

    Without --json or --csv, neighbouring windows with the same label are joined into one line.

    \b
    Examples:
      audiomon classify doorbell.wav
      audiomon classify --csv recordings/*.flac > heard.csv
    """
    settings = load_settings(config_path, model=model, hop_s=hop_s, interpreter=interpreter)
    if archive is not None:
        return classify_archive(files, archive, settings, form=form, jobs=jobs)
    loading = LoadingModel(settings)
    report = _Report(loading.classifier(), loading.rules, settings, form or "text", scores)
    jobs = jobs or min(len(files), len(os.sched_getaffinity(0)))
    if form == "csv":
        click.echo(report.csv_header(), nl=False)
    status = 0
    with _progress(files) as advance:
        for path, text, error in _in_order(files, report, jobs):
            click.echo(text, nl=False)
            if error:
                click.echo(f"audiomon: {error}", err=True)
                status = InputError.exit_status
            advance(path)
    return status


class _Report:
    """Classifies files and writes down what was heard; one in each process."""

    def __init__(
        self, classifier: Classifier, rules: DecisionRules, settings: Settings, form: Form, scores: int
    ) -> None:
        self._classifier = classifier
        self._rules = rules
        self._settings = settings
        self._form: Form = form
        self._scores = scores

    def parts(self) -> tuple[ModelPackage, Any, int, DecisionRules, Settings, Form, int]:
        """Return what another process makes its own report from."""
        interpreter = self._classifier.interpreter
        return (
            self._classifier.package,
            interpreter.backend,
            self._settings.config.threads,
            self._rules,
            self._settings,
            self._form,
            self._scores,
        )

    def csv_header(self) -> str:
        """Return the first line of the table."""
        return _csv_row(["file", "position_s", "label", "score", *self._classifier.labels])

    def write(self, path: Path) -> tuple[str, str]:
        """Classify one file: what was heard, and what is wrong with the file or nothing."""
        pieces: list[str] = []
        try:
            source = FileSource(path)
            listener = Listener(
                source,
                self._classifier,
                self._rules,
                hop_s=self._settings.config.asked_hop_s(self._classifier.spec.window_s),
                channel=self._settings.config.microphone.channel,
                clock=SystemClock(),
            )
            predictions = _predictions(listener)
            pieces.extend(
                _json_lines(path, predictions, self._scores)
                if self._form == "json"
                else _csv_rows(path, predictions)
                if self._form == "csv"
                else _spans(path, predictions, self._classifier.spec.window_s)
            )
            if listener.position == 0:
                window_s = self._classifier.spec.window_s
                raise InputError(f"{path}: {source.duration_s:.3f} s is less than one window of {window_s:.3f} s")
        except InputError as error:
            return "".join(pieces), str(error)
        return "".join(pieces), ""


def _predictions(listener: Listener) -> Iterator[Prediction]:
    while not listener.ended:
        heard = listener.next()
        if heard is not None and heard.prediction is not None:
            yield heard.prediction


def _json_lines(path: Path, predictions: Iterable[Prediction], scores: int) -> Iterator[str]:
    for prediction in predictions:
        fields = {"type": "prediction", "file": str(path), **prediction_fields(prediction, scores)}
        yield msgspec.json.encode(fields).decode() + "\n"


def _csv_rows(path: Path, predictions: Iterable[Prediction]) -> Iterator[str]:
    for prediction in predictions:
        scores = [f"{score:.9g}" for score in prediction.scores]
        yield _csv_row([path, f"{prediction.position_s:.6f}", prediction.label, f"{prediction.score:.9g}", *scores])


def _csv_row(cells: list[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _spans(path: Path, predictions: Iterable[Prediction], window_s: float) -> Iterator[str]:
    """Join neighbours of one label: from the first window's beginning to the last one's end, with the mean score."""
    yield f"{path}\n"
    span: list[Prediction] = []
    for prediction in predictions:
        if span and span[-1].label != prediction.label:
            yield _span_line(span, window_s)
            span = []
        span.append(prediction)
    if span:
        yield _span_line(span, window_s)


def _span_line(span: list[Prediction], window_s: float) -> str:
    begin_s = max(0.0, span[0].position_s - window_s)
    score = sum(prediction.score for prediction in span) / len(span)
    return f"  {begin_s:8.2f} - {span[-1].position_s:8.2f} s  {span[0].label:<16} {score:.2f} {bar(score)}\n"


# Set in each worker process by the pool, which has no other way to hand over what every task needs.
_report: _Report


def _start_process(package: ModelPackage, backend: Any, threads: int, *rest: Any) -> None:
    global _report  # noqa: PLW0603
    _report = _Report(Classifier(package, backend, threads), *rest)


def _write_in_process(path: Path) -> tuple[str, str]:
    return _report.write(path)


def _in_order(files: tuple[Path, ...], report: _Report, jobs: int) -> Iterator[tuple[Path, str, str]]:
    """Classify all files, several at a time; results come in the order of the files."""
    if jobs == 1:
        for path in files:
            yield (path, *report.write(path))
        return
    # Spawned, not forked: an interpreter's threads do not survive a fork.
    with ProcessPoolExecutor(jobs, get_context("spawn"), _start_process, report.parts()) as pool:
        for path, (text, error) in zip(files, pool.map(_write_in_process, files), strict=True):
            yield path, text, error


def _progress(files: tuple[Path, ...]) -> Any:
    """A bar by files, where someone is watching and the results go elsewhere; else something that draws nothing."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        return nullcontext(lambda _path: None)
    return _Bar(files)


class _Bar:
    """A progress bar that advances by one file."""

    def __init__(self, files: tuple[Path, ...]) -> None:
        self._bar: Any = click.progressbar(
            length=len(files),
            label="Classifying",
            file=sys.stderr,
            item_show_func=lambda path: path and Path(path).name,
        )

    def __enter__(self) -> Callable[[Path], None]:
        self._bar.__enter__()
        return lambda path: self._bar.update(1, path)

    def __exit__(self, *details: object) -> None:
        self._bar.__exit__(*details)
