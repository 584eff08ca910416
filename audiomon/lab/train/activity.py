"""How loud a recording's frames are, and which of them hold the sound that it is named for.

Training draws its windows by it, and evaluation counts its windows by it: one notion of where a sound is. It measures,
and never changes a frame (`augmentation` does) or draws one (`drawing` does).
"""

import functools

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.features import LogMel, LogMelSpec
from audiomon.features.mel import mel_filter_bank

Float32 = NDArray[np.float32]
Bool = NDArray[np.bool_]

# A window holds a sound when this part of its frames do (or all that the recording has).
ENOUGH = 0.25
# A frame belongs to the sound if it is within this of the recording's loudest frame, and this far above its floor.
_ACTIVE_BELOW_PEAK_DB = 22.0
_ACTIVE_ABOVE_FLOOR_DB = 8.0
# A recording whose loudest and quietest frames are closer than this has no pauses: it is all sound.
_STEADY_DB = 12.0


def a_weighting(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much power the A-weighting of IEC 61672 passes at some frequencies: a factor, 1 at 1 kHz.

    librosa has it too; this one serves where librosa is not installed.
    """
    square = hz**2
    amplitude = 12194.0**2 * square**2 / (square + 20.6**2) / (square + 12194.0**2)
    amplitude /= np.sqrt((square + 107.7**2) * (square + 737.9**2))
    return np.asarray((amplitude * 10**0.1) ** 2, dtype=np.float64)


class FramePower:
    """Mel powers of whole recordings, and how loud they are to an ear. Belongs to one thread."""

    def __init__(self, spec: LogMelSpec) -> None:
        self.spec = spec
        self._log_mel = _log_mel(spec)
        self._weights = _weights(spec)

    def frames(self, samples: Float32) -> Float32:
        """Return the mel powers of every whole frame: float32, shape (count, n_mels)."""
        return self._log_mel.frames(np.ascontiguousarray(samples, dtype=np.float32))

    def mean_square(self, frames: Float32) -> Float32:
        """Return each frame's A-weighted mean square: float32, shape (count,); white noise of RMS 1 has 1."""
        return np.asarray(frames @ self._weights, dtype=np.float32)


def _log_mel(spec: LogMelSpec) -> LogMel:
    return LogMel(msgspec.structs.replace(spec, log="none", ref=1.0, top_db=None, normalization=None))


@functools.cache  # twenty seconds of noise cost more than most recordings
def _weights(spec: LogMelSpec) -> Float32:
    """Return what each band's power counts: shape (n_mels,)."""
    # Undo what makes narrow bands count more, weigh each as an ear does (or wind and handling noise are what a
    # microphone hears most of), then scale: white noise of mean square 1 has power 1.
    bank = mel_filter_bank(spec)
    centres_hz = bank @ np.fft.rfftfreq(spec.n_fft, 1 / spec.sample_rate) / np.maximum(bank.sum(axis=1), 1e-12)
    weights = a_weighting(centres_hz) / np.maximum(bank.max(axis=1), 1e-12)
    noise = np.random.default_rng(0).standard_normal(spec.sample_rate * 20).astype(np.float32)
    scaled = (weights / float(_log_mel(spec).frames(noise).mean(axis=0) @ weights)).astype(np.float32)
    scaled.flags.writeable = False
    return np.asarray(scaled)


def activity(mean_square: Float32) -> Bool:
    """Say which frames hold the sound that a recording is named for, by level alone.

    Args:
        mean_square: A-weighted, of each frame, shape (count,).

    Returns:
        Shape (count,).
    """
    level_db = 10 * np.log10(mean_square + 1e-12)
    # The loudest frame, but for a click.
    peak_db = float(np.percentile(level_db, 98))
    floor_db = float(np.percentile(level_db, 5))
    if peak_db - floor_db < _STEADY_DB:
        return np.ones(len(level_db), dtype=bool)
    return np.asarray((level_db > peak_db - _ACTIVE_BELOW_PEAK_DB) & (level_db > floor_db + _ACTIVE_ABOVE_FLOOR_DB))
