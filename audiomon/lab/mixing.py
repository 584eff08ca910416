"""Training windows without end: recordings mixed at random, in the power domain, from mel powers computed once.

Powers of independent sounds add, a gain multiplies them, a room smears them in time, a filter weighs their bands: each
of those is a cheap operation on mel powers, so no FFT runs during training.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiomon.lab.recordings import Bool, FramePower
from audiomon.lab.train.augmentation import equalize, power_ratio, reverberate, steady_noise

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording, ready to be mixed.

    Attributes:
        frames: mel powers, shape (n, n_mels), float32, scaled so that its sound's mean square is 1.
        starts: first frames of the windows that may be cut from it.
        weight: how often it is chosen, relative to its kind's others.
    """

    frames: Float32
    starts: Int64
    weight: float = 1.0


def window_starts(of_interest: Bool, frames: int, enough: int) -> Int64:
    """Return the first frames of all windows of ``frames`` frames that have at least ``enough`` frames of interest."""
    if len(of_interest) < frames:
        return np.empty(0, dtype=np.int64)
    counts = np.convolve(of_interest, np.ones(frames, dtype=np.int64), mode="valid")
    return np.flatnonzero(counts >= enough)


class Kind:
    """Clips of one kind, from which windows are drawn."""

    def __init__(self, clips: list[Clip]) -> None:
        self._clips = [clip for clip in clips if len(clip.starts)]
        self._frames = np.concatenate([clip.frames for clip in self._clips])
        self._first = np.cumsum([0, *(len(clip.frames) for clip in self._clips)])[:-1]
        weights = np.array([clip.weight for clip in self._clips])
        self._share = weights / weights.sum()

    def __len__(self) -> int:
        return len(self._clips)

    def draw(self, count: int, frames: int, rng: np.random.Generator) -> Float32:
        """Return ``count`` windows of mel powers, shape (count, frames, n_mels)."""
        chosen = rng.choice(len(self._clips), count, p=self._share)
        place = rng.random(count)
        starts = np.array(
            [
                self._first[clip] + self._clips[clip].starts[int(part * len(self._clips[clip].starts))]
                for clip, part in zip(chosen, place, strict=True)
            ]
        )
        return np.asarray(self._frames[starts[:, np.newaxis] + np.arange(frames)], dtype=np.float32)


class Mixer:
    """Draws labelled training windows.

    Args:
        sounds: the kinds that have a class of their own, in the order of the labels from 1 on.
        background: everything else; class 0.
        power: whose frames these are.
        shares: of each class in what is drawn, background first.
    """

    def __init__(self, sounds: list[Kind], background: list[Kind], power: FramePower, shares: list[float]) -> None:
        self._sounds = sounds
        self._background = background
        self._frames = power.spec.frames
        # A frame of equal bands that has mean square 1.
        self._flat = 1 / float(power.mean_square(np.ones((1, power.spec.n_mels), dtype=np.float32))[0])
        self._shares = np.array(shares) / sum(shares)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Float32, Int64]:
        """Return mel powers, shape (count, frames, n_mels), and class numbers, shape (count,)."""
        labels = np.sort(rng.choice(len(self._shares), count, p=self._shares))
        foreground = []
        for label in range(len(self._shares)):
            wanted = int((labels == label).sum())
            if wanted:
                drawn = self._sounds[label - 1].draw(wanted, self._frames, rng) if label else self._noises(wanted, rng)
                foreground.append(equalize(reverberate(drawn, rng), rng))
        sound = np.concatenate(foreground)
        behind = equalize(self._noises(count, rng), rng)
        # Decibels: the sound over what is behind it, the sound itself, and the microphone's own noise.
        over_db = np.where(rng.random(count) < 0.2, 80.0, rng.uniform(3, 40, count))
        level_db = rng.uniform(-60, -8, count)
        # A background may be as faint as can be; a sound must stand above the microphone's noise.
        level_db = np.where((labels == 0) & (rng.random(count) < 0.2), rng.uniform(-110, -50, count), level_db)
        floor_db = np.where(rng.random(count) < 0.15, -140.0, rng.uniform(-100, -60, count))
        floor_db = np.where(labels > 0, np.minimum(floor_db, level_db - 12), floor_db)
        mixed = sound + behind * power_ratio(-np.where(labels > 0, over_db, rng.uniform(0, 60, count)))
        mixed = mixed * power_ratio(level_db) + self._flat * steady_noise((count, *mixed.shape[1:]), rng) * power_ratio(
            floor_db
        )
        silent = (labels == 0) & (rng.random(count) < 0.01)
        mixed[silent] = 0
        order = rng.permutation(count)
        return mixed[order].astype(np.float32), labels[order]

    def _noises(self, count: int, rng: np.random.Generator) -> Float32:
        shares = np.array([len(kind) for kind in self._background], dtype=float)
        counts = rng.multinomial(count, shares / shares.sum())
        drawn = [kind.draw(int(n), self._frames, rng) for kind, n in zip(self._background, counts, strict=True) if n]
        windows = np.concatenate(drawn)
        return np.asarray(windows[rng.permutation(count)], dtype=np.float32)
