"""From a folder to what can be trained on: recordings found, checked, divided, and turned into frames."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from audiomon.audio.folder import audio_files
from audiomon.errors import InputError
from audiomon.lab.train.dataset import (
    SOURCES,
    TRAIN,
    VALIDATION,
    Sound,
    Split,
    check_classes,
    divide,
    division_digest,
    find_sounds,
    fold_names,
    named,
)
from audiomon.lab.train.drawing import SPEEDS, Material
from audiomon.lab.train.features import Frames, check_spec, compute_frames, duplicates, refuse
from audiomon.lab.train.lesson import Lesson
from audiomon.lab.train.settings import TrainingSettings
from audiomon.lab.train.teacher import Teacher, lessons

# Called with what is being done, how many steps that has, and how many are done now.
Advance = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A data set, ready to be trained on.

    Attributes:
        folder: where it lies.
        labels: the classes, in order.
        sounds: the recordings.
        materials: the frames of each.
        noise: recordings to mix in behind.
        left_out: recordings that cannot be used, and why.
        division: digest of which recording is in which fold.
    """

    folder: Path
    labels: tuple[str, ...]
    sounds: tuple[Sound, ...]
    materials: tuple[Material, ...]
    noise: tuple[Material, ...]
    left_out: dict[str, str]
    division: str

    @property
    def folds(self) -> list[str]:
        """The folds that can be held out, in order."""
        return fold_names(list(self.sounds))

    def held(self, fold: str | None) -> list[Sound]:
        """Return a fold's recordings."""
        return [sound for sound in self.sounds if sound.fold == fold]

    def watched(self, held: str | None) -> str | None:
        """Return the fold that early stopping looks at: what the table calls ``validation``, else the one after."""
        if any(sound.fold == VALIDATION for sound in self.sounds):
            return VALIDATION
        others = [fold for fold in self.folds if fold != held]
        after = [fold for fold in others if held is None or fold > held]
        return next(iter(after or others), None)

    def sides(self, held: str | None, validating: bool) -> tuple[list[Material], list[Material]]:
        """Divide what is not held out into what is learned from and what early stopping looks at.

        Args:
            held: fold that neither may see; None for none.
            validating: whether anything is to be looked at.

        Raises:
            InputError: a class is not on all sides.
        """
        watched = self.watched(held) if validating else None
        training: list[tuple[Sound, Material]] = []
        validation: list[tuple[Sound, Material]] = []
        for sound, material in zip(self.sounds, self.materials, strict=True):
            if sound.fold == held:
                continue
            (validation if sound.fold == watched else training).append((sound, material))
        for side, purpose in ((training, "learn from"), (validation, "stop early by")):
            if side or side is training:
                self._check_side([sound for sound, _ in side], held, purpose)
        return [material for _, material in training], [material for _, material in validation]

    def _check_side(self, sounds: list[Sound], held: str | None, purpose: str) -> None:
        missing = set(self.labels) - {sound.label for sound in sounds}
        if missing:
            without = f" without fold {held}" if held else ""
            raise InputError(
                f"{self.folder}: {named(sorted(missing))}: nothing to {purpose}{without}; the split leaves a class on "
                f"one side only: {SOURCES}"
            )


def prepare(
    folder: Path,
    split: Split,
    settings: TrainingSettings,
    advance: Advance,
    *,
    noise: Path | None = None,
    skip_bad: bool = False,
    teacher: Teacher | None = None,
) -> Prepared:
    """Find, check and divide a data set's recordings, and compute their frames.

    Args:
        folder: a subfolder for each class.
        split: how it is divided.
        settings: what the frames are.
        advance: called after every recording.
        noise: folder of recordings to mix in behind, or None.
        skip_bad: leave out what cannot be used instead of refusing.
        teacher: says which windows hold their recording's class; None: their level does.

    Raises:
        InputError: the data set cannot be trained on; the message names files and reasons.
        UserError: the teacher has labels for a class that the data set does not have.
    """
    check_spec(settings.spec)
    found = find_sounds(folder)
    check_classes(folder, found)
    sounds = divide(folder, found, split)
    division = division_digest(sounds)
    speeds = (1.0, *(speed for speed in SPEEDS if speed != 1.0)) if settings.augmentation.speed else (1.0,)
    total = len(sounds) * (len(speeds) + (teacher is not None))
    done = 0
    doing = "Features"

    def count(one: int) -> None:
        nonlocal done
        done += one
        advance(doing, total, done)

    first, refused = compute_frames(sounds, settings.spec, 1.0, count)
    pairs = duplicates(
        sounds, [one if sound.name not in refused else None for sound, one in zip(sounds, first, strict=True)]
    )
    if not skip_bad:
        refuse(folder, refused, pairs)
    left_out = refused | {other.name: f"{other.path}: the same recording as {one.name}" for one, other in pairs}
    usable = [(sound, one) for sound, one in zip(sounds, first, strict=True) if one and sound.name not in left_out]
    sounds = [sound for sound, _ in usable]
    check_classes(folder, sounds)
    takes = [[one for _, one in usable]]
    takes += [_taken(sounds, settings, speed, count) for speed in speeds[1:]]
    labels = tuple(sorted({sound.label for sound in sounds}))
    taught: list[Lesson | None] = [None] * len(sounds)
    if teacher is not None:
        teacher.check_classes(labels)
        doing = "Teacher"
        taught = lessons(teacher, sounds, count)
    materials = tuple(
        Material(labels.index(sound.label), tuple(takes_of_one), takes_of_one[0].duration_s, lesson)
        for sound, lesson, *takes_of_one in zip(sounds, taught, *takes, strict=True)
    )
    return Prepared(folder, labels, tuple(sounds), materials, _noise(noise, settings), left_out, division)


def _taken(sounds: list[Sound], settings: TrainingSettings, speed: float, count: Callable[[int], None]) -> list[Frames]:
    frames, refused = compute_frames(sounds, settings.spec, speed, count)
    refuse(sounds[0].path.parent.parent, refused, [])  # readable a moment ago
    return [one for one in frames if one]


def _noise(folder: Path | None, settings: TrainingSettings) -> tuple[Material, ...]:
    if folder is None:
        return ()
    sounds = [Sound(path, path.name, "noise", fold=TRAIN) for path in audio_files(folder)]
    return tuple(Material(-1, (one,), one.duration_s) for one in _taken(sounds, settings, 1.0, lambda _: None))
