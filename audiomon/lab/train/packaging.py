"""From a finished training to model packages on disk: proved, judged, with card and pictures.

The float32 package and its int8 sister ``NAME-int8``. What fails leaves the packages that were there whole.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from audiomon.config import Decisions, decision_rules
from audiomon.errors import AudiomonError, ModelError
from audiomon.lab.convert import Precision
from audiomon.lab.convert_package import not_close, self_test_tolerance
from audiomon.lab.evaluate.hearing import DEFAULT_HOP_S, HeardSound, hear, unwritten
from audiomon.lab.evaluate.judgement import Judgement, judge
from audiomon.lab.evaluate.report import number
from audiomon.lab.pictures import (
    confusion_picture,
    curves_picture,
    precision_recall_picture,
    reliability_picture,
    spectrograms_picture,
)
from audiomon.lab.proof import Proof, ProofError, prove
from audiomon.lab.train.card import CardFacts, model_card
from audiomon.lab.train.dataset import BACKGROUND, Sound, Split
from audiomon.lab.train.drawing import plain_windows
from audiomon.lab.train.fitting import Trained
from audiomon.lab.train.preparation import Prepared
from audiomon.lab.train.settings import TrainingSettings
from audiomon.models.importing.write import write_package
from audiomon.models.interpreter import installed_backends
from audiomon.models.manifest import Manifest

_INT8 = "-int8"


@dataclass(frozen=True, slots=True)
class Result:
    """A training and all that its package says of it.

    Attributes:
        output: folder of the package.
        trained: the network that ships.
        prepared: the data set.
        settings: of the training.
        split: of the data set.
        held_fold: that it did not learn from; None if it learned from all.
        heard: recordings that its figures come from; empty for none.
        cross_validated: whether those were heard by a model for each fold.
        command: that trained.
        description: one line.
        license: of weights and data.
        notes: Markdown that ends the card, such as credits; or nothing.
        decisions: that the package will have; None for those of the settings.
    """

    output: Path
    trained: Trained
    prepared: Prepared
    settings: TrainingSettings
    split: Split
    held_fold: str | None
    heard: list[HeardSound]
    cross_validated: bool
    command: str
    description: str
    license: str
    notes: str
    decisions: Decisions | None = None


def int8_folder(output: Path) -> Path:
    """Return the folder of a package's int8 sister."""
    return output.with_name(output.name + _INT8)


def manifest_of(name: str, labels: tuple[str, ...], settings: TrainingSettings) -> Manifest:
    """Return the manifest of a model that is trained so, with what training alone decides."""
    decisions = settings.decisions
    if BACKGROUND in labels:
        decisions = msgspec.structs.replace(decisions, deny=(BACKGROUND,))
    return Manifest(
        format=1, name=name, description=name, sha256="0" * 64, labels=labels, input=settings.spec, self_test=(),
        license="not stated", decisions=decisions,
    )  # fmt: skip


def hear_held(
    sounds: list[Sound],
    content: bytes,
    labels: tuple[str, ...],
    settings: TrainingSettings,
    hop_s: float = DEFAULT_HOP_S,
) -> list[HeardSound]:
    """Play recordings to a model that has not been written yet."""
    classifier = unwritten(manifest_of("trained", labels, settings), content)
    return [hear(sound, classifier, hop_s=hop_s) for sound in sounds]


def judge_heard(heard: list[HeardSound], labels: tuple[str, ...], settings: TrainingSettings) -> Judgement:
    """Judge by the decisions that the package will have."""
    rules = decision_rules(labels, manifest_of("trained", labels, settings).decisions, Decisions())
    return judge(heard, labels, tuple(rules.thresholds))


def write_result(result: Result) -> tuple[dict[Path, Proof], Judgement | None]:
    """Prove, judge and write.

    Returns:
        The packages written, and how each compares with Keras; and the judgement, None if nothing was heard.

    Raises:
        ProofError: a converted model does not answer as Keras does; nothing is written.
        ModelError: a package cannot be written; the one that was there is whole.
    """
    labels = result.prepared.labels
    trained = result.trained
    proofs = {
        precision: prove(content, installed_backends(), trained.compared, trained.labelled)
        for precision, content in trained.contents.items()
    }
    if not proofs["float32"].is_close:
        raise ProofError(not_close(proofs["float32"]))
    judgement = judge_heard(result.heard, labels, result.settings) if result.heard else None
    pictures = _pictures(result, judgement)
    card = model_card(_facts(result, judgement, proofs, tuple(pictures)))
    written: dict[Path, Proof] = {}
    for precision, content in trained.contents.items():
        folder = result.output if precision == "float32" else int8_folder(result.output)
        manifest = _manifest(result, folder.name, precision, proofs[precision], judgement)
        text = card if precision == "float32" else _sister_card(result, folder.name, proofs[precision])
        write_package(folder, content, manifest, text, tolerance=self_test_tolerance(precision, proofs[precision]))
        written[folder] = proofs[precision]
    _write_pictures(result.output, pictures)
    return written, judgement


def check_target(output: Path, replace: bool, int8: bool) -> None:
    """Refuse early what would be in the way.

    Args:
        output: folder of the package.
        replace: whether packages that are there may be replaced.
        int8: whether its sister is to be written.

    Raises:
        ModelError: there is a package already, or the name cannot be a package's.
    """
    try:
        msgspec.convert(manifest_of(output.name, ("a",), TrainingSettings()).name, Manifest.__annotations__["name"])
    except msgspec.ValidationError:
        raise ModelError(
            f"{output}: cannot be a package's name; letters, digits, '.', '_' and '-' can, and it begins with a letter "
            f"or digit"
        ) from None
    for folder in (output, int8_folder(output)) if int8 else (output,):
        if (folder / "model.yaml").exists() and not replace:
            raise ModelError(f"{folder}: is a model package already; --replace to replace it")
    sister = int8_folder(output)
    if not int8 and (sister / "model.yaml").exists():
        raise ModelError(f"{sister}: would be of another model than {output.name}; remove it, or go without --no-int8")


def _facts(result: Result, judgement: Judgement | None, proofs: dict[Precision, Proof], pictures: Any) -> CardFacts:
    folder, name = result.prepared.folder.name, result.output.name
    held = result.held_fold
    trained_on = "all of them" if held is None else f"all but fold {held}"
    if result.settings.patience:
        trained_on += f", with fold {result.prepared.watched(held)} set aside to stop early by"
    if result.cross_validated:
        heard, total = len(result.heard), len(result.prepared.sounds)
        which = (
            "every recording" if heard == total else f"{heard} of {total} recordings (the rest is only learned from)"
        )
        judged_on = f"{which}, by models trained on the other folds"
        check = f"audiomon evaluate models/{name} {folder} --cv"
        if result.settings.teacher:
            check += f" --teacher models/{result.settings.teacher.partition('@')[0]}"
    elif held is not None:
        judged_on = f"fold {held}, which it did not learn from"
        check = f"audiomon evaluate models/{name} {folder} --held-out"
    else:
        judged_on = check = ""
    return CardFacts(
        name, result.description, result.license, result.notes, result.prepared, result.settings,
        result.trained.parameters, len(result.trained.epochs), trained_on, judged_on, judgement, result.command, check,
        {str(precision): proof for precision, proof in proofs.items()}, pictures,
    )  # fmt: skip


def _manifest(result: Result, name: str, precision: Precision, proof: Proof, judgement: Judgement | None) -> Manifest:
    figures: dict[str, Any] = {}
    if judgement is not None:
        figures = {
            "judged_by": "cross-validation" if result.cross_validated else f"fold {result.held_fold}",
            "clip_accuracy": number(judgement.clips.accuracy),
            "window_accuracy": number(judgement.windows.accuracy),
            "folds": {fold: number(accuracy) for fold, accuracy in judgement.folds.items()},
        }
    training = {
        "command": result.command,
        "data": f"{result.prepared.folder.name}: {len(result.prepared.sounds)} recordings",
        "noise_recordings": len(result.prepared.noise),
        "precision": precision,
        "largest_difference_from_keras": float(f"{proof.largest_difference:.3g}"),
        **figures,
        "held_fold": result.held_fold,
        "division": result.prepared.division,
        "split": msgspec.to_builtins(result.split),
        "settings": result.settings.plain(),
    }
    settings = msgspec.structs.replace(result.settings, decisions=result.decisions or result.settings.decisions)
    base = manifest_of(name, result.prepared.labels, settings)
    return msgspec.structs.replace(base, description=result.description, license=result.license, training=training)


def _sister_card(result: Result, name: str, proof: Proof) -> str:
    agreement = proof.agreements[-1]
    accuracy = proof.accuracy
    right = f"; right on {accuracy.converted} where Keras is on {accuracy.original}" if accuracy else ""
    return (
        f"# {name}: {result.description}\n\n"
        f"The network of [`{result.output.name}`](../{result.output.name}/README.md), which has the card, in 8 bits: "
        f"weights,\nactivations, input and output. Of {agreement.windows} {agreement.inputs} windows it gives the same "
        f"label as Keras for {agreement.same_label}{right}.\n\n## Licence\n\n{result.license}\n"
    )


def _pictures(result: Result, judgement: Judgement | None) -> dict[str, bytes]:
    pictures = {"training.png": curves_picture(result.trained.epochs, f"{result.output.name}: training")}
    if judgement is not None:
        clips = judgement.clips
        pictures["confusion.png"] = confusion_picture(clips, "recordings: what they were taken for")
        pictures["precision-recall.png"] = precision_recall_picture(clips, "recordings")
        pictures["reliability.png"] = reliability_picture(judgement.windows, "windows")
    materials = result.prepared.materials
    examples = {
        label: plain_windows([next(one for one in materials if one.label == number_)], result.settings.spec, 1)[0][0]
        for number_, label in enumerate(result.prepared.labels)
    }
    pictures["spectrograms.png"] = spectrograms_picture(examples, result.settings.spec)
    return pictures


def _write_pictures(folder: Path, pictures: dict[str, bytes]) -> None:
    try:
        with tempfile.TemporaryDirectory(prefix=".pictures-", dir=folder.parent) as scratch:
            for name, content in pictures.items():
                (Path(scratch) / name).write_bytes(content)
            for name in pictures:
                os.replace(Path(scratch) / name, folder / name)
    except OSError as error:
        raise AudiomonError(f"{folder}: the model is written, but its pictures cannot be: {error.strerror}") from None
