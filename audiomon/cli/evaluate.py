"""``audiomon evaluate``: how good a model is on labelled recordings."""

import sys
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from audiomon.cli.settings import config_option, interpreter_option
from audiomon.cli.teaching import background_option
from audiomon.cli.training_options import (
    features_bar,
    jobs_option,
    noise_option,
    shared_threads,
    skip_bad_option,
    teacher_option,
    training_bar,
)
from audiomon.config import DecisionRules
from audiomon.config.settings import load_settings
from audiomon.errors import InputError, ModelError, UserError
from audiomon.lab.evaluate.hearing import HeardSound, hear
from audiomon.lab.evaluate.judgement import Judgement, check_judging, judge
from audiomon.lab.evaluate.labelling import relabelled
from audiomon.lab.evaluate.mistakes import export_mistakes
from audiomon.lab.evaluate.report import plain, text
from audiomon.lab.train.dataset import Sound, Split, divide, division_digest, find_sounds, is_dealt
from audiomon.lab.train.settings import TrainingSettings
from audiomon.models.classifier import Classifier
from audiomon.models.manifest import Manifest
from audiomon.models.package import find_package, read_manifest
from audiomon.pipeline.loading import LoadingModel

_FOLDER = click.Path(path_type=Path, file_okay=False)
Kept = TypeVar("Kept")


@click.command()
@click.argument("model")
@click.argument("dataset", type=_FOLDER)
@click.option("--cv", "cross", is_flag=True, help="Train a model for each fold as MODEL was trained, and judge those.")
@click.option("--held-out", is_flag=True, help="Only the recordings that MODEL's training held out.")
@click.option("--label", "renamed", multiple=True, metavar="FOLDER=LABEL", help="What to expect in a folder.")
@click.option("--others", metavar="LABEL", help="What to expect in folders that the model has no label for.")
@click.option("--hop", "hop_s", type=click.FloatRange(0.01, 60), help="Seconds from one prediction to the next.")
@click.option("--json", "as_json", is_flag=True, help="All figures as one JSON object.")
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with pictures too.")
@click.option("--export-mistakes", "export", type=_FOLDER, help="Cut mistakes out as clips, into a folder per label.")
@noise_option
@background_option
@skip_bad_option
@teacher_option
@jobs_option
@interpreter_option
@config_option
def evaluate(
    model: str,
    dataset: Path,
    cross: bool,
    held_out: bool,
    renamed: tuple[str, ...],
    others: str | None,
    hop_s: float | None,
    as_json: bool,
    page: Path | None,
    export: Path | None,
    noise: Path | None,
    background_folder: Path | None,
    skip_bad: bool,
    teacher_folder: Path | None,
    jobs: int | None,
    interpreter: str | None,
    config_path: Path | None,
) -> None:
    """Judge MODEL on DATASET, a folder with a folder of recordings for each label.

    Every recording is played to the model as the daemon would hear it: in a quiet room, by the same windows and
    interpreter, and through the decision stage with the package's thresholds and the configuration's.

    \b
    Examples:
      audiomon evaluate models/mine recordings --held-out
      audiomon evaluate home recordings --others background --html home.html
      audiomon evaluate models/esc10 esc10 --cv
      audiomon evaluate models/mine recordings --export-mistakes mistakes
    """
    if cross and (held_out or renamed or others):
        raise UserError("--cv trains on all folders as they are: it goes without --held-out, --label and --others")
    if not cross and (noise is not None or jobs is not None or teacher_folder is not None):
        raise UserError("--noise, --teacher and --jobs are for the trainings of --cv")
    check_judging()
    if page is not None:
        from audiomon.lab.pictures import check_drawing

        check_drawing()  # before minutes of work
    settings = load_settings(config_path, model=model, hop_s=hop_s, interpreter=interpreter)
    if cross:
        manifest, _ = read_manifest(find_package(settings.config.model, settings.folder))
        hop_s = settings.config.asked_hop_s(manifest.input.window_s)
        if "taught_on" in manifest.training:
            from audiomon.lab.teach.teaching import teach_again

            with features_bar() as advance:
                judgement = teach_again(manifest, dataset, advance, background=background_folder, skip_bad=skip_bad)
        else:
            judgement = _cross_validated(manifest, dataset, noise, teacher_folder, skip_bad, jobs, hop_s)
    else:
        loading = LoadingModel(settings)
        manifest = loading.package.manifest
        hop_s = settings.config.asked_hop_s(manifest.input.window_s)
        sounds = relabelled(dataset, find_sounds(dataset), manifest.labels, _pairs(renamed), others)
        if held_out:
            sounds = _held_out(manifest, dataset, sounds)
        classifier = loading.classifier()
        heard = _heard(sounds, classifier, loading.rules, hop_s, skip_bad)
        judgement = judge(heard, manifest.labels, tuple(loading.rules.thresholds))
    title = f"{manifest.name} on {dataset.name}" + (f": {len(judgement.folds)}-fold cross-validation" if cross else "")
    click.echo(msgspec.json.encode(plain(judgement)).decode() if as_json else text(judgement, title))
    if page is not None:
        from audiomon.lab.evaluate.page import write_page

        write_page(page, judgement, title, f"audiomon evaluate {manifest.name} {dataset.name}" + " --cv" * cross)
        click.echo(f"{page}: written", err=True)
    if export is not None:
        count = export_mistakes(judgement.mistakes, dataset, export)
        click.echo(f"{export}: {count} clips written; listen, move each to the right folder, and train again", err=True)


def _heard(
    sounds: list[Sound], classifier: Classifier, rules: DecisionRules, hop_s: float, skip_bad: bool
) -> list[HeardSound]:
    heard, bad = [], []
    hidden = not sys.stderr.isatty()
    with click.progressbar(sounds, label="Listening", file=sys.stderr, hidden=hidden) as bar:
        for sound in bar:
            try:
                heard.append(hear(sound, classifier, rules, hop_s))
            except InputError as error:
                bad.append(str(error))
    if bad and not (skip_bad and heard):
        raise InputError(f"{'; '.join(bad[:8])}{' …' * (len(bad) > 8)}; --skip-bad to judge without")
    for reason in bad:
        click.echo(f"audiomon: left out: {reason}", err=True)
    return heard


def _cross_validated(
    manifest: Manifest,
    dataset: Path,
    noise: Path | None,
    teacher_folder: Path | None,
    skip_bad: bool,
    jobs: int | None,
    hop_s: float,
) -> Judgement:
    from audiomon.lab.train.cross_validation import fold_jobs, hear_folds
    from audiomon.lab.train.packaging import judge_heard
    from audiomon.lab.train.preparation import prepare
    from audiomon.lab.train.teacher import Teacher
    from audiomon.lab.train.training import cores, forget, run_jobs

    settings = _trained_so(manifest, "settings", TrainingSettings)
    if manifest.training.get("noise_recordings") and noise is None:
        raise UserError(f"{manifest.name}: was trained with --noise FOLDER; name the folder here too")
    if settings.teacher and teacher_folder is None:
        raise UserError(f"{manifest.name}: was trained with --teacher, {settings.teacher}; name its folder here too")
    teacher = Teacher(teacher_folder, settings.teacher_labels) if teacher_folder else None
    if teacher is not None and teacher.fingerprint != settings.teacher:
        raise UserError(f"--teacher: {manifest.name} was taught by {settings.teacher}, which is another package")
    split = _trained_so(manifest, "split", Split)
    with features_bar() as advance:
        prepared = prepare(dataset, split, settings, advance, noise=noise, skip_bad=skip_bad, teacher=teacher)
    processes = min(jobs or cores(), len(prepared.folds))
    trainings = fold_jobs(prepared, settings, shared_threads(processes))
    with training_bar(trainings) as epoch_done:
        trained = run_jobs(trainings, processes, epoch_done)
    heard, _ = hear_folds(prepared, settings, trained, hop_s)
    judgement = judge_heard(heard, prepared.labels, settings)
    forget(trainings)
    return judgement


def _trained_so(manifest: Manifest, key: str, kind: type[Kept]) -> Kept:
    try:
        return msgspec.convert(manifest.training[key], kind)
    except (KeyError, msgspec.ValidationError):
        raise ModelError(
            f"{manifest.name}: does not say how it was trained: only models of `audiomon train` can be trained again"
        ) from None


def _held_out(manifest: Manifest, dataset: Path, sounds: list[Sound]) -> list[Sound]:
    fold = manifest.training.get("held_fold")
    if fold is None:
        raise ModelError(f"{manifest.name}: held nothing out when it was trained; --cv judges how it was trained")
    split = _trained_so(manifest, "split", Split)
    divided = divide(dataset, sounds, split)
    if manifest.training.get("division", "") not in ("", division_digest(divided)) and is_dealt(dataset, split):
        raise InputError(
            f"{dataset}: its folds are dealt out by chance, and it has changed since {manifest.name} was trained, so "
            f"what was held out is not known; next time train with --folds or split.csv"
        )
    held = [sound for sound in divided if sound.fold == fold]
    if not held:
        raise InputError(f"{dataset}: has no fold {fold!r}, which {manifest.name} held out")
    return held


def _pairs(renamed: tuple[str, ...]) -> dict[str, str]:
    for pair in renamed:
        if "=" not in pair:
            raise UserError(f"--label {pair}: must be FOLDER=LABEL, as in rain=background")
    return dict(pair.split("=", 1) for pair in renamed)
