"""Trains the seed network on a loaded laptop: the same gradients as Keras's, for a fifth of its work.

After global max pooling, each of the second convolution's filters matters at one place of the window only, so nearly
all of a dense backward pass multiplies zeros. Here only those places are visited. For that, the batch normalisations'
statistics are taken once, from the first windows, and kept: with statistics of every batch, all places would matter.

Knows the seed network's shape (`networks.seed`) and nothing of sound.
"""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
UInt8 = NDArray[np.uint8]

_FILTERS = 16
_PATTERNS = 32
# Keras's default, added to the variance of a batch normalisation.
_EPSILON = 1e-3


@dataclass
class SeedWeights:
    """What training changes; batch normalisation as the scale and shift that it comes to.

    Attributes:
        kernel1: first convolution, shape (9, 16), rows by frame then band.
        shift1: shape (16,); its scale is in the kernel.
        kernel2: second convolution, shape (144, 32), rows by frame, band, filter.
        scale2: shape (32,).
        shift2: shape (32,).
        dense: shape (32, classes).
        bias: shape (classes,).
    """

    kernel1: Float32
    shift1: Float32
    kernel2: Float32
    scale2: Float32
    shift2: Float32
    dense: Float32
    bias: Float32

    def into_keras(self, model: Any) -> None:
        """Put these weights into a keras.Model made by `networks.seed`."""
        variance1 = np.full(_FILTERS, 1 - _EPSILON)
        variance2 = np.full(_PATTERNS, 1 - _EPSILON)
        model.set_weights(
            [
                self.kernel1.reshape(3, 3, 1, _FILTERS), np.zeros(_FILTERS),
                np.ones(_FILTERS), self.shift1, np.zeros(_FILTERS), variance1,
                self.kernel2.reshape(3, 3, _FILTERS, _PATTERNS), np.zeros(_PATTERNS),
                self.scale2, self.shift2, np.zeros(_PATTERNS), variance2,
                self.dense, self.bias,
            ]
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Activations:
    """What the backward pass needs of the forward pass."""

    padded: Float32  # the windows, a zero all around, shape (n, frames + 3, bands + 3)
    pooled: Float32  # first layer's output, a zero all around, shape (n, frames/2 + 2, bands/2 + 2, 16)
    chosen: UInt8  # which of each 2×2 was the largest, shape (n, frames/2, bands/2, 16)
    place: Int64  # where each pattern was the strongest, shape (n, 32)
    strongest: Float32  # how strong before scale and shift, shape (n, 32)


class SeedTrainer:
    """The seed network and its optimiser (AdamW, and a running mean of the weights).

    Args:
        windows: a few hundred typical ones, shape (n, frames, bands); the normalisations' statistics come from them.
        classes: how many.
        rng: initial weights and dropout.

    Attributes:
        weights: as trained so far.
        mean: running mean of the weights over the last few hundred steps; this is what to use.
    """

    def __init__(self, windows: Float32, classes: int, rng: np.random.Generator) -> None:
        self._rng = rng
        self.weights = SeedWeights(
            kernel1=_normal(rng, np.sqrt(2 / 9), 9, _FILTERS),
            shift1=np.zeros(_FILTERS, dtype=np.float32),
            kernel2=_normal(rng, np.sqrt(2 / 144), 144, _PATTERNS),
            scale2=np.ones(_PATTERNS, dtype=np.float32),
            shift2=np.zeros(_PATTERNS, dtype=np.float32),
            dense=_normal(rng, 0.2, _PATTERNS, classes),
            bias=np.zeros(classes, dtype=np.float32),
        )
        self._normalize(windows)
        self._steps = 0
        self._first = {name: np.zeros_like(value) for name, value in vars(self.weights).items()}
        self._second = {name: np.zeros_like(value) for name, value in vars(self.weights).items()}
        self.mean = SeedWeights(**{name: value.copy() for name, value in vars(self.weights).items()})

    def _normalize(self, windows: Float32) -> None:
        """Give both layers' outputs mean 0 and deviation 1 over the windows, the second's after pooling."""
        weights = self.weights
        frames, bands = windows.shape[1:]
        padded = np.pad(windows, ((0, 0), (1, 1), (1, 1)))
        patches = np.stack([padded[:, i : i + frames, j : j + bands] for i in range(3) for j in range(3)], axis=-1)
        first = patches @ weights.kernel1
        deviation = first.std(axis=(0, 1, 2))
        weights.kernel1 /= deviation
        weights.shift1 = np.asarray(-first.mean(axis=(0, 1, 2)) / deviation, dtype=np.float32)
        strongest = self._forward(windows).strongest
        weights.scale2 = 1 / strongest.std(axis=0)
        weights.shift2 = -strongest.mean(axis=0) * weights.scale2

    def step(self, windows: Float32, targets: Float32, learning_rate: float, *, dropout: float) -> tuple[float, float]:
        """Learn from one batch.

        Args:
            windows: shape (n, frames, bands).
            targets: wanted scores, shape (n, classes).
            learning_rate: of AdamW.
            dropout: share of the 32 patterns that is ignored at random.

        Returns:
            Cross-entropy, and share of the windows whose largest score is right.
        """
        weights, activations = self.weights, self._forward(windows)
        keep = ((self._rng.random(activations.strongest.shape) >= dropout) / (1 - dropout)).astype(np.float32)
        features = _features(weights, activations) * keep
        scores = _softmax(features @ weights.dense + weights.bias)
        loss = float(-(targets * np.log(scores + 1e-9)).sum(axis=1).mean())
        right = float((scores.argmax(axis=1) == targets.argmax(axis=1)).mean())
        self._update(self._gradients(activations, features, keep, (scores - targets) / len(windows)), learning_rate)
        return loss, right

    def _forward(self, windows: Float32) -> _Activations:
        weights = self.weights
        count, frames, bands = windows.shape
        rows, columns = -(-frames // 2), -(-bands // 2)
        padded = np.zeros((count, frames + 3, bands + 3), dtype=np.float32)
        padded[:, 1 : frames + 1, 1 : bands + 1] = windows
        pooled = np.zeros((count, rows + 2, columns + 2, _FILTERS), dtype=np.float32)
        chosen = np.empty((count, rows, columns, _FILTERS), dtype=np.uint8)
        place = np.empty((count, _PATTERNS), dtype=np.int64)
        strongest = np.empty((count, _PATTERNS), dtype=np.float32)
        sign = np.where(weights.scale2 < 0, -1, 1).astype(np.float32)
        _first_layer(padded, frames, bands, weights.kernel1, weights.shift1, pooled, chosen)
        _second_layer(pooled, weights.kernel2, sign, place, strongest)
        return _Activations(padded, pooled, chosen, place, strongest * sign)

    def _gradients(
        self, activations: _Activations, features: Float32, keep: Float32, error: Float32
    ) -> dict[str, Float32]:
        weights = self.weights
        # The slope of ReLU where it passed, of dropout where it kept.
        at_pattern = (error @ weights.dense.T) * keep * (_features(weights, activations) > 0)
        gradients = {name: np.zeros_like(value) for name, value in vars(weights).items()}
        gradients["dense"] = features.T @ error
        gradients["bias"] = error.sum(axis=0)
        gradients["scale2"] = (at_pattern * activations.strongest).sum(axis=0)
        gradients["shift2"] = at_pattern.sum(axis=0)
        _backward(
            activations.padded, activations.pooled, activations.chosen, activations.place,
            (at_pattern * weights.scale2).astype(np.float32), weights.kernel2,
            gradients["kernel1"], gradients["shift1"], gradients["kernel2"],
        )  # fmt: skip
        return gradients

    def _update(self, gradients: dict[str, Float32], learning_rate: float) -> None:
        """AdamW with its usual constants, weight decay 1e-4."""
        self._steps += 1
        for name, gradient in gradients.items():
            first = 0.9 * self._first[name] + 0.1 * gradient
            second = 0.999 * self._second[name] + 0.001 * gradient**2
            self._first[name], self._second[name] = first, second
            change = (first / (1 - 0.9**self._steps)) / (np.sqrt(second / (1 - 0.999**self._steps)) + 1e-8)
            decay = 1e-4 if name in ("kernel1", "kernel2", "dense") else 0.0
            value = getattr(self.weights, name) * (1 - learning_rate * decay) - learning_rate * change
            setattr(self.weights, name, value.astype(np.float32))
            mean = getattr(self.mean, name)
            mean += max(0.005, 1 / self._steps) * (getattr(self.weights, name) - mean)


def _normal(rng: np.random.Generator, deviation: float, *shape: int) -> Float32:
    return np.asarray(deviation * rng.standard_normal(shape), dtype=np.float32)


def _features(weights: SeedWeights, activations: _Activations) -> Float32:
    return np.asarray(np.maximum(activations.strongest * weights.scale2 + weights.shift2, 0), dtype=np.float32)


def _softmax(logits: Float32) -> Float32:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


@numba.njit(fastmath=True)
def _first_layer(
    padded: Float32, frames: int, bands: int, kernel: Float32, shift: Float32, pooled: Float32, chosen: UInt8
) -> None:
    """Convolve 3×3, shift, keep the largest of each 2×2, ReLU."""
    value = np.empty(16, np.float32)
    best = np.empty(16, np.float32)
    which = np.empty(16, np.uint8)
    for window in range(padded.shape[0]):
        for row in range(chosen.shape[1]):
            for column in range(chosen.shape[2]):
                best[:] = -np.float32(1e30)
                for part in range(4):
                    frame, band = 2 * row + part // 2, 2 * column + part % 2
                    if frame >= frames or band >= bands:
                        continue
                    for f in range(16):
                        value[f] = shift[f]
                    for tap in range(9):
                        sample = padded[window, frame + tap // 3, band + tap % 3]
                        for f in range(16):
                            value[f] += sample * kernel[tap, f]
                    for f in range(16):
                        if value[f] > best[f]:
                            best[f] = value[f]
                            which[f] = part
                for f in range(16):
                    pooled[window, row + 1, column + 1, f] = max(best[f], np.float32(0))
                    chosen[window, row, column, f] = which[f]


@numba.njit(fastmath=True)
def _second_layer(pooled: Float32, kernel: Float32, sign: Float32, place: Int64, strongest: Float32) -> None:
    """Convolve 3×3, and find where each pattern is the strongest (the weakest, where its scale is negative)."""
    rows, columns = pooled.shape[1] - 2, pooled.shape[2] - 2
    patches = np.empty((rows * columns, 144), np.float32)
    for window in range(pooled.shape[0]):
        for at in range(rows * columns):
            for tap in range(9):
                for f in range(16):
                    patches[at, tap * 16 + f] = pooled[window, at // columns + tap // 3, at % columns + tap % 3, f]
        values = np.dot(patches, kernel)
        strongest[window] = -np.float32(1e30)
        for at in range(rows * columns):
            for p in range(32):
                if values[at, p] * sign[p] > strongest[window, p]:
                    strongest[window, p] = values[at, p] * sign[p]
                    place[window, p] = at


@numba.njit(fastmath=True)
def _backward(
    padded: Float32,
    pooled: Float32,
    chosen: UInt8,
    place: Int64,
    error: Float32,
    kernel2: Float32,
    to_kernel1: Float32,
    to_shift1: Float32,
    to_kernel2: Float32,
) -> None:
    """Add up gradients, from the strongest places of the second layer back to the first."""
    rows, columns = chosen.shape[1], chosen.shape[2]
    to_pooled = np.empty((rows + 2, columns + 2, 16), np.float32)
    for window in range(len(error)):
        to_pooled[:] = 0
        for p in range(32):
            slope = error[window, p]
            if slope == 0:
                continue
            row, column = place[window, p] // columns, place[window, p] % columns
            for tap in range(9):
                for f in range(16):
                    at = tap * 16 + f
                    to_kernel2[at, p] += slope * pooled[window, row + tap // 3, column + tap % 3, f]
                    to_pooled[row + tap // 3, column + tap % 3, f] += slope * kernel2[at, p]
        for row in range(rows):
            for column in range(columns):
                for f in range(16):
                    slope = to_pooled[row + 1, column + 1, f]
                    if slope == 0 or pooled[window, row + 1, column + 1, f] == 0:
                        continue
                    frame = 2 * row + chosen[window, row, column, f] // 2
                    band = 2 * column + chosen[window, row, column, f] % 2
                    to_shift1[f] += slope
                    for tap in range(9):
                        to_kernel1[tap, f] += slope * padded[window, frame + tap // 3, band + tap % 3]
