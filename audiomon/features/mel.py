"""Window functions and mel filter banks, computed once per spec in float64.

The formulas are librosa's (`librosa.filters.mel`, `librosa.hz_to_mel`) and SciPy's (`scipy.signal.get_window`), so that
what was trained on librosa's features is served the same ones.
"""

import numpy as np
from numpy.typing import NDArray

from audiomon.features.spec import LogMelSpec

Float64 = NDArray[np.float64]

# Generalised cosine windows: w[n] = a0 - a1 cos(2πn/N) + a2 cos(4πn/N), as in SciPy.
_COSINES: dict[str, tuple[float, ...]] = {
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "rectangular": (1.0,),
}


def window_function(spec: LogMelSpec) -> Float64:
    """Return the periodic window function of a spec: float64, shape (n_fft,), zero outside its central win_length."""
    length = spec.win_length or spec.n_fft
    angle = 2 * np.pi * np.arange(length) / length
    window = np.zeros(length)
    for order, amplitude in enumerate(_COSINES[spec.window]):
        window += (-1) ** order * amplitude * np.cos(order * angle)
    before = (spec.n_fft - length) // 2
    padded: Float64 = np.pad(window, (before, spec.n_fft - length - before))
    return padded


def mel_filter_bank(spec: LogMelSpec) -> Float64:
    """Return the triangular mel filters of a spec: float64, shape (n_mels, n_fft // 2 + 1).

    A band narrower than a Fourier bin comes out empty, as in librosa.
    """
    fmax = spec.sample_rate / 2 if spec.fmax is None else spec.fmax
    low, high = hz_to_mel(np.array([spec.fmin, fmax]), spec.mel_scale)
    edges_hz = mel_to_hz(np.linspace(low, high, spec.n_mels + 2), spec.mel_scale)
    bins_hz = np.fft.rfftfreq(spec.n_fft, 1 / spec.sample_rate)
    widths = np.diff(edges_hz)
    ramps = edges_hz[:, np.newaxis] - bins_hz
    rising = -ramps[:-2] / widths[:-1, np.newaxis]
    falling = ramps[2:] / widths[1:, np.newaxis]
    bank: Float64 = np.maximum(0, np.minimum(rising, falling))
    if spec.norm == "slaney":
        bank *= (2 / (edges_hz[2:] - edges_hz[:-2]))[:, np.newaxis]
    return bank


# Slaney's Auditory Toolbox: linear below 1 kHz, 27 logarithmic steps for each factor of 6.4 above.
_LINEAR_HZ_PER_MEL = 200 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27


def hz_to_mel(hz: Float64, scale: str) -> Float64:
    """Convert Hz to mels, on the ``slaney`` or the ``htk`` scale (2595·log10(1 + f/700))."""
    if scale == "htk":
        return np.asarray(2595.0 * np.log10(1.0 + hz / 700.0), dtype=np.float64)
    logarithmic = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    mels: Float64 = np.where(hz >= _BREAK_HZ, logarithmic, hz / _LINEAR_HZ_PER_MEL)
    return mels


def mel_to_hz(mels: Float64, scale: str) -> Float64:
    """Convert mels to Hz; the inverse of `hz_to_mel`."""
    if scale == "htk":
        return np.asarray(700.0 * (10.0 ** (mels / 2595.0) - 1.0), dtype=np.float64)
    logarithmic = _BREAK_HZ * np.exp(_LOG_STEP * (mels - _BREAK_MEL))
    hz: Float64 = np.where(mels >= _BREAK_MEL, logarithmic, mels * _LINEAR_HZ_PER_MEL)
    return hz
