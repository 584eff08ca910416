"""Corrects a model by recordings that it heard wrongly, and leaves it what it knew: ``audiomon train --from``.

What the model learned from is not there, so it teaches itself: its answers to all else that can be had (generated
sounds, its package's sample, the recordings that it hears rightly) are to stay. The network and its weights stay too;
near the recordings that it heard wrongly, and as far around them as hardly any of those answers changes, an exception
is made.
"""

import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.config import Decisions, decision_rules
from audiomon.errors import InputError, ModelError, UserError
from audiomon.lab.evaluate.hearing import unwritten
from audiomon.lab.teach.embeddings import Ear, embed_all
from audiomon.lab.teach.examples import Advance, Example, refuse_unusable
from audiomon.lab.teach.fitting import heard_as
from audiomon.lab.teach.fusing import Exceptional, Head, corrected, scoring_layer
from audiomon.lab.teach.teaching import Base, Words, open_base
from audiomon.lab.train.dataset import Sound, Split, divide, division_digest, find_sounds, is_dealt, named
from audiomon.models.importing.write import write_package
from audiomon.models.package import find_package, read_package

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

# Sounds of nothing in particular, to which the old answers are to stay.
GENERATED = 660
# Cosines from which on a sound may be taken for one that was corrected: from loose to almost the same.
_REACHES = tuple(np.round(np.arange(0.80, 0.996, 0.005), 3))
# Of the old answers with any one label, this part may change.
_MAX_CHANGED = 0.01
# A corrected window is to score this, and the exception at most this much for it.
_SURE_LOGIT = float(np.log(9))
_MAX_STRENGTH = 30.0
# Examples nearer to each other than this are one; more than these are not kept.
_SAME = 0.99
_MAX_EXAMPLES = 200
_MAX_DIFFERENCE = 1e-4
_PROVED_WINDOWS = 8
_SELF_TEST_TOLERANCE = 0.001
_CORRECTED_FROM = "corrected_from"
# For `divide`: all in one fold, to learn the sources; and each recording a source.
_ONE_FOLD, _BY_CLIP = "^", r"([^/]+)$"


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction, and all that is to be said of it.

    Attributes:
        base: what is corrected.
        folder: of the recordings.
        sounds: the recordings.
        exceptions: what is added to the model.
        before: how many recordings it reported as what they are, and as nothing else.
        after: how many the corrected one does, each by a correction that was made without its source; None if there is
            one recording.
        learned: how many it does that it was corrected with.
        kept: windows of all else that have the label that they had.
        guards: windows of all else.
        left_out: recordings that cannot be used, and why.
    """

    base: Base
    folder: Path
    sounds: list[Sound]
    exceptions: list[Exceptional]
    before: int
    after: int | None
    learned: int
    kept: int
    guards: int
    left_out: dict[str, str]


class _Model:
    """The model as arithmetic: scores of embeddings, with any exceptions."""

    def __init__(self, base: Base) -> None:
        manifest = base.package.manifest
        self.labels = manifest.labels
        self.rules = decision_rules(manifest.labels, manifest.decisions, Decisions())
        if manifest.output.calibration is not None:
            raise ModelError(f"{base.package.folder}: cannot be corrected: its scores are calibrated")
        self.head: Head = scoring_layer(base.package.content, manifest.output.tensor)
        self.ear = Ear(base.package, base.embedding)

    def scores(self, embeddings: Float32, exceptions: list[Exceptional]) -> Float32:
        scores = self.head.scores(embeddings)
        if exceptions:
            features = self.ear.features(embeddings)
            for one in exceptions:
                scores[:, one.label] *= np.exp(one.added(features))
            scores /= scores.sum(axis=1, keepdims=True)
        return scores


def open_correctable(name: str) -> Base:
    """Find a package that can be corrected, and have it checked.

    Args:
        name: as ``model:`` would have it.

    Raises:
        UserError: it is a correction itself.
        ModelError, ConfigError: there is none, it does not work here, or its scores are made in another way.
    """
    package = read_package(find_package(name, Path.cwd()))
    before = package.manifest.training.get(_CORRECTED_FROM)
    if before:
        raise UserError(
            f"{package.folder}: is {before}, corrected: correct {before} with the recordings of then and now"
        )
    base = open_base(name)
    _Model(base)
    return base


def correct(
    base: Base, folder: Path, split: Split, advance: Advance, *, generated: int = GENERATED, skip_bad: bool = False
) -> Correction:
    """Correct a model.

    Args:
        base: the model.
        folder: of recordings, a subfolder for each of its labels; at least one of which it hears wrongly.
        split: which recordings belong together.
        advance: called with the progress.
        generated: how many sounds to generate, to which its answers are to stay.
        skip_bad: leave out what cannot be used instead of refusing.

    Raises:
        InputError: the recordings cannot be used, or none of them is heard wrongly.
    """
    model, labels = _Model(base), base.package.manifest.labels
    found = find_sounds(folder)
    count = _Counted(advance, len(found) + generated)
    examples, left_out = _examples(folder, found, labels, split, model.ear, count, skip_bad=skip_bad)
    guards = _guards(base, model, generated, count)
    exceptions = _exceptions(model, labels, examples, guards)
    if not exceptions:
        raise InputError(f"{folder}: {base.package.manifest.name} hears all {len(examples)} recordings rightly already")
    everything = np.concatenate([guards, *_right(model, labels, examples)])
    was, now = (model.scores(everything, given).argmax(axis=1) for given in ([], exceptions))
    return Correction(
        base, folder, [one.sound for one in examples], exceptions,
        before=sum(_is_right(model, one, []) for one in examples),
        after=_judged(model, labels, examples, guards),
        learned=sum(_is_right(model, one, exceptions) for one in examples),
        kept=int((was == now).sum()), guards=len(everything), left_out=left_out,
    )  # fmt: skip


def write_corrected(output: Path, correction: Correction, words: Words) -> None:
    """Write the corrected model, proved to score as it should.

    Raises:
        ModelError: it does not, or the package cannot be written; one that was there is whole.
    """
    package = correction.base.package
    manifest = package.manifest
    content = corrected(package.content, correction.base.embedding, correction.exceptions, manifest.output.tensor)
    licence = f"{manifest.license}; the recordings it was corrected with: {words.license}"
    training: dict[str, Any] = {
        "command": words.command,
        _CORRECTED_FROM: manifest.name,
        "base_sha256": manifest.sha256,
        "data": f"{correction.folder.name}: {len(correction.sounds)} recordings",
        "division": division_digest(correction.sounds),
        "right_before": correction.before,
        "right_after": correction.after,
        "kept": f"{correction.kept} of {correction.guards} other windows",
    }
    written = msgspec.structs.replace(
        manifest, name=output.name, description=words.description, license=licence, training=training, self_test=(),
        output=msgspec.structs.replace(manifest.output, tensor=None),
    )  # fmt: skip
    difference = _difference(correction, unwritten(written, content).scores)
    if not difference <= _MAX_DIFFERENCE:
        raise ModelError(f"{output}: the corrected model differs by {difference:.2g} from what it was judged as")
    write_package(output, content, written, _card(output.name, correction, words), tolerance=_SELF_TEST_TOLERANCE)
    for sample in package.folder.glob("sample.*"):
        shutil.copy(sample, output / sample.name)


class _Counted:
    """Counts what has been heard, and passes that on."""

    def __init__(self, advance: Advance, total: int) -> None:
        self._advance, self._total, self._done = advance, total, 0

    def __call__(self, one: int) -> None:
        self._done += one
        self._advance("Listening", self._total, self._done)


def _examples(
    folder: Path, found: list[Sound], labels: tuple[str, ...], split: Split, ear: Ear, count: _Counted, *,
    skip_bad: bool,
) -> tuple[list[Example], dict[str, str]]:  # fmt: skip
    strange = sorted({sound.label for sound in found} - set(labels))
    if strange:
        raise InputError(
            f"{folder / strange[0]}: the model has no label {strange[0]!r}; it has {', '.join(labels)}. "
            f"`audiomon train --on` teaches new ones"
        )
    embedded, bad = embed_all(found, ear, count)
    usable = refuse_unusable(folder, found, embedded, bad, ear, skip_bad=skip_bad)
    sounds = _divided(folder, [sound for sound, _ in usable], split)
    return [Example.of(sound, one, ear) for sound, (_, one) in zip(sounds, usable, strict=True)], bad


def _divided(folder: Path, sounds: list[Sound], split: Split) -> list[Sound]:
    """Divide by source; by recording where there is one source, since nothing could be judged otherwise."""
    if len(sounds) < 2:
        return sounds
    if split.groups is None and is_dealt(folder, split):
        sources = {one.group for one in divide(folder, sounds, msgspec.structs.replace(split, folds=_ONE_FOLD))}
        split = split if len(sources) > 1 else msgspec.structs.replace(split, groups=_BY_CLIP)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a label with fewer recordings than folds is in some of them
        return divide(folder, sounds, split)


def _guards(base: Base, model: _Model, generated: int, count: _Counted) -> Float32:
    """Return embeddings of what the model's answer to is to stay: shape (n, size)."""
    parts = [model.ear.generated(generated, count)]
    samples = [Sound(path, path.name, "sample") for path in sorted(base.package.folder.glob("sample.*"))]
    parts += [model.ear.embedded(sample).heard.scores for sample in samples]
    return np.concatenate(parts)


def _own(labels: tuple[str, ...], example: Example) -> tuple[Float32, int]:
    """Return embeddings of the windows that hold a recording's sound, and its label's number."""
    return example.embedded.heard.scores[example.of_interest], labels.index(example.sound.label)


def _right(model: _Model, labels: tuple[str, ...], examples: list[Example]) -> list[Float32]:
    """Return the windows of recordings that are heard rightly, recording by recording."""
    found = []
    for one in examples:
        rows, label = _own(labels, one)
        found.append(rows[model.scores(rows, []).argmax(axis=1) == label])
    return found


def _exceptions(model: _Model, labels: tuple[str, ...], examples: list[Example], guards: Float32) -> list[Exceptional]:
    guards = np.concatenate([guards, *_right(model, labels, examples)])
    made: list[Exceptional] = []
    for label in range(len(labels)):
        own = [rows for rows, number in (_own(labels, one) for one in examples) if number == label]
        rows = np.concatenate([*own, guards[:0]])
        old = model.scores(rows, [])
        wrong = old.argmax(axis=1) != label
        if wrong.any():
            lacks = np.log(old[wrong].max(axis=1) / np.maximum(old[wrong][:, label], 1e-12))
            strength = float(min(_MAX_STRENGTH, lacks.max() + _SURE_LOGIT))
            made.append(_widest(model, label, _thinned(model.ear.features(rows[wrong])), strength, guards))
    return made


def _widest(model: _Model, label: int, examples: Float32, strength: float, guards: Float32) -> Exceptional:
    """Return the exception of the widest reach that leaves what was answered with any other label as it was."""
    was = model.scores(guards, []).argmax(axis=1)
    one = Exceptional(label, examples, _REACHES[-1], strength)
    for reach in _REACHES:
        one = Exceptional(label, examples, float(reach), strength)
        changed = was != model.scores(guards, [one]).argmax(axis=1)
        if all(changed[was == other].mean() <= _MAX_CHANGED for other in set(was.tolist()) - {label}):
            break
    return one


def _thinned(features: Float32) -> Float32:
    """Leave out what is almost another one."""
    kept = [features[0]]
    for row in features[1:]:
        if len(kept) < _MAX_EXAMPLES and max(float(row @ other) for other in kept) < _SAME:
            kept.append(row)
    return np.stack(kept)


def _is_right(model: _Model, example: Example, exceptions: list[Exceptional]) -> bool:
    """Say whether the daemon would report a recording as what it is: its own label, where that makes events, alone."""
    scores = model.scores(example.embedded.heard.scores, exceptions)
    reported = {event.label for event in heard_as(example, scores, model.labels, model.rules).events}
    return reported == {example.sound.label} & set(model.rules.thresholds)


def _judged(model: _Model, labels: tuple[str, ...], examples: list[Example], guards: Float32) -> int | None:
    folds = sorted({one.sound.fold for one in examples})
    if len(folds) < 2:
        return None
    right = 0
    for fold in folds:
        learned = [one for one in examples if one.sound.fold != fold]
        exceptions = _exceptions(model, labels, learned, guards)
        right += sum(_is_right(model, one, exceptions) for one in examples if one.sound.fold == fold)
    return right


def _difference(correction: Correction, scores: Any) -> float:
    """Compare the written model with what was judged, on random windows."""
    model = _Model(correction.base)
    rng = np.random.default_rng(4)
    shape = correction.base.package.manifest.input.shape
    worst = 0.0
    for _ in range(_PROVED_WINDOWS):
        window = (rng.standard_normal(shape) * 10 ** rng.uniform(-3, 0)).astype(np.float32)
        expected = model.scores(model.ear.classifier.scores(window)[np.newaxis], correction.exceptions)[0]
        worst = max(worst, float(np.abs(scores(window) - expected).max()))
    return worst


def figures(correction: Correction) -> str:
    """Say how good a correction is, in two lines."""
    count = len(correction.sounds)
    judged = (
        "with one source, none could be judged that it had not heard"
        if correction.after is None
        else f"{correction.after} of {count} by corrections that were made without their source"
    )
    changed = correction.guards - correction.kept
    return (
        f"recordings reported rightly: {correction.before} of {count} before, {correction.learned} after; {judged}\n"
        f"all else: {changed} of {correction.guards} windows have another label than before "
        f"({changed / correction.guards:.1%})"
    )


def _card(name: str, correction: Correction, words: Words) -> str:
    base, labels = correction.base.package.manifest, correction.base.package.manifest.labels
    counts = {label: sum(one.label == label for one in correction.sounds) for label in labels}
    rows = "\n".join(
        f"| {labels[one.label]} | {len(one.examples)} | {one.reach:.3f} | {one.strength:.1f} |"
        for one in correction.exceptions
    )
    notes = f"\n{words.notes.strip()}\n" if words.notes else ""
    return f"""# {name}: {words.description}

`{base.name}`, all of it, and exceptions for what it heard wrongly in
{len(correction.sounds)} recordings ({named(f"{label} {count}" for label, count in counts.items() if count)}).
This card is written by `audiomon train --from`; its figures come from the run that made it.

## How good it is

{figures(correction)}

All else is generated sounds, the sample of `{base.name}`, and the recordings that it heard rightly. What it was trained
on is not there; the card of `{base.name}` says how it was judged.

## How it was corrected

    {words.command}

| heard as | examples | from this cosine on | adds to the logit |
| --- | --- | --- | --- |
{rows}

## Licence

{base.license}; the recordings it was corrected with: {words.license}
{notes}"""
