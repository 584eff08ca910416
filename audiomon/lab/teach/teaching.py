"""From a base and a folder of recordings to a model package: judged, with a card. What ``audiomon train --on`` does."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from audiomon.config import DecisionRules, Decisions, decision_rules
from audiomon.errors import AudiomonError, InputError, ModelError
from audiomon.lab.evaluate.hearing import HeardSound, unwritten
from audiomon.lab.evaluate.judgement import Judgement, judge
from audiomon.lab.evaluate.report import number
from audiomon.lab.teach.card import CardFacts, teaching_card
from audiomon.lab.teach.embeddings import Ear
from audiomon.lab.teach.examples import Advance, Examples, prepare
from audiomon.lab.teach.fitting import fit, hear_with
from audiomon.lab.teach.fusing import Embedding, Head, find_embedding, fused
from audiomon.lab.teach.settings import TeachingSettings
from audiomon.lab.train.dataset import BACKGROUND, TEST, Split
from audiomon.models.checking_process import CheckingProcess
from audiomon.models.importing.write import write_package
from audiomon.models.interpreter import choose_backend
from audiomon.models.manifest import Manifest, OutputSpec
from audiomon.models.package import ModelPackage, find_package, read_package

# What a fused model may differ by from embedding and head, computed one after the other.
_MAX_DIFFERENCE = 1e-5
_PROVED_WINDOWS = 8
# As for any added model: one that calculates with integers turns the last bit of a sum into a step.
_SELF_TEST_TOLERANCE, _SELF_TEST_TOLERANCE_INTEGERS = 0.001, 0.2


@dataclass(frozen=True, slots=True)
class Base:
    """A network to stand on.

    Attributes:
        package: the network's.
        embedding: which of its tensors.
    """

    package: ModelPackage
    embedding: Embedding


@dataclass(frozen=True, slots=True)
class Taught:
    """A head, and all that is to be said of it.

    Attributes:
        base: what it stands on.
        settings: how it was taught.
        examples: what from.
        head: the one that ships.
        held_fold: that it did not learn from; None if it learned from all.
        cross_validated: whether a head for each fold was judged.
        heard: recordings that the figures come from; empty for none.
        judgement: of them; None for none.
    """

    base: Base
    settings: TeachingSettings
    examples: Examples
    head: Head
    held_fold: str | None
    cross_validated: bool
    heard: list[HeardSound]
    judgement: Judgement | None


@dataclass(frozen=True, slots=True)
class Words:
    """What people say about a model.

    Attributes:
        command: that taught it.
        description: one line.
        license: of the recordings.
        notes: Markdown that ends the card; or nothing.
    """

    command: str
    description: str
    license: str
    notes: str


def open_base(name: str, wanted: str | None = None, sha256: str = "") -> Base:
    """Find a package to stand on, and have it checked.

    Args:
        name: as ``model:`` would have it.
        wanted: name of the tensor that is its embedding; None for the one before its scores.
        sha256: checksum that its network must have; empty for any.

    Raises:
        ModelError, ConfigError: there is none, it is another one, it does not work here, or it has no embedding.
        UserError: it has no such tensor.
    """
    package = read_package(find_package(name, Path.cwd()))
    there = package.manifest.sha256
    if sha256 not in ("", there):
        raise ModelError(
            f"{package.folder}: has the checksum {there[:12]}…; the one that was built on has {sha256[:12]}…"
        )
    CheckingProcess(package.folder, choose_backend("auto")).wait()
    try:
        return Base(package, find_embedding(package.content, package.manifest.output.tensor, wanted))
    except AudiomonError as error:
        raise type(error)(f"{package.weights}: {error}") from None


def settings_for(base: Base, *, many: bool, decisions: Decisions, background_recordings: int = 0) -> TeachingSettings:
    """Return the settings of a teaching, the rest as measured best."""
    defaults = TeachingSettings("", "", "")
    given = {
        key: value for key, value in msgspec.structs.asdict(decisions).items()
        if value is not msgspec.UNSET and key != "labels"
    }  # fmt: skip
    return msgspec.structs.replace(
        defaults,
        base=base.package.manifest.name,
        base_sha256=base.package.manifest.sha256,
        embedding=base.embedding.name,
        many=many,
        decisions=msgspec.structs.replace(defaults.decisions, **given),
        background_recordings=background_recordings,
    )


def teach(
    base: Base,
    folder: Path,
    split: Split,
    settings: TeachingSettings,
    advance: Advance,
    *,
    hold_out: str | None = None,
    background: Path | None = None,
    skip_bad: bool = False,
) -> Taught:
    """Fit a head for each fold to judge, and one to everything to ship; or, with a fold held out, that one alone.

    Args:
        base: what it stands on.
        folder: of recordings, a subfolder for each class.
        split: how they are divided.
        settings: how it is taught.
        advance: called with the progress.
        hold_out: fold that is only judged on; ``none`` to judge nothing; None for cross-validation.
        background: folder of recordings of what no label means, or None.
        skip_bad: leave out what cannot be used instead of refusing.

    Raises:
        InputError: the recordings cannot be learned from.
    """
    ear = Ear(base.package, base.embedding)
    examples = prepare(
        folder, split, ear, advance, generated=settings.generated, background=background, skip_bad=skip_bad
    )
    settings = msgspec.structs.replace(settings, background_recordings=examples.background_recordings)
    held = _held(examples, hold_out)
    cross = hold_out is None
    heads = {held: fit(examples, held, settings)}
    if cross:
        if len(examples.folds) < 2:
            raise InputError(
                f"{folder}: has {len(examples.folds)} fold; cross-validation needs 2, --hold-out none does without"
            )
        heads |= {fold: fit(examples, fold, settings) for fold in examples.folds}
    rules = rules_of(examples.labels, settings)
    judged = examples.folds if cross else [held] if held is not None else []
    heard = [
        hear_with(example, heads[fold], examples.labels, rules)
        for fold in judged
        for example in examples.examples
        if example.sound.fold == fold
    ]
    judgement = judge(heard, examples.labels, tuple(rules.thresholds)) if heard else None
    return Taught(base, settings, examples, heads[held], held, cross, heard, judgement)


def teach_again(
    manifest: Manifest, folder: Path, advance: Advance, *, background: Path | None, skip_bad: bool
) -> Judgement:
    """Cross-validate the way a package was taught.

    Raises:
        ModelError: it was not taught, or its base is another one now.
        InputError: the recordings cannot be learned from.
    """
    try:
        settings = msgspec.convert(manifest.training["settings"], TeachingSettings)
        split = msgspec.convert(manifest.training["split"], Split)
    except (KeyError, msgspec.ValidationError):
        raise ModelError(f"{manifest.name}: does not say how it was taught") from None
    if settings.background_recordings and background is None:
        raise InputError(f"{manifest.name}: was taught with --background FOLDER; name the folder here too")
    base = open_base(settings.base, settings.embedding, settings.base_sha256)
    judgement = teach(base, folder, split, settings, advance, background=background, skip_bad=skip_bad).judgement
    assert judgement is not None  # cross-validation hears every fold
    return judgement


def write_taught(output: Path, taught: Taught, words: Words) -> float:
    """Fuse, prove and write.

    Returns:
        The largest difference between the fused model's scores and those of embedding and head, one after the other.

    Raises:
        ModelError: they differ, or the package cannot be written; one that was there is whole.
    """
    base = taught.base
    content = fused(base.package.content, base.embedding, taught.head)
    manifest = _manifest(output.name, taught, words)
    difference = _difference(manifest, content, taught)
    if not difference <= _MAX_DIFFERENCE:
        raise ModelError(
            f"{output}: the fused model differs by {difference:.2g} from embedding and head; it is not written"
        )
    tolerance = _SELF_TEST_TOLERANCE_INTEGERS if base.embedding.quantised else _SELF_TEST_TOLERANCE
    card = teaching_card(facts_of(output.name, taught, words, difference))
    write_package(output, content, manifest, card, tolerance=tolerance)
    return difference


def rules_of(labels: tuple[str, ...], settings: TeachingSettings) -> DecisionRules:
    """Return when scores become events: as the package will say."""
    return decision_rules(labels, _decisions(settings), Decisions())


def _decisions(settings: TeachingSettings) -> Decisions:
    return msgspec.structs.replace(settings.decisions, deny=(BACKGROUND,))


def _held(examples: Examples, wanted: str | None) -> str | None:
    if wanted in (None, "none"):
        return None
    if wanted not in examples.folds:
        there = ", ".join(examples.folds) or TEST
        raise InputError(f"--hold-out {wanted}: there is no such fold; there are {there}")
    return wanted


def _difference(manifest: Manifest, content: bytes, taught: Taught) -> float:
    """Compare on random windows, and on one as loud as it can be."""
    rng = np.random.default_rng(4)
    classifier = unwritten(manifest, content)
    ear = Ear(taught.base.package, taught.base.embedding)
    shape = classifier.spec.shape
    worst = 0.0
    for _ in range(_PROVED_WINDOWS):
        window = (rng.standard_normal(shape) * 10 ** rng.uniform(-3, 0)).astype(np.float32)
        embedding = ear.classifier.scores(window)[np.newaxis]
        apart = taught.head.scores(ear.features(embedding))[0]
        worst = max(worst, float(np.abs(classifier.scores(window) - apart).max()))
    return worst


def _manifest(name: str, taught: Taught, words: Words) -> Manifest:
    base, settings, examples, judgement = (
        taught.base.package.manifest,
        taught.settings,
        taught.examples,
        taught.judgement,
    )
    figures: dict[str, Any] = {}
    if judgement is not None:
        figures = {
            "judged_by": "cross-validation" if taught.cross_validated else f"fold {taught.held_fold}",
            "clip_accuracy": number(judgement.clips.accuracy),
            "window_accuracy": number(judgement.windows.accuracy),
            "folds": {fold: number(accuracy) for fold, accuracy in judgement.folds.items()},
        }
    return Manifest(
        format=1,
        name=name,
        description=words.description,
        sha256="0" * 64,
        labels=examples.labels,
        input=base.input,
        self_test=(),
        license=_license(base, words.license),
        output=OutputSpec(activation="sigmoid" if settings.many else "softmax"),
        decisions=_decisions(settings),
        training={
            "command": words.command,
            "taught_on": base.name,
            "base": {
                "name": base.name,
                "sha256": base.sha256,
                "license": base.license,
                "from": base.training.get("added_from", ""),
            },
            "data": f"{examples.folder.name}: {len(examples.examples)} recordings",
            **figures,
            "held_fold": taught.held_fold,
            "division": examples.division,
            "split": msgspec.to_builtins(examples.split),
            "settings": settings.plain(),
        },
    )


def _license(base: Manifest, recordings: str) -> str:
    return f"{base.name}: {base.license}; the recordings it was taught with: {recordings}"


def facts_of(name: str, taught: Taught, words: Words, difference: float) -> CardFacts:
    """Return what the card of a package of that name says."""
    folder = taught.examples.folder.name
    how = " --cv" if taught.cross_validated else " --held-out" if taught.held_fold else ""
    more = " --background FOLDER" if taught.settings.background_recordings and taught.cross_validated else ""
    return CardFacts(
        name=name,
        description=words.description,
        license=_license(taught.base.package.manifest, words.license),
        notes=words.notes,
        command=words.command,
        check=f"audiomon evaluate models/{name} {folder}{how}{more}" if how else "",
        settings=taught.settings,
        examples=taught.examples,
        head=taught.head,
        window_s=taught.base.package.manifest.input.window_s,
        judgement=taught.judgement,
        judged_on="every recording, by heads that were taught without its fold"
        if taught.cross_validated
        else f"fold {taught.held_fold}, which it did not learn from",
        difference=difference,
    )
