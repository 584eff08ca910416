"""``audiomon train``: from a folder of recordings to a model package."""

import shlex
import time
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from audiomon.cli.teaching import Building, build_on, on_options, taken_from, taken_on
from audiomon.cli.training_options import (
    features_bar,
    jobs_option,
    noise_option,
    shared_threads,
    skip_bad_option,
    teacher_option,
    training_bar,
)
from audiomon.config import Decisions
from audiomon.errors import InputError, UserError
from audiomon.lab.evaluate.hearing import HeardSound
from audiomon.lab.evaluate.report import text
from audiomon.lab.networks import network
from audiomon.lab.pictures import check_drawing
from audiomon.lab.tensorflow_process import INSTALL, is_installed
from audiomon.lab.train.cross_validation import fold_jobs, hear_folds, job
from audiomon.lab.train.dataset import TEST, Split
from audiomon.lab.train.packaging import Result, check_target, hear_held, write_result
from audiomon.lab.train.preparation import Prepared, prepare
from audiomon.lab.train.settings import DEFAULT_SPEC, Augmentation, TrainingSettings, with_decisions, with_features
from audiomon.lab.train.teacher import Teacher, teacher_labels
from audiomon.lab.train.training import checkpoint_of, cores, forget, run_jobs
from audiomon.models.importing.describe import feature_option

_FOLDER = click.Path(path_type=Path, file_okay=False)
_DEFAULTS = TrainingSettings()
# What does not change the weights.
_NOT_TOLD = {"jobs", "replace", "fresh", "notes", "int8", "licence", "description"}


def _switches(command: Any) -> Any:
    defaults = Augmentation()
    for name, hint in reversed(Augmentation.__annotations__.items()):
        meaning = hint.__metadata__[0].description
        # Only the way off the default: --background names a folder.
        on = getattr(defaults, name)
        switch = click.option(
            f"--no-{name}" if on else f"--{name}",
            name,
            flag_value=not on,
            default=on,
            help=f"{'Without this: ' if on else ''}{meaning}",
        )
        command = switch(command)
    return command


@click.command()
@click.argument("dataset", type=_FOLDER)
@click.option("-o", "--output", type=_FOLDER, required=True, help="Folder of the package to write, as in models/mine.")
@on_options
@click.option(
    "--network", "network_name", default=_DEFAULTS.network, show_default=True, help="seed, compact, or yours."
)
@click.option("--feature", "features", multiple=True, metavar="KEY=VALUE", help="Feature option; may be repeated.")
@click.option(
    "--decision",
    "decided",
    multiple=True,
    metavar="KEY=NUMBER",
    help="When a score becomes an event, as in on=0.8; keys as for decisions in audiomon.yaml. May be repeated.",
)
@click.option("--folds", help="Regular expression that finds a file's fold in its name, as in '([1-5])-'.")
@click.option("--groups", help="The same for the source it comes from, as in '^[^/]+/([a-z]+)-'.")
@click.option("--hold-out", "hold_out", help="Fold that is only judged on, or none. [default: test, else the last]")
@click.option("--cv", "cross", is_flag=True, help="Judge by a model for each fold; ship one that learns from all.")
@click.option("--epochs", type=click.IntRange(1), default=_DEFAULTS.epochs, show_default=True)
@click.option(
    "--windows", type=click.IntRange(1, 1000), default=_DEFAULTS.windows, show_default=True, help="Of each recording."
)
@click.option("--batch", type=click.IntRange(2, 4096), default=_DEFAULTS.batch, show_default=True)
@click.option(
    "--learning-rate", type=click.FloatRange(0, 1, min_open=True), default=_DEFAULTS.learning_rate, show_default=True
)
@click.option("--weight-decay", type=click.FloatRange(0, 1), default=_DEFAULTS.weight_decay, show_default=True)
@click.option("--label-smoothing", type=click.FloatRange(0, 1), default=_DEFAULTS.label_smoothing, show_default=True)
@click.option(
    "--patience",
    type=click.IntRange(0),
    default=_DEFAULTS.patience,
    show_default=True,
    help="Stop after this many epochs without a better validation loss, and keep the best weights; 0: never stop.",
)
@teacher_option
@click.option(
    "--teacher-label",
    "taught",
    multiple=True,
    metavar="CLASS=LABEL",
    help="A label of the teacher's that is one of the classes, as in dog_bark=Bark. May be repeated.",
)
@click.option(
    "--false-events-per-hour",
    type=click.FloatRange(0),
    default=_DEFAULTS.false_events_per_hour,
    show_default=True,
    help="With --cv: choose each label's threshold so that other recordings raise no more than this; 0: as --decision.",
)
@click.option("--seed", type=click.IntRange(0), default=_DEFAULTS.seed, show_default=True)
@_switches
@noise_option
@skip_bad_option
@jobs_option
@click.option("--int8/--no-int8", "int8", default=True, help="Write the 8-bit package OUTPUT-int8 too.")
@click.option("--license", "licence", default="not stated", help="Licence of the recordings, and so of the weights.")
@click.option("--description", help="One line for people.")
@click.option("--notes", type=click.Path(path_type=Path, dir_okay=False), help="Markdown that ends the card.")
@click.option("--replace", is_flag=True, help="Replace a package that is there.")
@click.option("--fresh", is_flag=True, help="Start over where an interrupted training could go on.")
@click.pass_context
def train(
    context: click.Context,
    /,
    dataset: Path,
    output: Path,
    network_name: str,
    features: tuple[str, ...],
    decided: tuple[str, ...],
    folds: str | None,
    groups: str | None,
    hold_out: str | None,
    cross: bool,
    noise: Path | None,
    skip_bad: bool,
    teacher_folder: Path | None,
    taught: tuple[str, ...],
    jobs: int | None,
    int8: bool,
    licence: str,
    description: str | None,
    notes: Path | None,
    replace: bool,
    fresh: bool,
    **options: Any,
) -> None:
    """Train a model on DATASET, a folder with a folder of recordings for each class, and write a model package.

    A part of the recordings is held out and only judged on. Recordings of one source stay on one side: say with --folds
    or --groups, or in DATASET/split.csv (columns file,fold), what belongs together. Ctrl-C, and the same command goes
    on where it was. The result is proved to answer as the Keras model does, in float32 and in 8 bits.

    \b
    Examples:
      audiomon train recordings -o models/mine
      audiomon train recordings -o models/mine --network compact --patience 15
      audiomon train esc10 -o models/esc10 --folds '([1-5])-' --cv
      audiomon train recordings -o models/mine --on yamnet
      audiomon train recordings -o models/home2 --from models/home
    """
    if cross and hold_out is not None:
        raise UserError("--cv holds out one fold after another: it goes without --hold-out")
    built_on = taken_from(context, options) or taken_on(context, options)
    if built_on is not None:
        check_target(output, replace, int8=False)
        building = Building(
            dataset=dataset,
            output=output,
            split=Split(folds=folds, groups=groups),
            hold_out=hold_out,
            decided=decided,
            skip_bad=skip_bad,
            command=_command(context, dataset, output),
            description=description,
            licence=licence,
            notes=_read(notes),
        )
        build_on(built_on, building)
        return
    if options["false_events_per_hour"] and not cross:
        raise UserError("--false-events-per-hour chooses thresholds on other folds than they are judged on: add --cv")
    if (teacher_folder is None) != (not taught):
        raise UserError("--teacher and --teacher-label go together: who teaches, and what its labels mean")
    if not is_installed():
        raise UserError(f"training needs TensorFlow, which is not installed: {INSTALL}")
    check_drawing()
    network(network_name)
    teacher = Teacher(teacher_folder, teacher_labels(taught)) if teacher_folder else None
    settings = TrainingSettings(
        network=network_name,
        teacher=teacher.fingerprint if teacher else "",
        teacher_labels=teacher.labels if teacher else {},
        spec=with_features(DEFAULT_SPEC, dict(feature_option(feature) for feature in features)),
        decisions=with_decisions(decided, Decisions()),
        augmentation=Augmentation(**{name: options.pop(name) for name in Augmentation.__struct_fields__}),
        **options,
    )
    split = Split(folds=folds, groups=groups)
    check_target(output, replace, int8)
    _read(notes)  # before minutes of work
    started_s = time.monotonic()
    with features_bar() as advance:
        prepared = prepare(dataset, split, settings, advance, noise=noise, skip_bad=skip_bad, teacher=teacher)
    for reason in prepared.left_out.values():
        click.echo(f"audiomon: left out: {reason}", err=True)
    held = None if cross else _held_fold(prepared, hold_out)
    processes = min(jobs or cores(), len(prepared.folds) + 1 if cross else 1)
    threads = shared_threads(processes)
    trainings = fold_jobs(prepared, settings, threads) if cross else []
    trainings.append(job(prepared, settings, held, threads, int8=int8))
    if fresh:
        forget(trainings)
    elif any(checkpoint_of(one).exists() for one in trainings):
        click.echo("audiomon: going on with an interrupted training (--fresh to start over)", err=True)
    with training_bar(trainings) as epoch_done:
        trained = run_jobs(trainings, processes, epoch_done)
    heard, decisions = _heard(prepared, settings, trained, held, cross)
    description = description or f"Tells {len(prepared.labels)} sounds apart: {', '.join(prepared.labels)}."
    result = Result(
        output, trained[-1], prepared, settings, split, held, heard, cross, _command(context, dataset, output),
        description, licence, _read(notes), decisions,
    )  # fmt: skip
    written, judgement = write_result(result)
    forget(trainings)
    if judgement is not None:
        how = f"{len(judgement.folds)}-fold cross-validation" if cross else f"held-out fold {held}"
        click.echo(text(judgement, f"{output}: {how}") + "\n")
    for folder, proof in written.items():
        same = sum(one.same_label for one in proof.agreements), sum(one.windows for one in proof.agreements)
        click.echo(
            f"{folder}: written; largest difference from Keras {proof.largest_difference:.2g}, "
            f"same label for {same[0]} of {same[1]} windows"
        )
    model = output if "/" in str(output) else f"./{output}"
    click.echo(f"Done in {time.monotonic() - started_s:.0f} s; try it: audiomon run --model {model}")


def _held_fold(prepared: Prepared, wanted: str | None) -> str | None:
    if wanted == "none":
        return None
    if wanted is None:
        return TEST if TEST in prepared.folds else prepared.folds[-1] if prepared.folds else None
    if wanted not in prepared.folds:
        raise InputError(f"--hold-out {wanted}: there is no such fold; there are {', '.join(prepared.folds)}")
    return wanted


def _heard(
    prepared: Prepared, settings: TrainingSettings, trained: list[Any], held: str | None, cross: bool
) -> tuple[list[HeardSound], Decisions]:
    if cross:
        return hear_folds(prepared, settings, trained[:-1])
    held_sounds = prepared.held(held)
    heard = hear_held(held_sounds, trained[-1].contents["float32"], prepared.labels, settings)
    return heard, settings.decisions


def _read(notes: Path | None) -> str:
    if notes is None:
        return ""
    try:
        return notes.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{notes}: cannot be read: {error}") from None


def _command(context: click.Context, dataset: Path, output: Path) -> str:
    """Return the command line without what belongs to this machine: folders by name only, packages in models/."""
    words = ["audiomon", "train", dataset.name, "-o", f"models/{output.name}"]
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) == ParameterSource.COMMANDLINE
        if not isinstance(parameter, click.Option) or not given or name in _NOT_TOLD | {"output"}:
            continue
        value = context.params[name]
        if parameter.is_flag:
            words.append(parameter.opts[0] if value else (parameter.secondary_opts or parameter.opts)[0])
            continue
        for one in value if parameter.multiple else (value,):
            below = "models/" if name == "teacher_folder" else ""
            words += [parameter.opts[0], f"{below}{one.name}" if isinstance(one, Path) else str(one)]
    return shlex.join(words)
