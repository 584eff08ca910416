"""Stand-ins for a microphone: a source made of an array, and a clock that takes a moment every time it is read."""

from collections.abc import Callable, Iterable

import numpy as np

from audiomon.audio.source import Block
from tests.manual_clock import ManualClock

TICK_NS = 1000


class ArraySource:
    """Plays an array as a live stream that was heard whole except for ``gaps``.

    Args:
        samples: int16, shape (frames, channels): the whole stream, what gets lost of it included.
        sample_rate: in Hz.
        chunk: how many frames may come at most, asked before every read; 0 for a read that waits in vain.
        gaps: (first, end) positions of frames that are lost.
        clock: moved on to when the frames delivered were captured.
    """

    live = True

    def __init__(
        self,
        samples: np.ndarray,
        sample_rate: int,
        *,
        chunk: Callable[[], int] = lambda: 1 << 30,
        gaps: Iterable[tuple[int, int]] = (),
        clock: ManualClock | None = None,
    ) -> None:
        self.name = "an array"
        self.sample_rate = sample_rate
        self.channels = samples.shape[1]
        self._samples = samples
        self._chunk = chunk
        self._gaps = sorted(gaps)
        self._clock = clock or ManualClock()
        self._position = 0
        self.closed = False
        self.oldest = 0  # what `copy` still has

    def read(self, frames: int) -> Block | None:
        count = min(frames, self._chunk())
        if count == 0:
            return Block(self._position, self._samples[:0], 0, self._clock.monotonic_ns())
        lost = 0
        while self._gaps and self._gaps[0][0] == self._position:
            _, end = self._gaps.pop(0)
            lost += end - self._position
            self._position = end
        end = min(self._position + count, self._gaps[0][0] if self._gaps else len(self._samples))
        if end == self._position:
            return None
        block = Block(self._position, self._samples[self._position : end], lost, self.captured_ns(end))
        self._position = end
        self._clock.advance(max(0, block.captured_ns - self._clock.monotonic_ns()) / 1e9)
        return block

    @property
    def captured_end(self) -> int:
        return self._position

    def rewind(self, frames: int) -> int:
        del frames
        return 0

    def copy(self, position: int, count: int) -> np.ndarray | None:
        assert 0 <= position <= position + count <= self._position
        return self._samples[position : position + count].copy() if position >= self.oldest else None

    def captured_ns(self, position: int) -> int:
        """When the frame before a position was captured, by a clock that was 0 when the stream began."""
        return position * 1_000_000_000 // self.sample_rate

    def close(self) -> None:
        self.closed = True


class TickingClock(ManualClock):
    """Every look at the monotonic clock takes a microsecond, so that durations are known by counting looks."""

    def monotonic_ns(self) -> int:
        now_ns = super().monotonic_ns()
        self.advance(TICK_NS / 1e9)
        return now_ns


def noise(frames: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(7).integers(-12_000, 12_000, (frames, channels)).astype(np.int16)
