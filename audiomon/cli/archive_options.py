"""The options of ``audiomon classify --output``, which nothing else of it needs; the work is `classify_archive`'s."""

import functools
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from audiomon.config.settings import Settings
from audiomon.errors import UserError
from audiomon.extras import install_extra

_SIZE = re.compile(r"\d+(\.\d+)? ?([kMGT]i?)?B?", re.IGNORECASE)
# Not options that only go with --output.
_SHARED = {"output", "min_score"}
# What Path leaves of s3://bucket: one slash of the two.
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/(?=[^/])")


@dataclass(frozen=True, slots=True)
class ArchiveOptions:
    """What ``--output`` and the options that go with it say; see their help."""

    output: str
    rows: Literal["windows", "events"]
    min_score: float
    scheduler: str | None
    scheduler_file: Path | None
    memory: str
    part_files: int
    part_mb: int
    retry_errors: bool
    dry_run: bool


def archive_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which is given them as ``archive``: None without ``--output``."""

    @click.option("--output", metavar="OUT", help="Write Parquet into a folder, or to an address as s3://bucket/name.")
    @click.option(
        "--rows", type=click.Choice(["windows", "events"]), default="windows", help="With --output: a row for each."
    )
    @click.option("--scheduler", metavar="ADDRESS", help="With --output: a Dask cluster that runs, as tcp://host:8786.")
    @click.option(
        "--scheduler-file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="With --output: the same, from the file that its scheduler wrote.",
    )
    @click.option("--memory", default="1GiB", callback=_size, help="With --output: of each process, at most.")
    @click.option("--part-files", type=click.IntRange(1, 100_000), default=200, help="With --output: files in a part.")
    @click.option("--part-mb", type=click.IntRange(1, 1_000_000), default=256, help="With --output: MB in a part.")
    @click.option("--retry-errors", is_flag=True, help="With --output: parts with refused files once more.")
    @click.option("--dry-run", is_flag=True, help="With --output: say what there is to do, and do nothing.")
    @functools.wraps(command)
    def with_archive(*args: Any, output: str | None, **options: Any) -> Any:
        ours = {name: options.pop(name) for name in ArchiveOptions.__dataclass_fields__ if name not in _SHARED}
        if output is None:
            context = click.get_current_context()
            for name in ours:
                if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
                    raise click.UsageError(f"--{name.replace('_', '-')} needs --output", context)
            return command(*args, archive=None, **options)
        shared = {"output": output, "min_score": options["min_score"]}
        return command(*args, archive=ArchiveOptions(**shared, **ours), **options)

    return with_archive


def classify_archive(
    roots: Sequence[Path], archive: ArchiveOptions, settings: Settings, *, form: str | None, jobs: int | None
) -> int:
    """Classify whole archives.

    Args:
        roots: what to hear.
        archive: where the results go, and how.
        settings: names the model.
        form: asked for besides, which cannot be.
        jobs: processes; None for as many as cores.

    Returns:
        The exit status.
    """
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


def _size(_context: click.Context, _option: click.Parameter, text: str) -> str:
    if not _SIZE.fullmatch(text):
        raise click.BadParameter(f"{text!r} is not a size: write 512MiB, 1GiB …")
    return text
