"""``audiomon classify``: what is heard in recordings, by the same code and to the same bits as live."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import click

from audiomon.audio.file import FileSource
from audiomon.audio.folder import audio_files
from audiomon.cli.archive_options import ArchiveOptions, archive_options
from audiomon.cli.classify_progress import ProgressLine
from audiomon.cli.classify_rows import Form, Occurrence, Plan, Table, rows_of
from audiomon.cli.settings import config_option, hop_option, interpreter_option, model_option, scores_option
from audiomon.cli.workers import Batches, Lost, in_order
from audiomon.clock import SystemClock
from audiomon.config.settings import Settings, load_settings
from audiomon.errors import InputError, UserError
from audiomon.extras import install_extra
from audiomon.models.classifier import Classifier
from audiomon.outputs.terminal import obeys_codes
from audiomon.pipeline.listener import Listener
from audiomon.pipeline.loading import LoadingModel

# What Path leaves of s3://bucket: one slash of the two.
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/(?=[^/])")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for every window.")
@click.option("--csv", "as_csv", is_flag=True, help="A table with one row for every window.")
@click.option("--events", is_flag=True, help="Events instead of windows, by the thresholds of the configuration.")
@click.option("--audacity", is_flag=True, help="Events as a label track for Audacity; of one file.")
@click.option("--raven", is_flag=True, help="Events as a selection table for Raven.")
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="SCORE",
    help="Leave out what scores below this; with --output, of a window's second and later --scores.",
)
@scores_option
@model_option
@hop_option
@interpreter_option
@click.option("-j", "--jobs", type=click.IntRange(1), help="Processes; otherwise as many as cores, for several files.")
@config_option
@archive_options
def classify(
    files: tuple[Path, ...],
    as_json: bool,
    as_csv: bool,
    events: bool,
    audacity: bool,
    raven: bool,
    min_score: float,
    scores: int,
    model: str | None,
    hop_s: float | None,
    interpreter: str | None,
    jobs: int | None,
    config_path: Path | None,
    archive: ArchiveOptions | None,
) -> int:
    """Say what is heard in audio FILES: what libsndfile reads, and ffmpeg where it is installed, at any sample rate.

    A folder stands for the recordings in it and in the folders below, and - for one that comes through a pipe. Without
    an option for another form, neighbouring windows with the same label are joined into one line.

    \b
    Examples:
      audiomon classify doorbell.wav
      audiomon classify --csv recordings/ > heard.csv
      audiomon classify --audacity night.flac > night.txt
      audiomon classify --json --events --min-score 0.8 recordings/
    """
    form = _form(json=as_json, csv=as_csv, audacity=audacity, raven=raven)
    settings = load_settings(config_path, model=model, hop_s=hop_s, interpreter=interpreter)
    if archive is not None:
        asked = "events" if events else None if form == "text" else form
        return _classify_archive(files, archive, settings, form=asked, jobs=jobs)
    recordings, wrong = _recordings(files)
    if form == "audacity" and len(recordings) > 1:
        raise click.UsageError(
            "a label track for Audacity is of one file: name one, or take --raven, which names files"
        )
    loading = LoadingModel(settings)
    spec, labels = loading.package.manifest.input, loading.package.manifest.labels
    events = events or form in ("audacity", "raven")
    plan = Plan(
        form,
        events,
        scores,
        min_score,
        labels,
        loading.rules,
        spec.window_s,
        spec.sample_rate,
        loading.package.fingerprint,
    )
    jobs = min(jobs or len(os.sched_getaffinity(0)), max(1, len(recordings)))
    return _write(recordings, wrong, Ears(loading, settings, plan), jobs)


def _classify_archive(
    roots: Sequence[Path], archive: ArchiveOptions, settings: Settings, *, form: str | None, jobs: int | None
) -> int:
    """Classify whole archives, into ``archive.output``; ``form`` must be None, since the two exclude each other."""
    context = click.get_current_context()
    if form is not None:
        raise click.UsageError(f"--{form} and --output exclude each other (see audiomon query --csv)", context)
    if archive.scheduler and archive.scheduler_file:
        raise click.UsageError("--scheduler and --scheduler-file exclude each other", context)
    try:
        from audiomon.cli.classify_archive import run_archive
    except ImportError as error:
        raise UserError(f"--output needs {error.name or error}: {install_extra('archive')}") from None
    # One row a window, unless more were asked for: what is enough in a line of JSON is too much here.
    given = context.get_parameter_source("scores") is click.core.ParameterSource.COMMANDLINE
    scores = context.params["scores"] if given else 1
    jobs = jobs or len(os.sched_getaffinity(0))
    return run_archive([_ADDRESS.sub(r"\1://", str(root)) for root in roots], archive, settings, scores, jobs)


def _form(**chosen: bool) -> Form:
    """Return the form that was asked for: one of them."""
    names = [name for name, is_chosen in chosen.items() if is_chosen]
    if len(names) > 1:
        raise click.UsageError(f"--{names[0]} and --{names[1]} are two forms of the same: give one of them")
    return next((form for form in get_args(Form) if form in names), "text")


def _recordings(given: tuple[Path, ...]) -> tuple[list[Path], list[InputError]]:
    """List what is to be heard, folders opened, and what is wrong with some of the folders."""
    found: list[Path] = []
    wrong: list[InputError] = []
    for path in given:
        if not path.is_dir():
            found.append(path)
            continue
        try:
            found += audio_files(path)
        except InputError as error:
            wrong.append(error)
    return found, wrong


def _write(recordings: list[Path], wrong: list[InputError], ears: "Ears", jobs: int) -> int:
    """Hear everything and write it as it comes; an exit status."""
    table = Table(ears.plan)
    line = ProgressLine(sys.stderr if obeys_codes(sys.stderr) else None, len(recordings))
    shares_terminal = sys.stdout.isatty()
    status = 0

    def write(text: str) -> None:
        if text:
            if shares_terminal:
                line.above()
            click.echo(text, nl=False)
            if shares_terminal:
                line.back()

    def complain(problem: str) -> None:
        nonlocal status
        line.above()
        click.echo(f"audiomon: {problem}", err=True)
        line.back()
        status = InputError.exit_status

    ears.check()
    write(table.head())
    for error in wrong:
        complain(str(error))
    number, current = 0, None
    said = in_order(recordings, ears.hear, jobs)
    try:
        for path, part in said:
            if path is not current:
                number, current = number + 1, path
                if isinstance(part, Part) and not part.ended:
                    write(table.begin(path))
            if isinstance(part, Lost):
                complain(
                    str(InputError(f"{path}: the process that read it was {part.how}; the rest of it is not heard"))
                )
                continue
            write("".join(table.line(path, row) for row in part.rows))
            line.show(number, path, part.position_s, part.duration_s)
            if part.ended:
                table.end(part.position_s)
                line.done(part.position_s)
                if part.error:
                    complain(part.error)
    finally:
        said.close()
        line.end()
    return status


@dataclass(frozen=True, slots=True)
class Part:
    """Some of what was heard in a recording.

    Attributes:
        rows: in order.
        position_s: that has been heard.
        duration_s: of the recording; 0 if unknown.
        ended: whether this is the last part.
        error: what is wrong with the recording, in the last part; or nothing.
    """

    rows: list[str | Occurrence]
    position_s: float
    duration_s: float
    ended: bool = False
    error: str = ""


class Ears:
    """Hears recordings, in whichever process it is asked to; each loads the model for itself.

    Args:
        loading: the model, being checked.
        settings: how to listen.
        plan: what to write.
    """

    def __init__(self, loading: LoadingModel, settings: Settings, plan: Plan) -> None:
        self._loading = loading
        self._settings = settings
        self.plan = plan
        self._classifier: Classifier | None = None

    def check(self) -> None:
        """Wait until the model has been checked.

        Raises:
            ModelError, ConfigError: it did not pass.
        """
        self._loading.wait()

    def hear(self, path: Path) -> Iterator[Part]:
        """Hear one recording; whatever is wrong with it is said in the last part, after all that it gave."""
        if self._classifier is None:
            self._classifier = self._loading.classifier()
        classifier, config = self._classifier, self._settings.config
        batches: Batches[str | Occurrence] = Batches()
        rows = rows_of(path, self.plan)
        listener: Listener | None = None
        source: FileSource | None = None
        error = ""
        try:
            source = FileSource(path)
            listener = Listener(
                source,
                classifier,
                self._loading.rules,
                hop_s=config.asked_hop_s(self.plan.window_s),
                channel=config.microphone.channel,
                clock=SystemClock(),
            )
            yield Part([], 0.0, source.duration_s)
            while not listener.ended:
                heard = listener.next()
                if heard is not None:
                    batches.extend(rows.heard(heard))
                    if batches.are_due():
                        yield Part(batches.take(), _heard_s(listener), source.duration_s)
            if listener.position == 0:
                window_s = self.plan.window_s
                error = f"{source.duration_s:.3f} s is less than one window of {window_s:.3f} s"
                raise InputError(f"{path}: {error}")
        except InputError as problem:
            error = str(problem)
        finally:
            if source is not None:
                source.close()
        if listener is not None:
            batches.extend(rows.ended(listener.switch_off()))
        heard_s = _heard_s(listener)
        duration_s = source.duration_s if source is not None else 0.0
        yield Part(batches.take(), max(heard_s, duration_s), duration_s, ended=True, error=error)


def _heard_s(listener: Listener | None) -> float:
    return 0.0 if listener is None else listener.position / listener.source.sample_rate
