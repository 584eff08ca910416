"""A loop's ``read`` as a source of audio, for audiomon's own loops."""

import time
from collections.abc import Callable

import numpy as np

from audiomon.audio.source import Block


class ReadSource:
    """Samples from a function, without end; nothing is decoded and nothing waited for.

    Args:
        read: returns so many samples, 16-bit little-endian bytes of one channel.
        sample_rate: in Hz.
    """

    def __init__(self, read: Callable[[int], bytes], sample_rate: int) -> None:
        self.name = "memory"
        self.sample_rate = sample_rate
        self.channels = 1
        self.live = False
        self._read = read
        self._position = 0

    def read(self, frames: int) -> Block | None:
        """See `Source.read`."""
        samples = np.frombuffer(self._read(frames), dtype="<i2")[:, np.newaxis]
        block = Block(self._position, samples, 0, time.monotonic_ns())
        self._position += frames
        return block

    @property
    def captured_end(self) -> int:
        """See `Source`."""
        return self._position

    def rewind(self, frames: int) -> int:
        """See `Source.rewind`: what came from a function is gone."""
        return 0

    def close(self) -> None:
        """See `Source.close`."""
