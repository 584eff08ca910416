"""Training windows without end, drawn from recordings at random and changed as `augmentation` can; and plain ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiomon.features import LogMelSpec
from audiomon.lab.train.activity import ENOUGH, FramePower, activity, window_starts
from audiomon.lab.train.augmentation import equalize, mask, power_ratio, reverberate, steady_noise
from audiomon.lab.train.features import Frames, finish_windows
from audiomon.lab.train.settings import TrainingSettings

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

SPEEDS = (0.88, 0.94, 1.0, 1.06, 1.12)
# Between windows that are taken as they are.
_HOP_FRAMES = 8
# From the far end of a house to beside the microphone.
_LEVELS_DB = (-55.0, -8.0)


@dataclass(frozen=True, slots=True)
class Material:
    """One recording to learn from or to be judged on.

    Attributes:
        label: number of its class.
        takes: its frames, played at each of some speeds; the first at its own.
        duration_s: of the recording.
    """

    label: int
    takes: tuple[Frames, ...]
    duration_s: float


class _Take:
    """A recording at one speed: where in it windows may begin, and how loud its sound is."""

    def __init__(self, frames: Frames, power: FramePower, shifted: bool) -> None:
        self._frames = frames.open()
        size = power.spec.frames
        mean_square = power.mean_square(self._frames)
        active = activity(mean_square)
        if not active.any():
            active[:] = True
        self.scale = max(float(mean_square[active].mean()), 1e-13)
        before = size // 2 if shifted else 0
        after = max(before, size - len(active) - before)
        enough = min(round(ENOUGH * size), int(active.sum()))
        self.starts = window_starts(np.pad(active, (before, after)), size, max(1, enough)) - before
        if not len(self.starts):
            self.starts = np.arange(-before, len(active) + after - before - size + 1)

    def window(self, start: int, size: int) -> Float32:
        """Return the powers of so many frames; those outside the recording are 0."""
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
        self._takes = [[_Take(take, power, shifted) for take in one.takes] for one in materials]
        self._noise = [_Take(one.takes[0], power, False) for one in noise]
        self._of_class = [[n for n, one in enumerate(materials) if one.label == label] for label in range(classes)]
        # A long recording is drawn more often, but not as much more often as it is longer.
        weights = [np.sqrt([materials[n].duration_s for n in members]) for members in self._of_class]
        self._shares = [weight / weight.sum() for weight in weights]
        # A frame of equal bands that has mean square 1.
        self._flat = 1 / float(power.mean_square(np.ones((1, power.spec.n_mels), dtype=np.float32))[0])

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Float32, Float32]:
        """Return windows as the model reads them, shape (count, frames, n_mels), and wanted scores (count, classes)."""
        steps = self._settings.augmentation
        turns = len(self._turns)
        labels = self._turns[rng.permutation(np.arange(count) + rng.integers(turns)) % turns]
        powers, own_db = self._cut(labels, rng)
        targets = np.eye(self._classes, dtype=np.float32)[labels]
        if steps.room:
            powers = reverberate(powers, rng)
        if steps.eq:
            powers = equalize(powers, rng)
        if steps.mixup:
            powers, targets = _mixed_up(powers, targets, rng)
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
            takes = self._takes[rng.choice(self._of_class[label], p=self._shares[label])]
            take = takes[rng.integers(len(takes))]
            cut.append(take.window(int(rng.choice(take.starts)), self._size) / np.float32(take.scale))
            levels.append(10 * np.log10(take.scale))
        return np.stack(cut), np.array(levels)

    def _behind(self, count: int, rng: np.random.Generator) -> Float32:
        """Noise behind a sound of mean square 1: steady, 8 to 60 dB below it, and a recording, 3 to 40 dB below."""
        shape = (count, self._size, self._settings.spec.n_mels)
        noise = steady_noise(shape, rng) * np.float32(self._flat) * power_ratio(-rng.uniform(8, 60, count))
        if self._noise:
            recorded = [self._noise[n] for n in rng.integers(len(self._noise), size=count)]
            windows = [take.window(int(rng.choice(take.starts)), self._size) / take.scale for take in recorded]
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


def plain_windows(materials: list[Material], spec: LogMelSpec, most_each: int) -> tuple[Float32, Int64]:
    """Cut recordings into windows as they are, leaving out those without the recording's sound.

    Args:
        materials: the recordings.
        spec: of the model's input.
        most_each: windows of one recording, spread evenly over it, at least 8 frames apart.

    Returns:
        Windows, shape (n, frames, n_mels), and the class of each, shape (n,).
    """
    power = FramePower(spec)
    windows, labels = [], []
    for one in materials:
        take = _Take(one.takes[0], power, False)
        starts = take.starts[:: max(_HOP_FRAMES, -(-len(take.starts) // most_each))]
        windows += [take.window(int(start), spec.frames) for start in starts]
        labels += [one.label] * len(starts)
    return finish_windows(np.stack(windows), spec), np.array(labels)
