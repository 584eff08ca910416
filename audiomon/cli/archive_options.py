"""The options of ``audiomon classify --output``, which nothing else of it needs, and what they say."""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

_SIZE = re.compile(r"\d+(\.\d+)? ?([kMGT]i?)?B?", re.IGNORECASE)
# Not options that only go with --output.
_SHARED = {"output", "min_score"}


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


def _size(_context: click.Context, _option: click.Parameter, text: str) -> str:
    if not _SIZE.fullmatch(text):
        raise click.BadParameter(f"{text!r} is not a size: write 512MiB, 1GiB …")
    return text
