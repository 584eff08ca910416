"""Takes clips from a source and writes them to files that nothing overwrites. It never plays, and never trains."""

import math
import os
import tempfile
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiomon.audio.level import SILENCE_DBFS, level_dbfs
from audiomon.audio.source import Block, Source
from audiomon.errors import DeviceError, UserError

Int16 = NDArray[np.int16]

BEFORE_S = 0.5
# A sound is this much louder than the room was lately, and louder than the microphone's own noise.
_ABOVE_ROOM_DB = 12.0
_MIN_SOUND_DBFS = -55.0
_ROOM_MEMORY_S = 5.0
# Blocks are short enough for a lively meter.
_BLOCK_S = 0.05
_FULL_SCALE = 32_767
_SILENT_PEAK_DBFS = -60.0

# Called with the level in dBFS of every block while it listens.
ShowLevel = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Take:
    """One clip.

    Attributes:
        samples: int16, shape (n, channels).
        sample_rate: in Hz.
        clipped: samples at full scale.
        lost: samples that were lost in between, because something kept this program from reading.
    """

    samples: Int16
    sample_rate: int
    clipped: int
    lost: int

    @property
    def peak_dbfs(self) -> float:
        """Level of the largest sample, each channel around its own mean."""
        if not self.samples.size:
            return SILENCE_DBFS
        peak = float(np.abs(self.samples - self.samples.mean(axis=0)).max())
        return max(SILENCE_DBFS, 20 * math.log10(peak / 32_768)) if peak else SILENCE_DBFS

    @property
    def is_silent(self) -> bool:
        """Whether nothing can be heard in it."""
        return self.peak_dbfs < _SILENT_PEAK_DBFS


class Recorder:
    """Takes clips, one after the other, from a source that goes on meanwhile.

    Args:
        source: usually a microphone.
        seconds: length of a clip.
    """

    def __init__(self, source: Source, seconds: float) -> None:
        self._source = source
        self._rate = source.sample_rate
        self._frames = round(seconds * self._rate)
        self._block_frames = max(1, round(_BLOCK_S * self._rate))
        self._lost = 0
        # What was heard lately: the beginning of the next clip, if it begins before it is noticed.
        self._before: deque[Int16] = deque()

    def pause(self, seconds: float, show: ShowLevel) -> None:
        """Listen for a while without keeping anything.

        Raises:
            DeviceError: the source ended or failed.
        """
        left = round(seconds * self._rate)
        while left > 0:
            block = self._read(min(left, self._block_frames))
            left -= len(block)
            show(level_dbfs(block))
        self._before.clear()
        self._lost = 0

    def wait_for_sound(self, show: ShowLevel) -> None:
        """Return when something is heard that is louder than the room; half a second before it is kept.

        Raises:
            DeviceError: the source ended or failed.
        """
        room: deque[float] = deque(maxlen=round(_ROOM_MEMORY_S / _BLOCK_S))
        kept = 0
        self._before.clear()
        while True:
            block = self._read(self._block_frames)
            level = level_dbfs(block)
            show(level)
            self._before.append(block)
            kept += len(block)
            while kept - len(self._before[0]) >= round(BEFORE_S * self._rate):
                kept -= len(self._before.popleft())
            if room and level >= max(float(np.median(room)) + _ABOVE_ROOM_DB, _MIN_SOUND_DBFS):
                self._lost = 0
                return
            room.append(level)

    def take(self, show: ShowLevel) -> Take:
        """Record one clip, from now on, or from half a second before the sound that was waited for.

        Raises:
            DeviceError: the source ended or failed.
        """
        blocks = list(self._before)
        self._before.clear()
        have = sum(len(block) for block in blocks)
        while have < self._frames:
            block = self._read(min(self._frames - have, self._block_frames))
            have += len(block)
            blocks.append(block)
            show(level_dbfs(block))
        samples = np.concatenate(blocks)[: self._frames]
        clipped = int((np.abs(samples.astype(np.int32)) >= _FULL_SCALE).sum())
        lost, self._lost = self._lost, 0
        return Take(samples, self._rate, clipped, lost)

    def _read(self, frames: int) -> Int16:
        # A stall is no silence: nothing is known of the room while nothing comes.
        while not (block := self._next(frames)).samples.size:
            pass
        if block.samples.dtype == np.int16:
            return np.array(block.samples, dtype=np.int16)
        return np.asarray(np.rint(block.samples * np.float32(_FULL_SCALE)), dtype=np.int16)

    def _next(self, frames: int) -> Block:
        block = self._source.read(frames)
        if block is None:
            raise DeviceError(f"{self._source.name}: has ended")
        self._lost += block.lost
        return block


def write_take(take: Take, folder: Path, session: str) -> Path:
    """Write a clip to ``folder/SESSION-NN.flac``, whole or not at all, at the first number that is free.

    Raises:
        UserError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".take-") as draft:
            soundfile.write(draft, take.samples, take.sample_rate, format="FLAC", subtype="PCM_16")
            draft.flush()
            os.fchmod(draft.fileno(), 0o644)
            number = 1
            while True:
                path = folder / f"{session}-{number:02d}.flac"
                try:
                    os.link(draft.name, path)  # unlike a rename, it fails if there is such a file
                except FileExistsError:
                    number += 1
                else:
                    return path
    except (OSError, soundfile.SoundFileError) as error:
        raise UserError(f"cannot be written: {getattr(error, 'strerror', None) or error}", path=folder) from None
