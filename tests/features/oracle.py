"""What librosa says a window is, and how far from it ours may be."""

import warnings

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.features import LogMelSpec

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

# Of what is summed into bands, relative to a frame's largest band.
TOLERANCE = 5e-7
# Magnitudes that are nothing but rounding: a click under the very edge of a window that ought to be 0 there.
NOTHING = 1e-12
# Of logarithms, in nepers: float32 keeps a hundred thousandth of a dB of numbers around 100.
LOG_TOLERANCE = 1e-5


def librosa_bands(samples: Float32, spec: LogMelSpec, dtype: type = np.float64) -> Float64:
    """Return mel bands before any logarithm, shape (frames, n_mels).

    In float64 if nobody asks for what librosa's users get: its float32 sums are up to 9e-7 of a frame's largest band
    from the truth themselves.
    """
    import librosa

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Empty filters")
        bands = librosa.feature.melspectrogram(
            y=samples.astype(dtype),
            sr=spec.sample_rate,
            n_fft=spec.n_fft,
            win_length=spec.win_length,
            hop_length=spec.hop_length,
            window={"rectangular": "boxcar"}.get(spec.window, spec.window),
            center=False,
            power=float(spec.power),
            n_mels=spec.n_mels,
            fmin=spec.fmin,
            fmax=spec.fmax,
            htk=spec.mel_scale == "htk",
            norm=None if spec.norm == "none" else spec.norm,
            dtype=dtype,
        )
    return np.asarray(bands.T, dtype=np.float64)


def librosa_window(bands: Float64, spec: LogMelSpec) -> Float32:
    """Return what a model trained with librosa would read: logarithm and normalisation of `librosa_bands`."""
    import librosa

    window = bands
    if spec.log == "db":
        to_db = librosa.power_to_db if spec.power == 2 else librosa.amplitude_to_db
        window = to_db(bands, ref=np.max if spec.ref == "max" else spec.ref, amin=spec.amin, top_db=spec.top_db)
    elif spec.log != "none":
        window = {"ln": np.log, "log10": np.log10}[spec.log](np.maximum(bands, spec.amin))
    mean, deviation = _mean_and_deviation(window, spec)
    return np.asarray((window - mean) / deviation, dtype=np.float32)


def _mean_and_deviation(window: Float64, spec: LogMelSpec) -> tuple[Float64, Float64]:
    if spec.normalization is None:
        return np.float64(0), np.float64(1)
    if spec.normalization.per_window:
        return window.mean(dtype=np.float64), np.maximum(window.std(dtype=np.float64), 1e-8)
    return np.asarray(spec.normalization.mean), np.asarray(spec.normalization.std)


def allowed_in_bands(bands: Float64, spec: LogMelSpec) -> Float64:
    """Return how far mel bands may be from librosa's, shape (frames, 1)."""
    largest = bands.max(axis=1, keepdims=True)
    return np.asarray(TOLERANCE * largest + NOTHING**spec.power)


def allowed_in_window(bands: Float64, spec: LogMelSpec) -> Float64:
    """Return how far a window may be from librosa's when its bands are as far as allowed, shape (frames, n_mels)."""
    allowed = allowed_in_bands(bands, spec) * np.ones_like(bands)
    plain = msgspec.structs.replace(spec, normalization=None)
    if spec.log != "none":
        # d(log x) = dx / x; nothing below amin counts.
        allowed = allowed / np.maximum(bands, spec.amin) + LOG_TOLERANCE
        allowed *= {"db": 20 / spec.power / np.log(10), "ln": 1, "log10": 1 / np.log(10)}[spec.log]
    if spec.normalization is None:
        return allowed
    window = librosa_window(bands, plain).astype(np.float64)
    _, deviation = _mean_and_deviation(window, spec)
    if not spec.normalization.per_window:
        return allowed / deviation + 1e-6 * np.abs((window - spec.normalization.mean) / deviation) + 1e-5
    # The mean and the deviation move too, each by no more than the differences do on average.
    spread = float(np.sqrt(np.mean(allowed**2)))
    return (allowed + spread * (1 + np.abs(window - window.mean()) / deviation)) / deviation + 1e-5
