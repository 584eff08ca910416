"""Training windows without end, drawn from recordings at random and changed as `augmentation` can; and plain ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiomon.features import LogMelSpec
from audiomon.lab.train.activity import ENOUGH, FramePower, activity
from audiomon.lab.train.augmentation import equalize, mask, power_ratio, reverberate, steady_noise, warp_matrices
from audiomon.lab.train.features import Frames, finish_windows
from audiomon.lab.train.lesson import Lesson
from audiomon.lab.train.settings import TrainingSettings

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

SPEEDS = (0.88, 0.94, 1.0, 1.06, 1.12)
# Between windows that are taken as they are.
_HOP_FRAMES = 8
# Part of a pause that must lie within the recording, and how often background is one, where there is a teacher.
_PAUSE_INSIDE = 0.4
_PAUSES = 0.15
# Of two sounds at once, the second is this much quieter than the first: in dB, from and to.
_OVER_DB = (-6.0, 20.0)
_OVERLAID = 0.25
# A sound in front of background is heard from the first of these to the second, in dB.
_HEARD_DB = (-8.0, 2.0)
# From the far end of a house to beside the microphone.
_LEVELS_DB = (-55.0, -8.0)


@dataclass(frozen=True, slots=True)
class Material:
    """One recording to learn from or to be judged on.

    Attributes:
        label: number of its class.
        takes: its frames, played at each of some speeds; the first at its own.
        duration_s: of the recording.
        lesson: what the teacher hears in it; None without one.
    """

    label: int
    takes: tuple[Frames, ...]
    duration_s: float
    lesson: Lesson | None = None

    def speed(self, number: int) -> float:
        """Return how fast a take is played."""
        return self.takes[0].duration_s / self.takes[number].duration_s


class _Take:
    """A recording at one speed: where in it windows may begin, and how loud its sound is.

    Attributes:
        starts: first frames of windows that hold the recording's sound.
        pauses: those of windows in which neither the level nor the teacher finds anything; none without a teacher.
        scale: A-weighted mean square of the sound.
    """

    def __init__(self, material: Material, number: int, power: FramePower, shifted: bool) -> None:
        self._frames = material.takes[number].open()
        spec = power.spec
        size = spec.frames
        mean_square = power.mean_square(self._frames)
        active = activity(mean_square)
        if not active.any():
            active[:] = True
        self.scale = max(float(mean_square[active].mean()), 1e-13)
        before = size // 2 if shifted else 0
        after = max(before, size - len(active) - before)
        enough = min(round(ENOUGH * size), int(active.sum()))
        held = np.convolve(np.pad(active, (before, after)), np.ones(size, dtype=np.int64), mode="valid")
        starts = np.arange(len(held)) - before
        holding = starts[held >= max(1, enough)]
        self.starts = holding if len(holding) else starts
        self.pauses = starts[:0]
        lesson = material.lesson
        if lesson is None:
            return

        def middle_s(starts: Int64) -> NDArray[np.float64]:
            middle = starts * spec.hop_length + ((size - 1) * spec.hop_length + spec.n_fft) / 2
            return np.asarray(middle / spec.sample_rate * material.speed(number))

        taught = lesson.teaches(middle_s(self.starts))
        self.starts = self.starts[taught] if taught.any() else self.starts
        if not lesson.is_background:
            inside = np.minimum(starts + size, len(active)) - np.maximum(starts, 0)
            empty = starts[(held == 0) & (inside >= _PAUSE_INSIDE * size)]
            self.pauses = empty[lesson.leaves_no_trace(middle_s(empty))] if len(empty) else empty

    def window(self, start: int, size: int) -> Float32:
        """Return the powers of ``size`` frames; those outside the recording are 0."""
        inside = self._frames[max(0, start) : max(0, start + size)]
        first = max(0, -start)
        return np.pad(inside, ((first, size - first - len(inside)), (0, 0)))


class Drawer:
    """Draws labelled training windows, as many of each class (but see ``background``).

    Args:
        materials: the recordings.
        classes: how many.
        settings: of the training.
        noise: recordings of nothing in particular, mixed in behind; may be empty.
        background: number of the class that is everything else, drawn as often as all the others together; or None.
    """

    def __init__(
        self,
        materials: list[Material],
        classes: int,
        settings: TrainingSettings,
        noise: list[Material],
        background: int | None = None,
    ) -> None:
        self._settings = settings
        self._classes = classes
        others = [label for label in range(classes) if label != background]
        self._turns = np.array(others if background is None else [*others, *[background] * len(others)])
        self._size = settings.spec.frames
        power = FramePower(settings.spec)
        shifted = settings.augmentation.shift
        self._takes = [[_Take(one, n, power, shifted) for n in range(len(one.takes))] for one in materials]
        self._noise = [_Take(one, 0, power, False) for one in noise]
        self._background = background
        self._pauses = [n for n, takes in enumerate(self._takes) if all(len(take.pauses) for take in takes)]
        self._of_class = [[n for n, one in enumerate(materials) if one.label == label] for label in range(classes)]
        # A long recording is drawn more often, but not as much more often as it is longer.
        weights = [np.sqrt([materials[n].duration_s for n in members]) for members in self._of_class]
        self._shares = [np.cumsum(weight) / weight.sum() for weight in weights]
        self._warps = warp_matrices(settings.spec, SPEEDS)
        # A frame of equal bands that has mean square 1.
        self._flat = 1 / float(power.mean_square(np.ones((1, power.spec.n_mels), dtype=np.float32))[0])

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Float32, Float32]:
        """Return windows as the model reads them, shape (count, frames, n_mels), and wanted scores (count, classes)."""
        steps = self._settings.augmentation
        turns = len(self._turns)
        labels = self._turns[rng.permutation(np.arange(count) + rng.integers(turns)) % turns]
        powers, own_db = self._cut(labels, rng)
        targets = np.eye(self._classes, dtype=np.float32)[labels]
        if steps.warp:
            powers = np.matmul(powers, self._warps[rng.integers(len(self._warps), size=count)])
        if steps.room:
            powers = reverberate(powers, rng)
        if steps.eq:
            powers = equalize(powers, rng)
        if steps.mixup and self._background is None:
            powers, targets = _mixed_up(powers, targets, rng)
        elif steps.mixup:
            powers, targets = _overlaid(powers, targets, labels == self._background, rng)
        level_db = rng.uniform(*_LEVELS_DB, count) if steps.level else own_db
        if steps.background:
            powers = powers + self._behind(count, rng)
        windows = finish_windows(powers * power_ratio(level_db), self._settings.spec)
        if steps.mask:
            mask(windows, float(windows.mean()), rng)
        smoothing = self._settings.label_smoothing
        return windows, targets * np.float32(1 - smoothing) + np.float32(smoothing / self._classes)

    def _cut(self, labels: Int64, rng: np.random.Generator) -> tuple[Float32, NDArray[np.float64]]:
        """Cut a window for each label: powers whose sound has mean square 1, and the level that it had, in dBFS."""
        cut, levels = [], []
        for label in labels:
            pause = label == self._background and len(self._pauses) > 0 and rng.random() < _PAUSES
            if pause:
                takes = self._takes[self._pauses[rng.integers(len(self._pauses))]]
            else:
                takes = self._takes[self._of_class[label][np.searchsorted(self._shares[label], rng.random())]]
            take = takes[rng.integers(len(takes))]
            starts = take.pauses if pause else take.starts
            cut.append(take.window(int(starts[rng.integers(len(starts))]), self._size) / np.float32(take.scale))
            levels.append(10 * np.log10(take.scale))
        return np.stack(cut), np.array(levels)

    def _behind(self, count: int, rng: np.random.Generator) -> Float32:
        """Noise behind a sound of mean square 1: steady, 8 to 60 dB below it, and a recording, 3 to 40 dB below."""
        shape = (count, self._size, self._settings.spec.n_mels)
        noise = steady_noise(shape, rng) * np.float32(self._flat) * power_ratio(-rng.uniform(8, 60, count))
        if self._noise:
            recorded = [self._noise[n] for n in rng.integers(len(self._noise), size=count)]
            windows = [
                take.window(int(take.starts[rng.integers(len(take.starts))]), self._size) / take.scale
                for take in recorded
            ]
            noise += equalize(np.stack(windows).astype(np.float32), rng) * power_ratio(-rng.uniform(3, 40, count))
        return noise


def _mixed_up(powers: Float32, targets: Float32, rng: np.random.Generator) -> tuple[Float32, Float32]:
    """Add another sound to half of the windows (between-class learning, Tokozume et al. 2018)."""
    count = len(powers)
    ratio = np.where(rng.random(count) < 0.5, 1.0, rng.uniform(0.5, 1, count)).astype(np.float32)
    other = rng.permutation(count)
    total = ratio**2 + (1 - ratio) ** 2
    first, second = ratio**2 / total, (1 - ratio) ** 2 / total
    mixed = powers * first[:, np.newaxis, np.newaxis] + powers[other] * second[:, np.newaxis, np.newaxis]
    return mixed, targets * ratio[:, np.newaxis] + targets[other] * (1 - ratio)[:, np.newaxis]


def _overlaid(
    powers: Float32, targets: Float32, background: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Float32, Float32]:
    """Add another sound to a quarter of the windows, where one class is everything else.

    Two sounds share the label by their powers. Background takes nothing from a sound that is heard in front of it.

    Args:
        powers: of sounds of mean square 1.
        targets: wanted scores.
        background: which windows are background, shape (count,).
        rng: chooses.
    """
    count = len(powers)
    other = rng.permutation(count)
    over_db = np.where(rng.random(count) < _OVERLAID, -rng.uniform(*_OVER_DB, count), -np.inf)
    ratio = (10 ** (over_db / 10)).astype(np.float32)
    heard = np.clip((over_db - _HEARD_DB[0]) / (_HEARD_DB[1] - _HEARD_DB[0]), 0, 1)
    part = np.where(background[other], 0, np.where(background, heard, ratio / (1 + ratio))).astype(np.float32)
    mixed = powers + powers[other] * ratio[:, np.newaxis, np.newaxis]
    return mixed, targets * (1 - part[:, np.newaxis]) + targets[other] * part[:, np.newaxis]


def plain_windows(materials: list[Material], spec: LogMelSpec, max_each: int) -> tuple[Float32, Int64]:
    """Cut recordings into windows as they are, leaving out those without the recording's sound.

    Args:
        materials: the recordings.
        spec: of the model's input.
        max_each: windows of one recording, spread evenly over it, at least 8 frames apart.

    Returns:
        Windows, shape (n, frames, n_mels), and the class of each, shape (n,).
    """
    power = FramePower(spec)
    windows, labels = [], []
    for one in materials:
        take = _Take(one, 0, power, False)
        starts = take.starts[:: max(_HOP_FRAMES, -(-len(take.starts) // max_each))]
        windows += [take.window(int(start), spec.frames) for start in starts]
        labels += [one.label] * len(starts)
    return finish_windows(np.stack(windows), spec), np.array(labels)
