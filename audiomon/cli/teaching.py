"""``audiomon train --on`` and ``--from``: what builds on a model that is there, instead of a network of one's own."""

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


# The same of `--from`.
_TOGETHER_FROM = {
    "dataset", "output", "from_model", "folds", "groups", "skip_bad", "licence", "description", "notes", "replace",
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
    command = click.option(
        "--from",
        "from_model",
        metavar="MODEL",
        help="Correct MODEL by recordings that it heard wrongly, in folders of its own labels, and keep what it knew.",
    )(command)
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
    given = _given(context)
    if base is None:
        alone = [one.opts[0] for one in given if one.name in ("many", "embedding", "background_folder")]
        if alone:
            raise UserError(f"{alone[0]}: goes with --on MODEL")
        return None
    strange = [one.opts[0] for one in given if one.name not in _TOGETHER]
    if strange:
        raise UserError(f"{strange[0]}: is about training a whole network; it goes without --on")
    return OnBase(base, many, embedding, background)


@dataclass(frozen=True, slots=True)
class FromBase:
    """What ``--from`` says.

    Attributes:
        base: name of the package to correct.
    """

    base: str


def taken_from(context: click.Context, options: dict[str, Any]) -> FromBase | None:
    """Take ``--from`` out of all options; None if it is not among them.

    Raises:
        UserError: what is asked for does not go together.
    """
    base: str | None = options.pop("from_model")
    if base is None:
        return None
    if strange := [one.opts[0] for one in _given(context) if one.name not in _TOGETHER_FROM]:
        raise UserError(f"{strange[0]}: goes without --from, which keeps the model and all that it is")
    return FromBase(base)


def _given(context: click.Context) -> list[click.Parameter]:
    """Return what was said on the command line, as against what is the default."""
    return [
        parameter
        for parameter in context.command.params
        if context.get_parameter_source(parameter.name or "") == ParameterSource.COMMANDLINE
    ]


@dataclass(frozen=True, slots=True)
class Building:
    """What building on a model takes, however it is done.

    Attributes:
        dataset: folder of recordings.
        output: package to write.
        split: which recordings belong together.
        hold_out: fold to judge on; None to judge across all.
        decided: what ``--decision`` says.
        skip_bad: whether recordings that cannot be read are left out.
        command: that does it, for the card.
        description: one line; None for one that is made up.
        licence: of the recordings.
        notes: Markdown that ends the card; or nothing.
    """

    dataset: Path
    output: Path
    split: Split
    hold_out: str | None
    decided: tuple[str, ...]
    skip_bad: bool
    command: str
    description: str | None
    licence: str
    notes: str


def build_on(base: FromBase | OnBase, building: Building) -> None:
    """Correct a model, or teach a head on it; write the package, and say how good it is."""
    if isinstance(base, FromBase):
        _correct(base, building)
    else:
        _teach(base, building)


def _correct(asked: FromBase, building: Building) -> None:
    _check_scikit_learn("--from")
    from audiomon.lab.teach.correcting import correct, figures, open_correctable, write_corrected
    from audiomon.lab.teach.teaching import Words

    started_s = time.monotonic()
    base = open_correctable(asked.base)
    with features_bar() as advance:
        correction = correct(base, building.dataset, building.split, advance, skip_bad=building.skip_bad)
    for reason in correction.left_out.values():
        click.echo(f"audiomon: left out: {reason}", err=True)
    description = building.description or base.package.manifest.description
    write_corrected(building.output, correction, Words(building.command, description, building.licence, building.notes))
    click.echo(figures(correction))
    _say_done(building.output, started_s)


def _check_scikit_learn(option: str) -> None:
    try:
        import sklearn  # noqa: F401  # only asked whether it is there
    except ImportError:
        raise UserError(f"{option} needs scikit-learn, which is not installed: {install_extra('teach')}") from None


def _teach(asked: OnBase, building: Building) -> None:
    _check_scikit_learn("--on")
    from audiomon.lab.teach.settings import DECISIONS
    from audiomon.lab.teach.teaching import Words, open_base, settings_for, teach, write_taught

    started_s = time.monotonic()
    output, hold_out = building.output, building.hold_out
    decisions = with_decisions(building.decided, DECISIONS)
    base = open_base(asked.base, asked.embedding)
    settings = settings_for(base, many=asked.many, decisions=decisions)
    with features_bar() as advance:
        taught = teach(
            base,
            building.dataset,
            building.split,
            settings,
            advance,
            hold_out=hold_out,
            background=asked.background,
            skip_bad=building.skip_bad,
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
    description = building.description or f"Hears {', '.join(sounds)}; taught on {asked.base}."
    words = Words(building.command, description, building.licence, building.notes)
    difference = write_taught(output, taught, words)
    if taught.judgement is not None:
        how = f"{len(examples.folds)}-fold cross-validation" if taught.cross_validated else f"held-out fold {hold_out}"
        click.echo(text(taught.judgement, f"{output}: {how}") + "\n")
    click.echo(f"{output}: written; the fused model answers as {asked.base} with its head, within {difference:.1g}")
    _say_done(output, started_s)


def _say_done(output: Path, started_s: float) -> None:
    model = output if "/" in str(output) else f"./{output}"
    click.echo(f"Done in {time.monotonic() - started_s:.0f} s; try it: audiomon run --model {model}")
