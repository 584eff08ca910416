"""One part of a file through libsndfile: frames in, and at the end the truth about how much there was."""

import os
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiomon.audio.partial_file import Part, PartialFile
from audiomon.c_stderr import c_stderr_silenced
from audiomon.errors import InputError

Samples = NDArray[np.int16] | NDArray[np.float32]

# libsndfile's names of the encodings that can hold NaN, infinity and numbers that no recording has.
_NOT_ALWAYS_FINITE = ("FLOAT", "DOUBLE")
_OGG_WITHOUT_END = "Ogg : Last page lacks an end-of-stream bit."
_UNKNOWN_FRAMES = 1 << 62


class _StraightOn(soundfile.SoundFile):  # type: ignore[misc]  # it has no types
    """A file that is read straight on.

    After each read, soundfile seeks to where it is already, if it believes that it can. That costs time, and an MP3 of
    variable bitrate loses what its next frame needs of those before it: a tenth of its samples are then wrong.
    """

    def seekable(self) -> bool:
        """Return False, so that it does not; `seek` works all the same."""
        return False


class SndfileDecoder:
    """A part of a file.

    Args:
        path: of the file, for messages, and to be opened by libsndfile itself where it is to read all of it.
        fd: of the file.
        part: which.
        whole: whether libsndfile can open the path: it is the file, and the part is all of it.
        start_s: how much sound came before the part, for messages.

    Attributes:
        sample_rate: in Hz.
        channels: samples per frame.
        is_int16: whether the samples are stored in 16 bits, and read as such.
        may_be_infinite: whether they can be NaN or infinite.
        frames: that the header promises, or the decoder estimates; None if it knows nothing.

    Raises:
        SoundFileError, RuntimeError, TypeError: libsndfile does not read it.
    """

    def __init__(self, path: Path, fd: int, part: Part, *, whole: bool, start_s: float = 0) -> None:
        self._path = path
        self._start_s = start_s
        self._damaged: str | None = None
        with c_stderr_silenced():
            self._raw = None if whole else PartialFile(fd, part)
            # Bytes: a name need not be UTF-8.
            self._file = _StraightOn(self._raw or os.fsencode(path))
        self.sample_rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.is_int16 = self._file.subtype == "PCM_16"
        self.may_be_infinite = self._file.subtype in _NOT_ALWAYS_FINITE
        # Asked for more than there is, libsndfile decodes what stands behind a FLAC, and takes padding for damage.
        self._goes_on = self._file.format == "FLAC"
        self._missing = part.missing
        self._has_no_end = _OGG_WITHOUT_END in self._file.extra_info
        frames: int = self._file.frames
        self.frames = None if frames >= _UNKNOWN_FRAMES else frames
        is_estimate = part.exact is False or (part.exact is None and self._file.subtype.startswith("MPEG"))
        self._promised = None if is_estimate else self.frames

    def read(self, out: Samples, position: int) -> int:
        """Fill an array from its beginning.

        Args:
            out: int16 or float32, shape (frames, channels).
            position: of its first frame in the part.

        Returns:
            How many frames; 0 at the end.

        Raises:
            InputError: the part is damaged or truncated; what could be decoded before has been returned.
        """
        if self._damaged:
            raise InputError(self._damaged)
        if self._goes_on and self.frames is not None:
            out = out[: max(0, self.frames - position)]
            if not len(out):
                self._check_complete(position)
                return 0
        try:
            with c_stderr_silenced():  # damaged MP3 makes libmpg123 talk
                count = len(self._file.read(out=out))
        except (soundfile.SoundFileError, RuntimeError) as error:
            count = self._stumbled(out, position, error)
        if not count and len(out):
            self._check_complete(position)
        return count

    def seek(self, position: int) -> bool:
        """Go to a frame of the part; False if that cannot be: after damage, which cannot be decoded twice."""
        if self._damaged:
            return False
        try:
            with c_stderr_silenced():
                self._file.seek(position)
        except (soundfile.SoundFileError, RuntimeError):
            return False
        return True

    def close(self) -> None:
        """Close it."""
        self._file.close()
        if self._raw is not None:
            self._raw.close()

    def _stumbled(self, out: Samples, position: int, error: Exception) -> int:
        """Return how much was decoded before an error, which is raised next time."""
        reason = str(error).strip() or "no reason given"
        # What it decoded before it stumbled is in the buffer, and its position says how much that is.
        count: int = self._file.tell() - position
        there = 0 < count <= len(out)
        if self._has_no_end and self.frames is not None and self.frames - position - count < self.sample_rate:
            return count if there else 0
        at_s = self._start_s + (position + count * there) / self.sample_rate
        self._damaged = f"{self._path}: damaged or truncated after {at_s:.2f} s ({reason})"
        if not there:
            raise InputError(self._damaged) from None
        return count

    def _check_complete(self, position: int) -> None:
        promised = self._promised
        if self._has_no_end and promised is not None:
            promised -= self.sample_rate  # what its last page says may be less than a decoder gives
        if self._missing is None and (promised is None or position >= promised):
            return
        at_s = self._start_s + position / self.sample_rate
        promised_s = self._start_s + (self._promised or position) / self.sample_rate * (self._missing or 1)
        promise = f"its header promises {promised_s:.2f} s, " if promised_s > at_s else ""
        raise InputError(f"{self._path}: truncated: {promise}the data end at {at_s:.2f} s")
