"""Audio files as a source: whatever libsndfile or ffmpeg reads, pulled with back-pressure, never dropped.

A header is believed only as far as it is right: see `audiomon.audio.headers`.
"""

import errno
import os
import shutil
import stat
import tempfile
import threading
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile

from audiomon.audio import ffmpeg
from audiomon.audio.headers import parts_of
from audiomon.audio.partial_file import FileBytes, Part
from audiomon.audio.sndfile import Samples, SndfileDecoder
from audiomon.audio.source import Block, Closing
from audiomon.clock import Clock, SystemClock
from audiomon.errors import MAX_PATH, InputError
from audiomon.foreign import shown

STANDARD_INPUT = Path("-")

# One read at a time must end soon enough for a stop to be noticed.
_MAX_SLEEP_S = 0.25

# Full scale is 1. What is that much louder is no recording, and its powers would leave the range of float32.
_MAX_SAMPLE = 1e6

_COPY_BYTES = 1 << 20
_MAX_GAPS_NAMED = 4
# Parts in a row of which libsndfile reads nothing; more are no recordings, and to try them takes long.
_MAX_UNREADABLE_PARTS = 100


class _Decoder(Protocol):
    """What reads a part of a file; see `SndfileDecoder`."""

    sample_rate: int
    channels: int
    is_int16: bool
    may_be_infinite: bool
    frames: int | None

    def read(self, out: Samples, position: int) -> int: ...
    def seek(self, position: int) -> bool: ...
    def close(self) -> None: ...


class FileSource(Closing):
    """An audio file, or a pipe that holds one.

    Samples of 16-bit files are int16, as a microphone's are, so a recording of a live stream is classified to the same
    bits; all others are float32. A file that several recordings were joined into is read to its end, past what is
    missing from those before the last.

    Args:
        path: the file; ``-`` is standard input. A pipe is copied to a temporary file first.
        realtime: deliver samples no sooner than a microphone would.
        clock: paces, and dates the samples.

    Raises:
        InputError: it does not exist, is empty, or is not audio; or, from ``read``, holds NaN, infinity or numbers
            that no recording has, ends before its header says, lacks some of its sound, or goes on at another sample
            rate.
    """

    def __init__(self, path: Path, *, realtime: bool = False, clock: Clock | None = None) -> None:
        self.path = path
        self.name = "standard input" if path == STANDARD_INPUT else shown(path, MAX_PATH)
        self._clock = clock or SystemClock()
        fd, self._is_copy = _open(path)
        self._file = os.fdopen(fd, "rb", buffering=0)
        # Held while the file is decoded: closing it meanwhile would crash.
        self._decoding = threading.Lock()
        file = FileBytes(fd)
        if file.size == 0:
            raise InputError("is empty", path=path)
        self._parts = parts_of(file)
        self._part = 0
        self._gaps: list[str] = []  # where sound is missing, for the message at the end
        self._decoder: _Decoder = self._first_decoder(file)
        if len(self._parts) == 1:
            self._file.close()  # the decoder has it open for itself
        self.sample_rate: int = self._decoder.sample_rate
        self.channels: int = self._decoder.channels
        self._position = 0
        self._part_position = 0  # of the part's first frame
        self._read_end = 0
        self._ended = False
        self.live = realtime
        self._start_ns = self._clock.monotonic_ns()
        self._buffer = self._buffer_for(0)
        self._closed = False

    @property
    def frames(self) -> int:
        """Sample frames: when all have been read, how many there were; before, as the header says, 0 if it does not."""
        if self._ended or len(self._parts) > 1:
            return self._position
        return self._decoder.frames or 0

    @property
    def duration_s(self) -> float:
        """Length in seconds, as far as `frames` knows."""
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
            self._ended = True
            return None
        samples = out[:count]
        if self._decoder.may_be_infinite:
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
        """See `Source.rewind`. Not after damage, and not past the beginning of one of several joined recordings."""
        frames = min(frames, self._position - self._part_position)
        if self._closed or not frames or not self._decoder.seek(self._position - self._part_position - frames):
            return 0
        self._position -= frames
        return frames

    def close(self) -> None:
        """See `Source.close`. A read in progress, which is not waited for, closes the file when it ends."""
        self._closed = True
        if isinstance(self._decoder, ffmpeg.FfmpegDecoder):
            self._decoder.end()
        self._close_if_free()

    def __del__(self) -> None:
        # Not there if opening failed.
        file = getattr(self, "_file", None)
        if file is not None:
            file.close()

    def _close_if_free(self) -> None:
        """Close the file once it is no longer wanted, unless it is being decoded just now."""
        if self._closed and self._decoding.acquire(blocking=False):
            try:
                self._decoder.close()
                self._file.close()
            finally:
                self._decoding.release()

    def _buffer_for(self, frames: int) -> Samples:
        # 16-bit samples are read as they are: that costs a tenth of having libsndfile convert them.
        if self._decoder.is_int16:
            return np.empty((frames, self.channels), dtype=np.int16)
        return np.empty((frames, self.channels), dtype=np.float32)

    def _decode(self, out: Samples) -> int:
        try:
            while not (count := self._decode_part(out)) and not self._is_last_part:
                self._next_decoder()
        except InputError as error:
            if not self._gaps:
                raise
            raise InputError(f"{error}; {self._gaps_named()}") from None
        if not count and self._gaps:
            raise InputError(f"{self.path}: damaged: {self._gaps_named()}")
        return count

    def _decode_part(self, out: Samples) -> int:
        """Decode some of a part; an error in it is raised only if no other part follows."""
        error: InputError | None = None
        try:
            if count := self._decoder.read(out, self._position - self._part_position):
                return count
        except InputError as raised:
            error = raised
        part = self._parts[self._part]
        if part.gap is not None:
            self._note_gap(f"before byte {part.gap}")
        if error is not None:
            if self._is_last_part:
                raise error
            if part.gap is None or part.missing is not None:
                self._note_gap(f"after {self._position / self.sample_rate:.2f} s")
        return 0

    @property
    def _is_last_part(self) -> bool:
        return self._part + 1 >= len(self._parts)

    def _note_gap(self, where: str) -> None:
        if where not in self._gaps[-1:]:
            self._gaps.append(where)

    def _gaps_named(self) -> str:
        named = f"sound is missing {', '.join(self._gaps[:_MAX_GAPS_NAMED])}"
        return named if len(self._gaps) <= _MAX_GAPS_NAMED else f"{named} … ({len(self._gaps)} places)"

    def _first_decoder(self, file: FileBytes) -> _Decoder:
        if self._parts[0].foreign:
            return self._other_decoder(file, is_likely=True)
        decoder: SndfileDecoder | None = None
        for index, part in enumerate(self._parts):
            self._part = index
            whole = not (self._is_copy or part.head or part.start) and part.end == file.size
            try:
                decoder = SndfileDecoder(self.path, self._file.fileno(), part, whole=whole)
            except (soundfile.SoundFileError, RuntimeError, TypeError):
                decoder = None
            if decoder is not None and decoder.frames != 0:
                return decoder
            if part.missing is None or self._is_last_part or index >= _MAX_UNREADABLE_PARTS:
                break
            self._note_gap("at the beginning")  # cut off before its first sample
        if decoder is not None:
            raise InputError("holds no samples", path=self.path)
        return self._other_decoder(file, is_likely=ffmpeg.is_likely(self.path, file.at(0, 64)))

    def _other_decoder(self, file: FileBytes, *, is_likely: bool) -> _Decoder:
        # ffmpeg passes over what is missing.
        gaps = [
            gap for part in self._parts for gap in (part.gap, part.end if part.missing else None) if gap is not None
        ]
        self._gaps = ["at the end" if gap == file.size else f"before byte {gap}" for gap in gaps]
        self._part, self._parts = 0, [Part(0, file.size)]
        if is_likely and ffmpeg.is_installed():
            return ffmpeg.FfmpegDecoder(self.path, self._file.fileno())
        hint = f"; {ffmpeg.HINT}" if is_likely else ""
        raise InputError(
            f"{self.path}: is not audio in a format that libsndfile reads (WAV, FLAC, Ogg, MP3, AIFF …){hint}"
        )

    def _next_decoder(self) -> None:
        """Go on with the next of several joined recordings that can be read."""
        at_s = self._position / self.sample_rate
        before_it = self._part
        while True:
            self._part += 1
            try:
                part = self._parts[self._part]
                decoder = SndfileDecoder(self.path, self._file.fileno(), part, whole=False, start_s=at_s)
                break
            except (soundfile.SoundFileError, RuntimeError, TypeError):
                if self._is_last_part or self._part - before_it >= _MAX_UNREADABLE_PARTS:
                    raise InputError(f"what follows after {at_s:.2f} s cannot be read", path=self.path) from None
        if self._part > before_it + 1:
            self._note_gap(f"after {at_s:.2f} s")
        before, after = ((one.sample_rate, one.channels, one.is_int16) for one in (self._decoder, decoder))
        if before != after:
            raise InputError(
                f"{self.path}: goes on in another format after {at_s:.2f} s ({after[0]} Hz, channels: {after[1]}), "
                f"which is not heard; take it apart into files of their own"
            )
        self._decoder.close()
        self._decoder = decoder
        self._part_position = self._position

    def _due(self, frames: int) -> int:
        """Sleep until the wanted frames could have been captured; 0 if that is more than a short sleep away."""
        due_ns = self._start_ns + (self._position + frames) * 1_000_000_000 // self.sample_rate
        ahead_s = (due_ns - self._clock.monotonic_ns()) / 1e9
        if ahead_s > 0:
            self._clock.sleep(min(ahead_s, _MAX_SLEEP_S))
        return frames if ahead_s <= _MAX_SLEEP_S else 0

    def _check_finite(self, samples: Samples) -> None:
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
            raise InputError(
                f"no audio at {at_s:.3f} s: a sample of {np.abs(samples[first]).max():.3g}", path=self.path
            )
        raise InputError(f"not a number at {at_s:.3f} s ({int(bad.sum())} such samples nearby)", path=self.path)


def _open(path: Path) -> tuple[int, bool]:
    """Open a file for reading, or copy a pipe; a descriptor, and whether it is of a copy."""
    try:
        fd = os.dup(0) if path == STANDARD_INPUT else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"{_why_not(error)}", path=path) from None
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"is a folder; name the audio files in it, as in {path}/*.wav", path=path)
        if stat.S_ISREG(mode):
            return os.dup(fd), path == STANDARD_INPUT
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            return _copied(path, fd), True
        if stat.S_ISCHR(mode) and not os.isatty(fd) and not os.read(fd, 1):
            raise InputError("is empty", path=path)
        raise InputError(
            f"is a {'terminal' if os.isatty(fd) else 'device'}; a recording is a file or a pipe", path=path
        )
    except OSError as error:
        raise InputError(f"{_why_not(error)}", path=path) from None
    finally:
        os.close(fd)


def _copied(path: Path, fd: int) -> int:
    """Copy what comes out of a pipe to a file without a name; its descriptor."""
    with os.fdopen(os.dup(fd), "rb", buffering=0) as pipe, tempfile.TemporaryFile() as copy:
        try:
            shutil.copyfileobj(pipe, copy, _COPY_BYTES)
            copy.flush()
        except OSError as error:
            raise InputError(f"cannot be copied to {tempfile.gettempdir()}: {error.strerror}", path=path) from None
        return os.dup(copy.fileno())


def _why_not(error: OSError) -> str:
    match error.errno:
        case errno.ENOENT:
            return "no such file"
        case errno.EACCES | errno.EPERM:
            return "may not be read by this user"
    return f"cannot be read ({error.strerror})"
