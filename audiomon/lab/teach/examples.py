"""From a folder of recordings to what a head is fitted to: found, checked, divided, embedded, chosen by loudness."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.audio.folder import audio_files
from audiomon.errors import InputError
from audiomon.lab.teach.embeddings import Ear, Embedded, embed_all
from audiomon.lab.train.dataset import (
    BACKGROUND,
    SOURCES,
    Sound,
    Split,
    divide,
    division_digest,
    find_sounds,
    fold_names,
    is_dealt,
    named,
)

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
# Called with what is being done, how many steps that has, and how many are done now.
Advance = Callable[[str, int, int], None]

# Fewer say nothing about the next one.
MIN_CLIPS = 5
# A window holds a recording's sound when it is this much filled by it, and this near to its loudest window.
_FILLED = 0.95
_LOUD_WITHIN_DB = 20.0
# A window this far below the loudest holds none of it.
_QUIET_BELOW_DB = 35.0
# Up to here the band that is missing is one that a cheap microphone lacks as well.
_LOWEST_RATE = 0.7
# A day of background says no more than an hour, and takes the memory of a Pi.
_MAX_BACKGROUND_WINDOWS = 4000
_MAX_REASONS = 3
# Rules for `divide`: all in one fold, to learn the groups; and each clip a group, with what was cut out of it.
_ONE_FOLD = "^"
_BY_CLIP = r"([^/]+?)(?:-at-\d+\.\ds-taken-for-[^/]+)?\.[^./]+$"


@dataclass(frozen=True, slots=True)
class Example:
    """One recording to learn from or to be judged on.

    Attributes:
        sound: which, and its label and fold.
        embedded: the network's embedding of it.
        features: what a head reads, shape (n, size).
    """

    sound: Sound
    embedded: Embedded
    features: Float32

    @classmethod
    def of(cls, sound: Sound, embedded: Embedded, ear: Ear) -> "Example":
        """Return an embedded recording under the label and the fold that it has now."""
        heard = replace(embedded.heard, sound=sound)
        return cls(sound, replace(embedded, heard=heard), ear.features(heard.scores))

    @property
    def of_interest(self) -> Bool:
        """Windows that hold what the recording is named for, shape (n,); all of a background's."""
        filled = self._filled
        if self.sound.label == BACKGROUND:
            return filled
        level = self.embedded.level_db
        return np.asarray(filled & (level >= level[filled].max() - _LOUD_WITHIN_DB))

    @property
    def quiet(self) -> Bool:
        """Windows that hold nothing of it: the room around it, and its own pauses, shape (n,)."""
        filled, level = self._filled, self.embedded.level_db
        paused = filled & (level < level[filled].max() - _QUIET_BELOW_DB)
        return np.asarray(paused | (self.embedded.overlap <= 0))

    @property
    def _filled(self) -> Bool:
        overlap = self.embedded.overlap
        return np.asarray(overlap >= min(_FILLED, overlap.max()))


@dataclass(frozen=True, slots=True)
class Examples:
    """A data set, ready to be learned from.

    Attributes:
        folder: where it lies.
        labels: its classes in order, `BACKGROUND` among them whether there is a folder of it or not.
        examples: its recordings.
        background: features of what no label means and nothing is judged on, shape (n, size).
        background_recordings: how many recordings are in that.
        left_out: recordings that cannot be used, and why.
        division: digest of which recording is in which fold.
        split: how it was divided.
        one_session: labels whose recordings all come from one session, and are on both sides of a split all the same.
    """

    folder: Path
    labels: tuple[str, ...]
    examples: tuple[Example, ...]
    background: Float32
    background_recordings: int
    left_out: dict[str, str]
    division: str
    split: Split
    one_session: tuple[str, ...]

    @property
    def sounds(self) -> list[Sound]:
        """The recordings' names, labels and folds."""
        return [one.sound for one in self.examples]

    @property
    def folds(self) -> list[str]:
        """The folds that can be held out, in order."""
        return fold_names(self.sounds)

    def material(self, held: str | None) -> tuple[Float32, Int64]:
        """Return what there is to learn from without one fold: features, shape (n, size), and labels' numbers.

        Raises:
            InputError: a class is only in that fold.
        """
        rows: list[Float32] = [self.background]
        labels: list[Int64] = [np.full(len(self.background), self.labels.index(BACKGROUND))]
        learned = [one for one in self.examples if held is None or one.sound.fold != held]
        for one in learned:
            is_background = one.sound.label == BACKGROUND
            chosen = one.features[one.of_interest]
            pauses = one.features[:0] if is_background else one.features[one.quiet]
            rows += [chosen, pauses]
            labels.append(np.full(len(chosen), self.labels.index(one.sound.label)))
            labels.append(np.full(len(pauses), self.labels.index(BACKGROUND)))
        missing = set(self.labels) - {one.sound.label for one in learned} - {BACKGROUND}
        if missing:
            raise InputError(
                f"{self.folder}: {named(sorted(missing))}: nothing to learn from without fold {held}; the split leaves "
                f"a class on one side only: {SOURCES}"
            )
        return np.concatenate(rows), np.concatenate(labels)


def prepare(
    folder: Path,
    split: Split,
    ear: Ear,
    advance: Advance,
    *,
    generated: int,
    background: Path | None = None,
    skip_bad: bool = False,
) -> Examples:
    """Find, check and divide a data set's recordings, and embed them.

    Args:
        folder: a subfolder for each class.
        split: how it is divided.
        ear: the network.
        advance: called after every recording and generated sound.
        generated: how many sounds to generate as background.
        background: folder of recordings of what no label means, or None.
        skip_bad: leave out what cannot be used instead of refusing.

    Raises:
        InputError: the data set cannot be learned from; the message names files and reasons.
    """
    found = find_sounds(folder)
    _check_classes(folder, found)
    others = [] if background is None else [Sound(path, path.name, BACKGROUND) for path in audio_files(background)]
    total = len(found) + len(others) + generated
    done = 0

    def count(one: int) -> None:
        nonlocal done
        done += one
        advance("Listening", total, done)

    embedded, bad = embed_all(found, ear, count)
    usable = refuse_unusable(folder, found, embedded, bad, ear, skip_bad=skip_bad)
    sounds = [sound for sound, _ in usable]
    _check_classes(folder, sounds)
    sounds, split, one_session = _divided(folder, sounds, split)
    examples = tuple(Example.of(sound, one, ear) for sound, (_, one) in zip(sounds, usable, strict=True))
    heard, unusable = embed_all(others, ear, count)
    own = {one.embedded.digest: one.sound.path for one in examples}
    for sound, one in zip(others, heard, strict=True):
        if one is None:
            continue
        same = f"{sound.path}: is {own[one.digest]}, which has a class" if one.digest in own else ""
        if reason := _unusable(sound, one, ear) or same:
            unusable[sound.name] = reason
    if unusable and not skip_bad:
        raise InputError(_refusal(background or folder, unusable))
    recorded = [one for sound, one in zip(others, heard, strict=True) if one and sound.name not in unusable]
    labels = tuple(sorted({sound.label for sound in sounds} | {BACKGROUND}))
    return Examples(
        folder,
        labels,
        examples,
        background_features(ear, generated, count, recorded),
        len(recorded),
        bad | unusable,
        division_digest(sounds),
        split,
        one_session,
    )


def refuse_unusable(
    folder: Path, found: list[Sound], embedded: list[Embedded | None], bad: dict[str, str], ear: Ear, *, skip_bad: bool
) -> list[tuple[Sound, Embedded]]:
    """Return what can be learned from.

    Args:
        folder: of the recordings.
        found: the recordings.
        embedded: each of them, None for those that cannot be read.
        bad: why not, by name; what else cannot be used is added.
        ear: that heard them.
        skip_bad: leave it out instead of refusing.

    Raises:
        InputError: something cannot be used; the message names it.
    """
    for sound, one in zip(found, embedded, strict=True):
        if one is not None and (reason := _unusable(sound, one, ear)):
            bad[sound.name] = reason
    _refuse_useless(folder, found, embedded, ear)
    usable = [(sound, one) for sound, one in zip(found, embedded, strict=True) if one and sound.name not in bad]
    bad |= _duplicates(usable)
    if bad and not skip_bad:
        raise InputError(_refusal(folder, bad))
    if not usable:
        raise InputError(f"{folder}: none of {len(found)} recordings can be used: {next(iter(bad.values()))}")
    return [(sound, one) for sound, one in usable if sound.name not in bad]


def _check_classes(folder: Path, sounds: list[Sound]) -> None:
    counts = Counter(sound.label for sound in sounds)
    if len(counts) < 2:
        only = next(iter(counts))
        more = (
            f", or {BACKGROUND!r} with what is usually heard (audiomon record {BACKGROUND} --seconds 60)"
            if only != BACKGROUND
            else ""
        )
        raise InputError(
            f"{folder}: has one class, {only!r}; a head tells at least two apart: add a folder of another sound{more}"
        )
    small = [
        f"{folder / label} ({count})"
        for label, count in sorted(counts.items())
        if count < MIN_CLIPS and label != BACKGROUND
    ]
    if small:
        raise InputError(
            f"too few recordings in {named(small)}: a class needs at least {MIN_CLIPS}, better 20; "
            f"audiomon record makes them"
        )


def _unusable(sound: Sound, one: Embedded, ear: Ear) -> str:
    """Say why a recording cannot be learned from; empty if it can."""
    flaw = next((flaw for flaw in _FLAWS if flaw.has(one, ear)), None)
    return f"{sound.path}: {flaw.of_one(one, ear)}" if flaw else ""


def _refuse_useless(folder: Path, sounds: list[Sound], embedded: list[Embedded | None], ear: Ear) -> None:
    """Refuse a class of which no recording can be used, for one and the same reason."""
    for label in sorted({sound.label for sound in sounds}):
        own = [one for sound, one in zip(sounds, embedded, strict=True) if sound.label == label and one is not None]
        flaw = next((flaw for flaw in _FLAWS if all(flaw.has(one, ear) for one in own)), None)
        if own and flaw:
            raise InputError(f"{folder / label}: all {len(own)} recordings {flaw.of_all(ear)}")


@dataclass(frozen=True, slots=True)
class _Flaw:
    """A reason why recordings cannot be learned from.

    Attributes:
        has: whether a recording has it.
        of_one: says it of one recording, after its path.
        of_all: says it of all recordings of a class, and what to do.
    """

    has: Callable[[Embedded, Ear], bool]
    of_one: Callable[[Embedded, Ear], str]
    of_all: Callable[[Ear], str]


_FLAWS = (
    _Flaw(
        lambda one, _: one.silent,
        lambda *_: "is silent",
        lambda _: "are silent; `audiomon devices` lists the microphones",
    ),
    _Flaw(
        lambda one, ear: one.sample_rate < _LOWEST_RATE * ear.classifier.spec.sample_rate,
        lambda one, ear: (
            f"was recorded at {one.sample_rate} Hz, and the network reads {ear.classifier.spec.sample_rate} Hz: what "
            f"it hears live has a band that this recording lacks"
        ),
        lambda ear: (
            f"have a sample rate too low for the network, which reads {ear.classifier.spec.sample_rate} Hz: record "
            f"them again"
        ),
    ),
    _Flaw(
        lambda one, ear: one.heard.duration_s < ear.classifier.spec.window_s,
        lambda one, ear: (
            f"lasts {one.heard.duration_s:.2f} s, less than one window ({ear.classifier.spec.window_s:.2f} s)"
        ),
        lambda ear: f"are shorter than one window ({ear.classifier.spec.window_s:.2f} s): record longer ones",
    ),
)


def _duplicates(usable: list[tuple[Sound, Embedded]]) -> dict[str, str]:
    """Return recordings that are another one once more, whatever their names, and why they are left out."""
    first: dict[str, Sound] = {}
    found = {}
    for sound, one in usable:
        other = first.setdefault(one.digest, sound)
        if other is not sound:
            found[sound.name] = f"{sound.path}: is the same recording as {other.name}"
    return found


def _refusal(folder: Path, bad: dict[str, str]) -> str:
    reasons = list(bad.values())
    more = f"; and {len(reasons) - _MAX_REASONS} more" if len(reasons) > _MAX_REASONS else ""
    return f"{folder}: cannot be used: {'; '.join(reasons[:_MAX_REASONS])}{more}; --skip-bad does without"


def _divided(folder: Path, sounds: list[Sound], split: Split) -> tuple[list[Sound], Split, tuple[str, ...]]:
    """Divide; clip by clip where a class was recorded in one session, since it could not be judged otherwise.

    Returns:
        The recordings, with their folds; the split that was used; and the classes of one session.
    """
    alone: tuple[str, ...] = ()
    if split.groups is None and is_dealt(folder, split):
        sessions: dict[str, set[str]] = {}
        for sound in divide(folder, sounds, msgspec.structs.replace(split, folds=_ONE_FOLD)):
            sessions.setdefault(sound.label, set()).add(sound.group)
        alone = tuple(sorted(label for label, own in sessions.items() if len(own) < 2 and label != BACKGROUND))
        if alone:
            split = msgspec.structs.replace(split, groups=_BY_CLIP)
    with warnings.catch_warnings():
        # A background of one long recording is in one fold: no harm, it need not be in all.
        warnings.simplefilter("ignore", UserWarning)
        return divide(folder, sounds, split), split, alone


def background_features(
    ear: Ear, generated: int, count: Callable[[int], None], recorded: Iterable[Embedded]
) -> Float32:
    """Return features of what no label means: generated sounds, and all windows of some recordings, shape (n, size)."""
    parts = [ear.generated(generated, count)]
    parts += [one.heard.scores[one.overlap >= min(_FILLED, one.overlap.max())] for one in recorded]
    embeddings = np.concatenate(parts)
    if len(embeddings) > _MAX_BACKGROUND_WINDOWS:
        embeddings = embeddings[np.linspace(0, len(embeddings) - 1, _MAX_BACKGROUND_WINDOWS).astype(int)]
    return ear.features(embeddings)
