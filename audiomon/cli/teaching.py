"""``audiomon train --on``: a head on a network that is there, instead of a network of one's own."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from audiomon.cli.training_options import features_bar
from audiomon.errors import UserError
from audiomon.extras import install_extra
from audiomon.lab.evaluate.report import text
from audiomon.lab.train.dataset import Split
from audiomon.lab.train.settings import with_decisions

# What `--on` goes with; the rest says how a whole network is trained.
_TOGETHER = {
    "dataset", "output", "on", "many", "embedding", "background_folder", "decided", "folds", "groups", "hold_out",
    "cross", "skip_bad", "licence", "description", "notes", "replace",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class OnBase:
    """What the options of `on_options` say.

    Attributes:
        base: name of the package to stand on.
        many: whether several labels may be on at a time.
        embedding: name of a tensor, or None.
        background: folder of recordings, or None.
    """

    base: str
    many: bool
    embedding: str | None
    background: Path | None


def background_option(command: Any) -> Any:
    """Add ``--background FOLDER``."""
    return click.option(
        "--background",
        "background_folder",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="With --on: folder of recordings of what is usually heard, and none of the classes.",
    )(command)


def on_options(command: Any) -> Any:
    """Add ``--on`` and what goes with it."""
    command = background_option(command)
    command = click.option("--embedding", metavar="TENSOR", help="With --on: its layer to build on, by name.")(command)
    command = click.option("--many", is_flag=True, help="With --on: several labels may be on at a time.")(command)
    return click.option(
        "--on",
        metavar="MODEL",
        help="Keep MODEL's network, and teach it these sounds: minutes instead of hours, and a few clips are enough.",
    )(command)


def taken_on(context: click.Context, options: dict[str, Any]) -> OnBase | None:
    """Take the options of `on_options` out of all; None if ``--on`` is not among them.

    Raises:
        UserError: what is asked for does not go together.
    """
    base, many, embedding = options.pop("on"), options.pop("many"), options.pop("embedding")
    background = options.pop("background_folder")
    given = [
        parameter
        for parameter in context.command.params
        if context.get_parameter_source(parameter.name or "") == ParameterSource.COMMANDLINE
    ]
    if base is None:
        alone = [one.opts[0] for one in given if one.name in ("many", "embedding", "background_folder")]
        if alone:
            raise UserError(f"{alone[0]}: goes with --on MODEL")
        return None
    strange = [one.opts[0] for one in given if one.name not in _TOGETHER]
    if strange:
        raise UserError(f"{strange[0]}: is about training a whole network; it goes without --on")
    return OnBase(base, many, embedding, background)


def teach_on(
    asked: OnBase,
    dataset: Path,
    output: Path,
    split: Split,
    *,
    hold_out: str | None,
    decided: tuple[str, ...],
    skip_bad: bool,
    command: str,
    description: str | None,
    licence: str,
    notes: str,
) -> None:
    """Teach, write the package, and say how good it is."""
    try:
        import sklearn  # noqa: F401  # only asked whether it is there
    except ImportError:
        raise UserError(f"--on needs scikit-learn, which is not installed: {install_extra('teach')}") from None
    from audiomon.lab.teach.teaching import Words, open_base, settings_for, teach, write_taught

    started_s = time.monotonic()
    decisions = with_decisions(decided)
    base = open_base(asked.base, asked.embedding)
    settings = settings_for(base, many=asked.many, decisions=decisions)
    with features_bar() as advance:
        taught = teach(
            base, dataset, split, settings, advance, hold_out=hold_out, background=asked.background, skip_bad=skip_bad
        )
    examples = taught.examples
    for reason in examples.left_out.values():
        click.echo(f"audiomon: left out: {reason}", err=True)
    if examples.one_session:
        click.echo(
            f"audiomon: {', '.join(examples.one_session)}: recorded in one session, so the figures flatter; record "
            f"another one on another day",
            err=True,
        )
    sounds = [label for label in examples.labels if label != "background"]
    description = description or f"Hears {', '.join(sounds)}; taught on {asked.base}."
    difference = write_taught(output, taught, Words(command, description, licence, notes))
    if taught.judgement is not None:
        how = f"{len(examples.folds)}-fold cross-validation" if taught.cross_validated else f"held-out fold {hold_out}"
        click.echo(text(taught.judgement, f"{output}: {how}") + "\n")
    click.echo(f"{output}: written; the fused model answers as {asked.base} with its head, within {difference:.1g}")
    model = output if "/" in str(output) else f"./{output}"
    click.echo(f"Done in {time.monotonic() - started_s:.0f} s; try it: audiomon run --model {model}")
