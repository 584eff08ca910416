"""What a room, a microphone and chance do to a sound, as arithmetic on windows of mel powers.

Powers of independent sounds add, a gain multiplies them, a room smears them in time, a filter weighs their bands: each
is a cheap operation on many windows at once, so no FFT runs during training. Arrays are float32, shape (windows,
frames, n_mels).
"""

import numpy as np
from numpy.typing import NDArray

from audiomon.features import LogMelSpec
from audiomon.features.mel import hz_to_mel, mel_to_hz

Float32 = NDArray[np.float32]


def power_ratio(decibels: NDArray[np.float64]) -> Float32:
    """Return decibels, shape (windows,), as factors of power that multiply windows: shape (windows, 1, 1)."""
    return np.asarray(10 ** (decibels / 10), dtype=np.float32)[:, np.newaxis, np.newaxis]


def reverberate(windows: Float32, rng: np.random.Generator) -> Float32:
    """Smear a good third of the windows in time, as rooms do: reverberation up to 0.8 s, tails 8 to 25 dB down."""
    count = len(windows)
    rt60_frames = rng.uniform(4, 35, count)
    keep = (10 ** (-6 / rt60_frames)).astype(np.float32)[:, np.newaxis]
    wet = power_ratio(-rng.uniform(8, 25, count))[:, 0] * (rng.random((count, 1)) < 0.35) * (1 - keep) * 4
    out = windows.copy()
    tail = np.zeros_like(windows[:, 0])
    for frame in range(windows.shape[1]):
        out[:, frame] += wet * tail
        tail = keep * tail + windows[:, frame]
    return out


def equalize(windows: Float32, rng: np.random.Generator) -> Float32:
    """Colour windows as microphones do: a smooth random response within ±6 dB, and now and then a band limit."""
    count, _, bands = windows.shape
    knots = rng.normal(0, 2, (count, 5)).clip(-6, 6)
    at = np.linspace(0, 4, bands)
    low = np.minimum(at.astype(int), 3)
    part = at - low
    curve_db = knots[:, low] * (1 - part) + knots[:, low + 1] * part
    cut = np.where(rng.random(count) < 0.2, rng.uniform(0.7, 1.0, count), 2.0)[:, np.newaxis] * bands
    curve_db -= np.clip((np.arange(bands) - cut) * 6, 0, 60)
    high_pass = np.where(rng.random(count) < 0.3, rng.uniform(0, 5, count), -1)[:, np.newaxis]
    curve_db -= np.clip((high_pass - np.arange(bands)) * 6, 0, 30)
    return np.asarray(windows * (10 ** (curve_db / 10)).astype(np.float32)[:, np.newaxis, :])


def warp_matrices(spec: LogMelSpec, factors: tuple[float, ...]) -> Float32:
    """Return matrices that move the bands of mel powers, as a longer or shorter throat would.

    Args:
        spec: of the bands.
        factors: by which frequencies are multiplied.

    Returns:
        Shape (factors, n_mels, n_mels); windows @ one of them are moved.
    """
    fmax = spec.sample_rate / 2 if spec.fmax is None else spec.fmax
    low, high = hz_to_mel(np.array([spec.fmin, fmax]), spec.mel_scale)
    centres = np.linspace(low, high, spec.n_mels + 2)[1:-1]
    bands = np.arange(spec.n_mels)
    matrices = np.zeros((len(factors), spec.n_mels, spec.n_mels), dtype=np.float32)
    for matrix, factor in zip(matrices, factors, strict=True):
        sources = hz_to_mel(mel_to_hz(centres, spec.mel_scale) / factor, spec.mel_scale)
        at = np.interp(sources, centres, bands)
        below = np.minimum(at.astype(int), spec.n_mels - 2)
        matrix[below, bands] = 1 - (at - below)
        matrix[below + 1, bands] += at - below
    return matrices


def steady_noise(shape: tuple[int, ...], rng: np.random.Generator) -> Float32:
    """Make steady noise of a random tilt, mean power about 1 in the lowest band.

    A band's power over a frame is a mean of a few chi-squared values.
    """
    count, frames, bands = shape
    # Slaney's bands widen towards the top, averaging more bins.
    averaged = np.geomspace(6, 18, bands)
    drawn = rng.gamma(averaged, 1 / averaged, (4096, bands)).astype(np.float32)
    tilt_db = rng.uniform(-15, 3, (count, 1, 1)) * np.linspace(0, 1, bands)
    noise = drawn[rng.integers(0, 4096, (count, frames))]
    return np.asarray(noise * 10 ** (tilt_db / 10), dtype=np.float32)


def mask(windows: Float32, fill: float, rng: np.random.Generator) -> None:
    """Blank out bands and frames of finished log-mel windows, in place: SpecAugment (Park et al. 2019).

    Up to two stripes of up to a sixth of the bands, and two of up to an eighth of the frames, in half of the windows.
    """
    count, frames, bands = windows.shape
    for axis, size, widest in ((2, bands, bands // 6), (1, frames, frames // 8)):
        for _ in range(2):
            width = rng.integers(0, widest + 1, count) * (rng.random(count) < 0.5)
            first = (rng.random(count) * (size - width + 1)).astype(int)
            at = np.arange(size)
            stripe = (at >= first[:, np.newaxis]) & (at < (first + width)[:, np.newaxis])
            windows[
                np.broadcast_to(stripe[:, np.newaxis, :] if axis == 2 else stripe[:, :, np.newaxis], windows.shape)
            ] = fill
