"""Audio files as a source: whatever libsndfile reads, pulled with back-pressure, never dropped."""

import os
import threading
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiomon.audio.headers import UnsizedWav, missing_part, zero_data_size
from audiomon.audio.source import Block, Closing
from audiomon.c_stderr import c_stderr_silenced
from audiomon.clock import Clock, SystemClock
from audiomon.errors import InputError

# One read at a time must end soon enough for a stop to be noticed.
_MAX_SLEEP_S = 0.25

# Full scale is 1. A sample above this is no recording, and its powers would leave the range of float32.
_MAX_SAMPLE = 1e6
# libsndfile's names of the encodings that can hold NaN, infinity and numbers of that size.
_NOT_ALWAYS_FINITE = ("FLOAT", "DOUBLE")

_Samples = NDArray[np.int16] | NDArray[np.float32]


class FileSource(Closing):
    """An audio file.

    Samples of 16-bit files are int16, as a microphone's are, so a recording of a live stream is classified to the same
    bits; all others are float32.

    Args:
        path: the file.
        realtime: deliver samples no sooner than a microphone would.
        clock: paces, and dates the samples.

    Raises:
        InputError: it does not exist, is empty, or is not audio; or, from ``read``, holds NaN, infinity or numbers
            that no recording has, or ends before its header says.
    """

    def __init__(self, path: Path, *, realtime: bool = False, clock: Clock | None = None) -> None:
        self.path = path
        self.name = str(path)
        self._clock = clock or SystemClock()
        self._file, self._raw = _open(path)
        # Held while the file is decoded: closing it meanwhile would crash.
        self._decoding = threading.Lock()
        self._missing_part = missing_part(self._file.extra_info)
        self._damaged: str | None = None
        self.sample_rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.frames: int = self._file.frames
        self._position = 0
        self._read_end = 0
        self.live = realtime
        self._start_ns = self._clock.monotonic_ns()
        self._buffer = self._buffer_for(0)
        self._closed = False

    @property
    def duration_s(self) -> float:
        """Length in seconds, as the header says."""
        return self.frames / self.sample_rate

    def read(self, frames: int) -> Block | None:
        """See `Source.read`."""
        if self.live:
            frames = self._due(frames)
        try:
            with self._decoding:
                return None if self._closed else self._read(frames)
        finally:
            self._close_if_free()

    def _read(self, frames: int) -> Block | None:
        if len(self._buffer) < frames:
            self._buffer = self._buffer_for(frames)
        out = self._buffer[:frames]
        count = self._decode(out) if frames else 0
        if frames and not count:
            self._check_complete()
            return None
        samples = out[:count]
        if self._file.subtype in _NOT_ALWAYS_FINITE:
            self._check_finite(samples)
        block = Block(self._position, samples, 0, self._clock.monotonic_ns())
        self._position += count
        self._read_end = max(self._read_end, self._position)
        return block

    @property
    def captured_end(self) -> int:
        """See `Source`."""
        return self._read_end

    def rewind(self, frames: int) -> int:
        """See `Source.rewind`. Not after damage, which cannot be decoded twice."""
        if self._damaged or self._closed:
            return 0
        frames = min(frames, self._position)
        self._position -= frames
        self._file.seek(self._position)
        return frames

    def close(self) -> None:
        """See `Source.close`. A read in progress, which is not waited for, closes the file when it ends."""
        self._closed = True
        self._close_if_free()

    def __del__(self) -> None:
        # Not there if opening failed; soundfile closes what it opened, and not what it was given.
        raw = getattr(self, "_raw", None)
        if raw is not None:
            raw.close()

    def _close_if_free(self) -> None:
        if self._closed and self._decoding.acquire(blocking=False):
            try:
                self._file.close()
                if self._raw is not None:
                    self._raw.close()
            finally:
                self._decoding.release()

    def _buffer_for(self, frames: int) -> _Samples:
        # 16-bit samples are read as they are: that costs a tenth of having libsndfile convert them.
        if self._file.subtype == "PCM_16":
            return np.empty((frames, self.channels), dtype=np.int16)
        return np.empty((frames, self.channels), dtype=np.float32)

    def _decode(self, out: _Samples) -> int:
        if self._damaged:
            raise InputError(self._damaged)
        try:
            with c_stderr_silenced():  # damaged MP3 makes libmpg123 talk
                return len(self._file.read(out=out))
        except (soundfile.SoundFileError, RuntimeError) as error:
            at_s = self._position / self.sample_rate
            self._damaged = (
                f"{self.path}: damaged or truncated after {at_s:.2f} s ({str(error).strip() or 'no reason given'})"
            )
            # What it decoded before it stumbled is in the buffer, and its position says how much that is.
            count: int = self._file.tell() - self._position
            if not 0 < count <= len(out):
                raise InputError(self._damaged) from None
            return count

    def _due(self, frames: int) -> int:
        """Sleep until the wanted frames could have been captured; 0 if that is more than a short sleep away."""
        due_ns = self._start_ns + (self._position + frames) * 1_000_000_000 // self.sample_rate
        ahead_s = (due_ns - self._clock.monotonic_ns()) / 1e9
        if ahead_s > 0:
            self._clock.sleep(min(ahead_s, _MAX_SLEEP_S))
        return frames if ahead_s <= _MAX_SLEEP_S else 0

    def _check_finite(self, samples: _Samples) -> None:
        # One pass without a temporary: whatever is too large, or not a number, shows in the sum of squares.
        flat = samples.reshape(-1)
        with np.errstate(over="ignore", invalid="ignore"):
            if np.dot(flat, flat) < _MAX_SAMPLE**2:
                return
        bad = ~(np.abs(samples) < _MAX_SAMPLE).all(axis=1)
        if not bad.any():
            return
        first = int(bad.argmax())
        at_s = (self._position + first) / self.sample_rate
        if np.isfinite(samples[first]).all():
            raise InputError(f"{self.path}: no audio at {at_s:.3f} s: a sample of {np.abs(samples[first]).max():.3g}")
        raise InputError(f"{self.path}: not a number at {at_s:.3f} s ({int(bad.sum())} such samples nearby)")

    def _check_complete(self) -> None:
        promised_s = self.duration_s * (self._missing_part or 1)
        if self._position < self.frames or self._missing_part:
            at_s = self._position / self.sample_rate
            promise = f"its header promises {promised_s:.2f} s, " if promised_s > at_s else ""
            raise InputError(f"{self.path}: truncated: {promise}the data end at {at_s:.2f} s")


def _open(path: Path) -> tuple[soundfile.SoundFile, UnsizedWav | None]:
    """Return the open file, and what it is read through if that is not its path."""
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name the audio files in it, as in {path}/*.wav")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: may not be read by this user")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: is empty")
    size_at = zero_data_size(path)
    unsized = None if size_at is None else UnsizedWav(path, size_at)
    try:
        with c_stderr_silenced():
            file = soundfile.SoundFile(unsized or path)
    except (soundfile.SoundFileError, RuntimeError, TypeError):
        if unsized is not None:
            unsized.close()
        raise InputError(
            f"{path}: is not audio in a format that libsndfile reads (WAV, FLAC, Ogg, MP3, AIFF …)"
        ) from None
    if file.frames == 0:
        file.close()
        if unsized is not None:
            unsized.close()
        raise InputError(f"{path}: holds no samples")
    return file, unsized
