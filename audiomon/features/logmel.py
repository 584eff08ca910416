"""Log-mel frames in NumPy: the same bits for one frame and for ten thousand.

Reference: librosa's ``power_to_db(melspectrogram(y, center=False, ...), ref, amin, top_db)``, which the tests hold this
to. librosa itself costs a Raspberry Pi seconds and hundreds of megabytes, so it is never imported here.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audiomon.features.mel import mel_filter_bank, window_function
from audiomon.features.spec import LogMelSpec

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Complex128 = NDArray[np.complex128]

# Rows transformed at once: enough that a call's fixed cost is shared, few enough that all scratch stays in the cache.
_ROWS = 11

# From version 2 on, NumPy's rfft can write into memory that is already there instead of taking fresh pages.
_rfft: Callable[..., Complex128] = np.fft.rfft
_RFFT_TAKES_OUT = np.lib.NumpyVersion(np.__version__) >= "2.0.0"


class LogMel:
    """Computes the frames of one spec. Holds scratch memory, so it belongs to one thread.

    Two steps, because some of the arithmetic belongs to a frame and some to a whole window: `frames` gives what can be
    kept from one window to the next; `finish` applies what depends on the window (``ref: max``, ``top_db``,
    normalisation).
    """

    def __init__(self, spec: LogMelSpec) -> None:
        self.spec = spec
        bank = mel_filter_bank(spec)
        # Bins above the highest band (fmax) count for nothing: leave them out of the squares and the product.
        self._bins = max(1, int(np.flatnonzero(bank.any(axis=0)).max(initial=0)) + 1)
        # (bins, n_mels), so that a row of powers times this is a row of mel bands.
        self._bank_t = np.ascontiguousarray(bank.T[: self._bins], dtype=np.float32)
        # float64 up to the power: as fast as float32 in NumPy's FFT, the same in every NumPy (before 2 there was no
        # other), and quiet bands beside a loud tone keep their values.
        self._window = window_function(spec)
        self._windowed: Float64 = np.empty((_ROWS, spec.n_fft))
        self._spectrum: Complex128 = np.empty((_ROWS, spec.n_fft // 2 + 1), dtype=np.complex128)
        self._power: Float32 = np.empty((_ROWS, self._bins), dtype=np.float32)

    def count(self, samples: int) -> int:
        """Frames that lie whole within this many samples."""
        return max(0, 1 + (samples - self.spec.n_fft) // self.spec.hop_length)

    def frames(self, samples: Float32, out: Float32 | None = None) -> Float32:
        """Compute every frame that lies whole within ``samples``.

        Args:
            samples: float32 in [-1, 1], shape (n,), contiguous; frame k starts at sample k·hop_length.
            out: where to write, shape (count(n), n_mels), or None for a new array.

        Returns:
            float32, shape (count(n), n_mels): in dB against ref (against 1.0 where ref is ``max``), or as ``log`` says.
            A row's bits depend on its own samples only.
        """
        spec = self.spec
        count = self.count(len(samples))
        if out is None:
            out = np.empty((count, spec.n_mels), dtype=np.float32)
        step = samples.strides[0]
        rows = np.lib.stride_tricks.as_strided(
            samples, (count, spec.n_fft), (step * spec.hop_length, step), writeable=False
        )
        for first in range(0, count, _ROWS):
            self._mel(rows[first : first + _ROWS], out[first : first + _ROWS])
        self._compress(out)
        return out

    def finish(self, window: Float32, out: Float32 | None = None) -> Float32:
        """Apply what depends on a whole window of frames.

        Args:
            window: what `frames` gave, shape (frames, n_mels); left as it is.
            out: where to write, same shape, or None for a new array (``window`` itself if there is nothing to do).

        Returns:
            float32, same shape: a model's input.
        """
        spec = self.spec
        if out is None:
            if spec.ref != "max" and spec.top_db is None and spec.normalization is None:
                return window
            out = np.empty_like(window)
        out[...] = window
        if spec.ref == "max":
            out -= out.max()
        if spec.top_db is not None:
            np.maximum(out, out.max() - np.float32(spec.top_db), out=out)
        if spec.normalization is not None:
            if spec.normalization.per_window:
                out -= out.mean()
                # A window of silence is constant; dividing by its deviation of 0 would make it NaN.
                out /= max(float(out.std()), 1e-8)
            else:
                out -= np.asarray(spec.normalization.mean, dtype=np.float32)
                out /= np.asarray(spec.normalization.std, dtype=np.float32)
        return out

    def _mel(self, rows: Float32, out: Float32) -> None:
        """Window, transform and sum into mel bands: rows (n, n_fft) to out (n, n_mels), n at most _ROWS."""
        n = len(rows)
        windowed, power = self._windowed[:n], self._power[:n]
        np.multiply(rows, self._window, out=windowed)
        spectrum = _rfft(windowed, out=self._spectrum[:n]) if _RFFT_TAKES_OUT else _rfft(windowed)
        # |z|² as the sum of squares of neighbours (real, imaginary), squared in place.
        parts = spectrum.view(np.float64)[:, : 2 * self._bins]
        np.multiply(parts, parts, out=parts)
        np.add(parts[:, 0::2], parts[:, 1::2], out=power, casting="same_kind")
        if self.spec.power == 1:
            np.sqrt(power, out=power)
        # A stack of (1, bins) @ (bins, n_mels): one matrix product of n rows would be a little faster on some machines,
        # but BLAS sums a row differently depending on how many there are.
        np.matmul(power[:, np.newaxis, :], self._bank_t, out=out[:, np.newaxis, :])

    def _compress(self, mel: Float32) -> None:
        spec = self.spec
        if spec.log == "none":
            return
        np.maximum(mel, np.float32(spec.amin), out=mel)
        if spec.log == "ln":
            np.log(mel, out=mel)
            return
        np.log10(mel, out=mel)
        if spec.log == "db":
            decibels = 20 / spec.power
            mel *= np.float32(decibels)
            if spec.ref not in ("max", 1.0):
                mel -= np.float32(decibels * np.log10(max(spec.amin, spec.ref)))
