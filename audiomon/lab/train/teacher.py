"""What a large model hears in recordings, window by window, so that a small one learns from the right ones.

A recording named for its bark holds pauses, and one of background may hold a voice. The teacher is any model package
that knows the classes under labels of its own, such as YAMNet. It is asked at training time only: nothing of it goes
into the model that is trained.
"""

import fnmatch
import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiomon.config import DecisionRules
from audiomon.errors import AudiomonError, InputError, UserError
from audiomon.lab.evaluate.hearing import play
from audiomon.lab.train.dataset import BACKGROUND, Sound
from audiomon.lab.train.features import cache_folder
from audiomon.lab.train.lesson import Lesson
from audiomon.models.classifier import Classifier
from audiomon.models.interpreter import choose_backend
from audiomon.models.package import read_package

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

# Raised when what is cached changes its meaning.
_FORMAT = 1
_HOP_S = 0.49
_ROOM_S = 0.5


class Teacher:
    """A model package that hears recordings for another.

    Args:
        folder: of the package.
        labels: by class of the data set, those of the teacher's labels that are it; ``*`` and ``?`` as in decisions.

    Attributes:
        fingerprint: of the package, as ``name@digest``.
        labels: as given.

    Raises:
        ModelError: the package cannot be used.
        UserError: it has no such label.
    """

    def __init__(self, folder: Path, labels: Mapping[str, tuple[str, ...]]) -> None:
        package = read_package(folder)
        self.fingerprint = f"{package.manifest.name}@{package.manifest.sha256[:12]}"
        self._package = package.fingerprint
        self.labels = dict(labels)
        self._classifier = Classifier(package, choose_backend("auto"))
        self._columns = {label: self._found(patterns) for label, patterns in labels.items()}

    def check_classes(self, classes: tuple[str, ...]) -> None:
        """Refuse labels for classes that the data set does not have.

        Raises:
            UserError: there are any.
        """
        strange = sorted(set(self.labels) - set(classes))
        if strange:
            raise UserError(
                f"--teacher-label {strange[0]}=…: the data set has no such class; it has {', '.join(classes)}"
            )

    def lesson(self, sound: Sound) -> Lesson | None:
        """Hear a recording; None if the teacher knows nothing of its class.

        Raises:
            InputError: the recording is damaged or empty.
            AudiomonError: the cache cannot be written.
        """
        if sound.label not in self._columns and sound.label != BACKGROUND:
            return None
        middle_s, scores = self.scores(sound.path)
        if sound.label == BACKGROUND:
            columns = sorted({column for some in self._columns.values() for column in some})
        else:
            columns = self._columns[sound.label]
        return Lesson(middle_s, scores[:, columns].max(axis=1), sound.label == BACKGROUND)

    def highest(self, path: Path) -> dict[str, float]:
        """Return the most that the teacher gives each class anywhere in a recording."""
        _, scores = self.scores(path)
        return {label: float(scores[:, columns].max()) for label, columns in self._columns.items()}

    def scores(self, path: Path) -> tuple[Float64, Float32]:
        """Return the middles of its windows, in seconds, shape (n,), and its scores, shape (n, labels); cached.

        Raises:
            InputError: the recording is damaged or empty.
            AudiomonError: the cache cannot be written.
        """
        folder = cache_folder() / "teacher"
        try:
            status = path.stat()
            key = f"{_FORMAT} {path.resolve()} {status.st_size} {status.st_mtime_ns} {self._package}"
            kept = folder / f"{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}.npz"
            if not kept.exists():
                folder.mkdir(parents=True, exist_ok=True)
                played = play(path, self._classifier, DecisionRules(0.0, {}), _HOP_S, _ROOM_S)
                middle_s = played.end_s - self._classifier.spec.window_s / 2
                with tempfile.NamedTemporaryFile(dir=folder, delete=False) as draft:
                    np.savez_compressed(draft, middle_s=middle_s, scores=played.scores.astype(np.float16))
                os.replace(draft.name, kept)
            with np.load(kept) as arrays:
                return arrays["middle_s"], arrays["scores"].astype(np.float32)
        except OSError as error:
            raise AudiomonError(f"{folder}: the cache cannot be written: {error.strerror}") from None

    def _found(self, patterns: tuple[str, ...]) -> list[int]:
        names = self._classifier.labels
        columns = []
        for pattern in patterns:
            literal = pattern.replace("[", "[[]")
            found = [column for column, name in enumerate(names) if fnmatch.fnmatchcase(name, literal)]
            if not found:
                raise UserError(f"--teacher-label …={pattern}: the teacher has no such label")
            columns += found
        return columns


def teacher_labels(options: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Read ``--teacher-label`` options: the teacher's labels by class.

    Raises:
        UserError: one is not ``CLASS=LABEL``.
    """
    labels: dict[str, tuple[str, ...]] = {}
    for option in options:
        name, separator, label = option.partition("=")
        if not (name and separator and label):
            raise UserError(f"--teacher-label {option}: must be CLASS=LABEL, as in dog_bark=Bark")
        labels[name] = (*labels.get(name, ()), label)
    return labels


def lessons(teacher: Teacher, sounds: list[Sound], progress: Callable[[int], None]) -> list[Lesson | None]:
    """Have a teacher hear recordings.

    Args:
        teacher: who hears.
        sounds: the recordings.
        progress: called with 1 after each.
    """
    heard = []
    for sound in sounds:
        try:
            heard.append(teacher.lesson(sound))
        except InputError:
            heard.append(None)  # features are refused too, and say why
        progress(1)
    return heard
