"""Recordings as training wants them: one channel, its frames' powers, and which of the frames hold the sound.

Reads and measures. It never mixes (see `mixing`) and never trains.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from audiomon.errors import InputError
from audiomon.features import LogMel, LogMelSpec
from audiomon.features.mel import mel_filter_bank

Float32 = NDArray[np.float32]
Bool = NDArray[np.bool_]

# A frame belongs to the sound if it is within this of the recording's loudest frame, and this far above its floor.
_ACTIVE_BELOW_PEAK_DB = 22.0
_ACTIVE_ABOVE_FLOOR_DB = 8.0
# A frame is certainly without the sound if it is this far below the loudest. In between nobody can say.
_QUIET_BELOW_PEAK_DB = 35.0
# A recording whose loudest and quietest frames are closer than this has no pauses: it is all sound.
_STEADY_DB = 12.0


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording.

    Attributes:
        name: file name, for reports.
        label: its class.
        group: what may not be on both sides of a split: ``fold 5``, or who spoke.
        samples: float32 in [-1, 1], shape (n,), at the model's rate.
    """

    name: str
    label: str
    group: str
    samples: Float32


def read_mono(path: Path, sample_rate: int) -> Float32:
    """Read an audio file as float32, mixed to one channel, resampled by soxr.

    Raises:
        InputError: the file is not audio.
    """
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise InputError(f"{path}: cannot be read as audio ({error})") from None
    mono: Float32 = samples.mean(axis=1, dtype=np.float32)
    return mono if rate == sample_rate else np.asarray(soxr.resample(mono, rate, sample_rate), dtype=np.float32)


class FramePower:
    """Mel powers of whole recordings, and their level in dBFS. Belongs to one thread."""

    def __init__(self, spec: LogMelSpec) -> None:
        self.spec = spec
        self._log_mel = LogMel(msgspec.structs.replace(spec, log="none", ref=1.0, top_db=None, normalization=None))
        # Undo what makes narrow bands count more, then scale: white noise of mean square 1 has power 1.
        bank = mel_filter_bank(spec)
        weights = 1 / np.maximum(bank.max(axis=1), 1e-12)
        noise = np.random.default_rng(0).standard_normal(spec.sample_rate * 20).astype(np.float32)
        self._weights = (weights / float(self.frames(noise).mean(axis=0) @ weights)).astype(np.float32)

    def frames(self, samples: Float32) -> Float32:
        """Return the mel powers of every whole frame: float32, shape (count, n_mels)."""
        return self._log_mel.frames(np.ascontiguousarray(samples, dtype=np.float32))

    def mean_square(self, frames: Float32) -> Float32:
        """Return each frame's mean square within the mel bands: float32, shape (count,); white noise of RMS 1 has 1."""
        return np.asarray(frames @ self._weights, dtype=np.float32)


def activity(mean_square: Float32) -> tuple[Bool, Bool]:
    """Say which frames hold the sound that a recording is named for, by level alone.

    Args:
        mean_square: of each frame, shape (count,).

    Returns:
        Two arrays of shape (count,): frames that hold it, and frames that certainly do not.
    """
    level_db = 10 * np.log10(mean_square + 1e-12)
    # The loudest frame, but for a click.
    peak_db = float(np.percentile(level_db, 98))
    floor_db = float(np.percentile(level_db, 5))
    if peak_db - floor_db < _STEADY_DB:
        return np.ones(len(level_db), dtype=bool), np.zeros(len(level_db), dtype=bool)
    active = (level_db > peak_db - _ACTIVE_BELOW_PEAK_DB) & (level_db > floor_db + _ACTIVE_ABOVE_FLOOR_DB)
    quiet = (level_db < peak_db - _QUIET_BELOW_PEAK_DB) | (level_db < floor_db + 3)
    return active, quiet & ~active
