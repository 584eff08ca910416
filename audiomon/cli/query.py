"""``audiomon query``: what an archive holds, in tables, as a picture, as clips, and for other programs."""

import csv
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from audiomon.errors import InputError, UserError
from audiomon.extras import install_extra
from audiomon.foreign import csv_cell, shown

if TYPE_CHECKING:
    from audiomon.archive.questions import Answer, Filter, Sound
    from audiomon.archive.store import Store
    from audiomon.archive.views import About

# Rows of a table for people; more belong in --csv.
_MAX_SHOWN = 200
_CLIPS = 20
_WIDEST = 60


@click.command()
@click.argument("out")
@click.option("--by-hour", "question", flag_value="by_hour", help="Rows by hour and label.")
@click.option("--by-site", "question", flag_value="by_site", help="Rows by site, day and label.")
@click.option("--spans", "question", flag_value="spans", help="Neighbouring windows of one label, joined.")
@click.option("--errors", "question", flag_value="errors", help="Files that were not heard to their end, and why.")
@click.option("--surest", type=click.IntRange(1, 100_000), metavar="N", help="The N surest sounds of each label.")
@click.option("--sql", help="Any question, of the views detections, spans, files and errors.")
@click.option("--csv", "as_csv", is_flag=True, help="The whole answer as CSV.")
@click.option("-l", "--label", "labels", multiple=True, help="Only this label; may be given several times.")
@click.option("--min-score", type=click.FloatRange(0, 1), default=0.0, help="Only what reaches this score.")
@click.option("--site", metavar="REGEX", help="Finds the site in a file's name; otherwise its first folder.")
@click.option("--run", "key", help="Which run, where there are several.")
@click.option("--root", help="Where the recordings are now, if no longer where they were classified.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw labels by hour of day and date.")
@click.option("--clips", type=click.Path(path_type=Path, file_okay=False), help="Cut the --surest of each label out.")
@click.option("--raven", type=click.Path(path_type=Path, dir_okay=False), help="Write spans as a selection table.")
@click.option("--audacity", type=click.Path(path_type=Path, file_okay=False), help="Write spans as label tracks.")
@click.option("--kaleidoscope", type=click.Path(path_type=Path, dir_okay=False), help="Write spans as its table.")
def query(
    out: str,
    question: str | None,
    surest: int | None,
    sql: str | None,
    as_csv: bool,
    labels: tuple[str, ...],
    min_score: float,
    site: str | None,
    key: str | None,
    root: str | None,
    plot: Path | None,
    clips: Path | None,
    raven: Path | None,
    audacity: Path | None,
    kaleidoscope: Path | None,
) -> int:
    """Ask what `audiomon classify --output OUT` has heard; without options, an overview.

    \b
    Examples:
      audiomon query OUT
      audiomon query OUT --surest 10 --label dog_bark
      audiomon query OUT --plot hours.png
      audiomon query OUT --clips review --min-score 0.8
      audiomon query OUT --sql "select site, count(*) from detections group by all" --csv
    """
    asked = [name for name, given in (("--sql", sql), ("--surest", surest), (f"--{question}", question)) if given]
    if len(asked) > 1:
        named = " and ".join(asked).replace("_", "-")
        raise click.UsageError(f"{named} exclude each other", click.get_current_context())
    try:
        from audiomon.archive import questions
        from audiomon.archive.store import open_store
        from audiomon.archive.views import choose_run, connect
    except ImportError as error:
        raise UserError(f"audiomon query needs {error.name or error}: {install_extra('archive')}") from None
    store = open_store(out)
    key, about = choose_run(store, key)
    connection = connect(store, key, site)
    chosen = questions.Filter(labels, min_score)
    files = [path for path in (raven, audacity, kaleidoscope) if path is not None]
    if plot is not None:
        _draw(connection, chosen, about, plot)
    status = 0
    if clips is not None:
        found = questions.surest(connection, chosen, surest or _CLIPS)
        status = _clips(found, open_store(root or about.root), clips)
    if files:
        spans = (questions.Sound(*row[:6]) for row in questions.spans(connection, chosen).rows)
        sounds = questions.surest(connection, chosen, surest) if surest else list(spans)
        _tables(sounds, root or about.root, raven, audacity, kaleidoscope)
    # --surest alone is a question; with these it says how many.
    if sql or question or as_csv or not (plot or clips or files):
        if sql is not None:
            answer = questions.ask(connection, sql)
        elif surest is not None:
            answer = _of_sounds(questions.surest(connection, chosen, surest))
        elif question == "errors":
            answer = questions.errors(connection)
        else:
            answer = getattr(questions, question or "overview")(connection, chosen)
            if question is None and not as_csv:
                click.echo(_heading(connection, key, about))
        (_write_csv if as_csv else _write_table)(answer)
    return status


def _heading(connection: Any, key: str, about: "About") -> str:
    from audiomon.archive.questions import ask

    statuses = ask(connection, "select status, count(*), sum(heard_s) from files group by all order by all")
    counts = list(statuses.rows)
    files = ", ".join(f"{count} {status}" for status, count, _ in counts)
    hours = sum(heard_s for *_, heard_s in counts) / 3600
    what = f"model {about.run.model} {about.run.model_sha256[:8]}, audiomon {about.run.audiomon}, {about.run.rows}"
    return f"run {key}: {what}\n{hours:.1f} h heard; files: {files}\n"


def _of_sounds(sounds: "list[Sound]") -> "Answer":
    from audiomon.archive.questions import Answer

    columns = ("label", "score", "file", "start_s", "end_s", "recorded_at")
    return Answer(columns, (tuple(getattr(one, column) for column in columns) for one in sounds))


def _write_csv(answer: "Answer") -> None:
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(answer.columns)
    for row in answer.rows:
        table.writerow([csv_cell(value) if isinstance(value, str) else value for value in row])


def _write_table(answer: "Answer") -> None:
    rows = [[_cell(value) for value in row] for row in islice(answer.rows, _MAX_SHOWN + 1)]
    printed = rows[:_MAX_SHOWN]
    widths = [max(map(len, column)) for column in zip(answer.columns, *printed, strict=True)]
    for row in (answer.columns, *printed):
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    if len(rows) > len(printed):
        click.echo(f"… the first {_MAX_SHOWN} rows; --csv writes all")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return shown(f"{value:.3f}" if isinstance(value, float) else str(value), _WIDEST)


def _draw(connection: Any, chosen: "Filter", about: "About", path: Path) -> None:
    from audiomon.archive.picture import draw_hours
    from audiomon.archive.questions import heard_by_hour

    some, every = heard_by_hour(connection, chosen)
    if not some:
        raise UserError("there is nothing to draw: no file's name says when it was recorded (YYYYMMDD_HHMMSS)")
    shares = about.run.rows == "windows"
    unit = "share of the windows recorded" if shares else "events"
    draw_hours(path, f"{about.run.model}, by hour of day and date: {unit}", some, every if shares else None)


def _clips(sounds: "list[Sound]", root: "Store", folder: Path) -> int:
    from audiomon.archive.clips import export_clips

    written, problems = export_clips(sounds, root, folder)
    click.echo(f"{written} clips in {folder}, {len(sounds) - written - len(problems)} were there", err=True)
    for problem in problems:
        click.echo(f"audiomon: {InputError(problem)}", err=True)
    return InputError.exit_status if problems else 0


def _tables(
    sounds: "list[Sound]", root: str, raven: Path | None, audacity: Path | None, kaleidoscope: Path | None
) -> None:
    from audiomon.archive.tables import write_audacity, write_kaleidoscope, write_raven

    if raven is not None:
        click.echo(f"{raven}: {write_raven(sounds, root, raven)} selections", err=True)
    if audacity is not None:
        click.echo(f"{audacity}: {write_audacity(sounds, audacity)} label tracks", err=True)
    if kaleidoscope is not None:
        click.echo(f"{kaleidoscope}: {write_kaleidoscope(sounds, root, kaleidoscope)} rows", err=True)
