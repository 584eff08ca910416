"""Log-mel frames in NumPy: the same bits for one frame and for ten thousand.

Reference: librosa's ``power_to_db(melspectrogram(y, center=False, ...), ref, amin, top_db)``, which the tests hold this
to. librosa itself costs a Raspberry Pi seconds and hundreds of megabytes, so it is never imported here.
"""

from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.features.front_end import Frames
from audiomon.features.mel import mel_filter_bank, window_function
from audiomon.features.spec import LogMelSpec, Normalization

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Complex64 = NDArray[np.complex64]
Complex128 = NDArray[np.complex128]

# Samples under the window function at once: 24 frames of 2048, so that half a second of the default spec is one batch.
# Batches of 11 frames take 4 to 13 % more instructions (by NumPy's version), single frames two to three times as many;
# larger ones gain nothing and leave the processor's cache.
_SAMPLES_AT_ONCE = 24 * 2048

# Neighbouring bands share a matrix product over the bins that any of them covers. One product for all 40 would multiply
# by zero nine times out of ten, in twice the time; groups of 4 or 10 are no faster than groups of 8.
_BANDS_AT_ONCE = 8

# From version 2 on, NumPy's rfft can write into memory that is already there instead of taking fresh pages.
_rfft: Callable[..., Complex128] = np.fft.rfft
_RFFT_TAKES_OUT = np.lib.NumpyVersion(np.__version__) >= "2.0.0"


class _Batch(msgspec.Struct, frozen=True, gc=False):
    """Scratch memory as some number of frames see it, kept: cutting it costs a third of a frame's arithmetic.

    Attributes:
        windowed: float64, shape (rows, n_fft).
        transform: complex128, shape (rows, n_fft // 2 + 1), which an FFT writes into, if it takes memory to write into.
        used: the bins of it that bands cover.
        spectrum: complex64, of the same shape.
        parts: the same as float32, real and imaginary parts in turn.
        real: the real ones of them.
        imaginary: the others.
        power: float32, shape (rows, 1, bins): the axis of 1 makes every row a matrix of its own for `matmul`.
        products: for each group of bands the power of its bins, its weights, and where its sums belong.
        mel: float32, shape (rows, n_mels).
        least: float32, of the same shape: the power that the logarithm is taken of, at least.
    """

    windowed: Float64
    transform: Complex128
    used: Complex128
    spectrum: Complex64
    parts: Float32
    real: Float32
    imaginary: Float32
    power: Float32
    products: tuple[tuple[Float32, Float32, Float32], ...]
    mel: Float32
    least: Float32


class LogMel:
    """Computes the frames of one spec. Holds scratch memory, so it belongs to one thread.

    Two steps, because some of the arithmetic belongs to a frame and some to a whole window: `frames` gives what can be
    kept from one window to the next; `finish` applies what depends on the window (``ref: max``, ``top_db``,
    normalisation).
    """

    def __init__(self, spec: LogMelSpec) -> None:
        self.spec = spec
        # float64 up to the spectrum: quiet bands beside a loud tone keep their values, NumPy before 2 has no other FFT,
        # and the float32 one since is no faster. float32 from there on, as in librosa.
        self._window = window_function(spec)
        self._bands = _bands_with_bins(mel_filter_bank(spec))
        # Bins above the highest band (fmax) count for nothing: leave them out of everything after the transform.
        bins = max(covered.stop for _, covered, _ in self._bands)
        rows = max(1, _SAMPLES_AT_ONCE // spec.n_fft)
        self._windowed: Float64 = np.empty((rows, spec.n_fft))
        self._transform: Complex128 = np.empty((rows if _RFFT_TAKES_OUT else 0, spec.n_fft // 2 + 1), np.complex128)
        self._spectrum: Complex64 = np.empty((rows, bins), np.complex64)
        self._power: Float32 = np.empty((rows, 1, bins), np.float32)
        self._mel: Float32 = np.empty((rows, 1, spec.n_mels), np.float32)
        # What is compared with is an array of the same shape: with one number it takes NumPy twice as long.
        self._least: Float32 = np.full((rows, spec.n_mels), spec.amin, np.float32)
        self._floor: Float32 = np.full((spec.frames, spec.n_mels), -(spec.top_db or 0.0), np.float32)
        self._batches: dict[int, _Batch] = {}
        scale, shift = _log_scale_and_shift(spec)
        self._log_scale: Float32 | None = None if scale == 1 else np.asarray(scale)
        self._log_shift: Float32 | None = None if shift == 0 else np.asarray(shift)
        normalization = spec.normalization or Normalization()
        self._mean: Float32 = np.asarray(normalization.mean, np.float32)
        self._std: Float32 = np.asarray(normalization.std, np.float32)

    def count(self, samples: int) -> int:
        """Frames that lie whole within this many samples."""
        return max(0, 1 + (samples - self.spec.n_fft) // self.spec.hop_length)

    def frames(self, samples: Float32, out: Float32 | None = None) -> Float32:
        """Compute every frame that lies whole within ``samples``.

        Args:
            samples: float32 in [-1, 1], shape (n,); frame k starts at sample k·hop_length.
            out: where to write, shape (count(n), n_mels), or None for a new array.

        Returns:
            float32, shape (count(n), n_mels): in dB against ref (against 1.0 where ref is ``max``), or as ``log`` says.
            A row's bits depend on its own samples only.
        """
        spec = self.spec
        samples = np.ascontiguousarray(samples, np.float32)
        count = self.count(len(samples))
        if out is None:
            out = np.empty((count, spec.n_mels), np.float32)
        step = samples.itemsize
        for first in range(0, count, len(self._windowed)):
            rows = min(len(self._windowed), count - first)
            overlapping: Float32 = np.ndarray(
                (rows, spec.n_fft), np.float32, samples, first * spec.hop_length * step, (spec.hop_length * step, step)
            )
            batch = self._batches.get(rows) or self._batch(rows)
            self._sum_bands(overlapping, batch)
            self._compress(batch, out[first : first + rows])
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
        zero = window.max() if spec.ref == "max" else np.float32(0)
        np.subtract(window, zero, out=out)
        if spec.top_db is not None:
            if spec.ref == "max" and out.shape == self._floor.shape:
                np.maximum(out, self._floor, out=out)
            else:
                loudest = np.float32(0) if spec.ref == "max" else window.max()
                np.maximum(out, loudest - np.float32(spec.top_db), out=out)
        if spec.normalization is not None:
            if spec.normalization.per_window:
                # In float64 the mean of equal numbers is that number: silence comes out as zeros, not as the rounding
                # of its mean blown up by a deviation of almost nothing.
                out -= np.float32(out.mean(dtype=np.float64))
                out /= np.float32(max(out.std(dtype=np.float64), 1e-8))
            else:
                out -= self._mean
                out /= self._std
        return out

    def _sum_bands(self, samples: Float32, batch: _Batch) -> None:
        """Sum samples (rows, n_fft) into a batch's mel bands."""
        windowed, spectrum, parts, power = batch.windowed, batch.spectrum, batch.parts, batch.power
        windowed[...] = samples
        windowed *= self._window
        if _RFFT_TAKES_OUT:
            _rfft(windowed, out=batch.transform)
            spectrum[...] = batch.used
        else:
            spectrum[...] = _rfft(windowed)[:, : spectrum.shape[1]]
        # |z|² as the sum of squares of neighbours (real, imaginary), squared in place.
        parts *= parts
        np.add(batch.real, batch.imaginary, out=power[:, 0])
        if self.spec.power == 1:
            np.sqrt(power, out=power)
        # A stack of (1, bins) @ (bins, bands): one matrix product of n rows would be a little faster on some machines,
        # but BLAS sums a row differently depending on how many there are.
        for covered, weights, mel in batch.products:
            np.matmul(covered, weights, out=mel)

    def _compress(self, batch: _Batch, out: Float32) -> None:
        """Take the logarithm of a batch's mel bands, as the spec says."""
        if self.spec.log == "none":
            out[...] = batch.mel
            return
        np.maximum(batch.mel, batch.least, out=out)
        # The natural logarithm serves for all: NumPy computes it three times as fast as log10.
        np.log(out, out=out)
        if self._log_scale is not None:
            out *= self._log_scale
        if self._log_shift is not None:
            out -= self._log_shift

    def _batch(self, rows: int) -> _Batch:
        transform, spectrum = self._transform[:rows], self._spectrum[:rows]
        parts = spectrum.view(np.float32)
        power, mel = self._power[:rows], self._mel[:rows]
        self._batches[rows] = batch = _Batch(
            windowed=self._windowed[:rows],
            transform=transform,
            used=transform[:, : spectrum.shape[1]],
            spectrum=spectrum,
            parts=parts,
            real=parts[:, 0::2],
            imaginary=parts[:, 1::2],
            power=power,
            products=tuple((power[:, :, bins], weights, mel[:, :, bands]) for bands, bins, weights in self._bands),
            mel=mel[:, 0],
            least=self._least[:rows],
        )
        return batch


class LogMelCutter:
    """Windows of log-mel frames; see `Cutter`. A window that advances by 22 of 43 frames costs 22 new ones.

    Args:
        spec: what a window is.
        hop_frames: frames from one window to the next, at most ``spec.frames``.
    """

    def __init__(self, spec: LogMelSpec, hop_frames: int) -> None:
        self.hop_samples = hop_frames * spec.hop_length
        self.kept_samples = spec.n_fft - spec.hop_length
        self._spec = spec
        self._log_mel = LogMel(spec)
        # Frames of several windows in a row, so that a window is a plain slice, and rows are moved only now and then.
        self._frames: Float32 = np.empty((spec.frames + 16 * hop_frames, spec.n_mels), dtype=np.float32)
        self._end = 0
        self._new = 0

    def cut(self, samples: Float32, *, first: bool) -> Float32:
        """See `Cutter.cut`."""
        if first:
            self._end = 0
        new = self._log_mel.count(len(samples))
        self._make_room(new)
        self._log_mel.frames(samples, self._frames[self._end : self._end + new])
        self._end += new
        self._new = new
        return self._log_mel.finish(self._frames[self._end - self._spec.frames : self._end])

    def new_frames(self) -> Frames:
        """See `Cutter.new_frames`."""
        spec = self._spec
        frames = self._frames[self._end - self._new : self._end]
        return Frames(_decibels(frames, spec), self._new * spec.hop_length / spec.sample_rate)

    def _make_room(self, new: int) -> None:
        if self._end + new > len(self._frames):
            kept = self._spec.frames - new
            self._frames[:kept] = self._frames[self._end - kept : self._end]
            self._end = kept


def _bands_with_bins(bank: Float64) -> list[tuple[slice, slice, Float32]]:
    """Cut a filter bank (n_mels, n_fft // 2 + 1) into groups of neighbouring bands.

    Returns:
        For each group its bands, the bins that they cover, and its weights: float32, shape (bins, bands).
    """
    groups = []
    for first in range(0, len(bank), _BANDS_AT_ONCE):
        filters = bank[first : first + _BANDS_AT_ONCE]
        covered = np.flatnonzero(filters.any(axis=0))
        # Bands that are all narrower than a bin cover none; one bin, of weight 0, makes them 0.
        bins = slice(int(covered[0]), int(covered[-1]) + 1) if len(covered) else slice(0, 1)
        # A band's weights lie side by side in memory, so that BLAS computes long dot products.
        weights = np.ascontiguousarray(filters[:, bins], np.float32).T
        groups.append((slice(first, first + len(filters)), bins, weights))
    return groups


def _decibels(frames: Float32, spec: LogMelSpec) -> Float32:
    """Return what `LogMel.frames` gave in dB, whatever logarithm the spec asks for."""
    if spec.log == "db":
        return frames
    logarithms = np.log10(np.maximum(frames, np.float32(spec.amin))) if spec.log == "none" else frames
    decibels: Float32 = logarithms * np.float32(20 / spec.power / (np.log(10) if spec.log == "ln" else 1))
    return decibels


def _log_scale_and_shift(spec: LogMelSpec) -> tuple[np.float32, np.float32]:
    """Return what a natural logarithm is multiplied by, and what is then subtracted."""
    if spec.log in ("none", "ln"):
        return np.float32(1), np.float32(0)
    if spec.log == "log10":
        return np.float32(1 / np.log(10)), np.float32(0)
    decibels = 20 / spec.power
    shift = 0.0 if spec.ref == "max" else decibels * np.log10(max(spec.amin, spec.ref))
    return np.float32(decibels / np.log(10)), np.float32(shift)
