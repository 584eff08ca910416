"""The model card that training writes: Markdown, every figure with the command that makes it again. Words only."""

from dataclasses import dataclass

from audiomon.lab.evaluate.hearing import ROOM_DBFS
from audiomon.lab.evaluate.judgement import Judgement
from audiomon.lab.evaluate.report import EXPLANATION, events_table, percent
from audiomon.lab.proof import Proof
from audiomon.lab.train.dataset import BACKGROUND
from audiomon.lab.train.preparation import Prepared
from audiomon.lab.train.settings import TrainingSettings

_NO_BACKGROUND = (
    " It has no class for a quiet room, and takes one for\nsome sound, too: those are among the false events above."
)
_OBVIOUS = ("kind", "center", "normalization")


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card says.

    Attributes:
        name: of the package.
        description: one line.
        license: of the weights and the data.
        notes: Markdown to end with, such as credits; or nothing.
        prepared: the data set.
        settings: of the training.
        parameters: of the network.
        epochs: that were run.
        trained_on: which recordings, in words.
        judged_on: which recordings, in words; nothing if none.
        judgement: of them; None if none.
        command: that trained.
        check: command that makes the figures again.
        proofs: comparison with Keras, by precision.
        pictures: file names.
    """

    name: str
    description: str
    license: str
    notes: str
    prepared: Prepared
    settings: TrainingSettings
    parameters: int
    epochs: int
    trained_on: str
    judged_on: str
    judgement: Judgement | None
    command: str
    check: str
    proofs: dict[str, Proof]
    pictures: tuple[str, ...]


def model_card(facts: CardFacts) -> str:
    """Return the card."""
    judged = _judged(facts, facts.judgement) if facts.judgement else "\nIt was not judged: nothing was held out.\n"
    counts = {label: sum(one.label == label for one in facts.prepared.sounds) for label in facts.prepared.labels}
    minutes = sum(one.duration_s for one in facts.prepared.materials) / 60
    notes = f"\n{facts.notes.strip()}\n" if facts.notes else ""
    pictures = "\n".join(f"![{name.removesuffix('.png')}]({name})" for name in facts.pictures)
    left_out = facts.prepared.left_out
    without = f" {len(left_out)} recordings were left out as unusable." if left_out else ""
    quiet = "" if BACKGROUND in counts else _NO_BACKGROUND
    return f"""# {facts.name}: {facts.description}

A network of {facts.parameters:,} parameters (`{facts.settings.network}`) that answers, for {_seconds(facts)} of sound,
which of {len(counts)} things it holds: {", ".join(counts)}.
This card is written by `audiomon train`; its figures come from the run that made these weights.

## How good it is
{judged}
## How it was trained

    {facts.command}

Data: `{facts.prepared.folder.name}`, {len(facts.prepared.sounds)} recordings, {minutes:.0f} minutes
({", ".join(f"{label} {count}" for label, count in counts.items())}).{without}
The weights that ship learned from {facts.trained_on}, in {facts.epochs} epochs.

| setting | value |
| --- | --- |
{_settings(facts.settings)}

The converted models answer as the Keras model does:

| form | runtime | windows | closest to Keras within | same label |
| --- | --- | --- | --- | --- |
{_proofs(facts.proofs)}

{pictures}

## What it does not do

It was judged on recordings like those that it learned from. Other microphones, rooms and sounds are another matter: of
a sound that is none of its classes, it still says the most similar one.{quiet}
Do not let anybody's safety depend on it.

## Licence

{facts.license}
{notes}"""


def _seconds(facts: CardFacts) -> str:
    return f"{facts.settings.spec.window_s:.2f} s"


def _judged(facts: CardFacts, judgement: Judgement) -> str:
    rows = zip(judgement.clips.per_class, judgement.windows.per_class, judgement.labels, strict=True)
    table = "\n".join(
        f"| {label} | {clip.count} | {percent(clip.precision)} | {percent(clip.recall)} | {percent(clip.f1)} "
        f"| {window.count} | {percent(window.precision)} | {percent(window.recall)} | {percent(window.f1)} |"
        for clip, window, label in rows
    )
    return f"""
Judged on {facts.judged_on}. These figures come from

    {facts.check}

{events_table(judgement.events)}

{" ".join(EXPLANATION)} Each recording is played once in a quiet room
({ROOM_DBFS:g} dBFS), to the daemon's windows and decisions.

What tells a trainer more than a user: {_headline(judgement)}

| class | recordings | precision | recall | F1 | windows | precision | recall | F1 |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
{table}

Windows are those that hold their recording's sound, by its A-weighted level; a recording's answer is the mean over
them. {_calibration(judgement)}
"""


def _headline(judgement: Judgement) -> str:
    if judgement.folds:
        mean = sum(judgement.folds.values()) / len(judgement.folds)
        folds = ", ".join(percent(accuracy) for accuracy in judgement.folds.values())
        return (
            f"**{percent(mean)} of recordings right**, the mean of {len(judgement.folds)} folds ({folds}); "
            f"{percent(judgement.windows.accuracy)} of windows."
        )
    return (
        f"**{percent(judgement.clips.accuracy)} of {len(judgement.clips.right)} recordings right**, "
        f"{percent(judgement.windows.accuracy)} of windows."
    )


def _calibration(judgement: Judgement) -> str:
    clips, windows = judgement.clips.calibration_error, judgement.windows.calibration_error
    return f"Calibration error: {clips:.3f} over recordings, {windows:.3f} over windows."


def _settings(settings: TrainingSettings) -> str:
    plain = settings.plain()
    spec = plain.pop("spec")
    steps = plain.pop("augmentation")
    plain["augmentation"] = ", ".join(name for name, on in steps.items() if on) or "none"
    plain["features"] = ", ".join(f"{key} {value}" for key, value in spec.items() if key not in _OBVIOUS and value)
    return "\n".join(f"| {key.replace('_', ' ')} | {value} |" for key, value in plain.items())


def _proofs(proofs: dict[str, Proof]) -> str:
    rows = []
    for precision, proof in proofs.items():
        rows += [
            f"| {precision} | {one.backend} {one.version} | {one.windows} {one.inputs} "
            f"| {one.largest_difference:.2g} | {one.same_label} |"
            for one in proof.agreements
        ]
        if proof.accuracy is not None:
            accuracy = proof.accuracy
            rows.append(
                f"| {precision} | right on {accuracy.windows} training windows | | "
                f"| {accuracy.converted} (Keras: {accuracy.original}) |"
            )
    return "\n".join(rows)
