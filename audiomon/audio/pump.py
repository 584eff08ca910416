"""Moves samples from an open device into a ring, a look at a time. It never waits; who calls it does, in between.

A look is worth it when the window that a reader waits for is complete, where the device keeps sound for that long, and
otherwise when a block is.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec
import numpy as np

from audiomon.audio.missing import MissingMeter
from audiomon.audio.pacing import Cadence, CaptureTimes
from audiomon.audio.ring import Ring
from audiomon.audio.source import Identity, Missing
from audiomon.clock import Clock

# One read at a time must return soon enough for a stop to be noticed; a ring is at least twice as long. Nor is a device
# left alone for longer: that nothing comes has to be noticed, too.
MAX_READ_S = 1.0


class InputStream(Protocol):
    """An open device, capturing. Used by one thread, the capture thread.

    Attributes:
        identity: of the device.
        sample_rate: samples per second, in Hz.
        channels: int16 numbers per sample.
        kept_s: for how long the device keeps sound that is not read, in seconds; 0 if that is not known, which is then
            read block by block.
        ending: whether nothing more will come than what is available.
    """

    identity: Identity
    sample_rate: int
    channels: int
    kept_s: float
    ending: bool

    def available(self) -> int:
        """Return how many samples can be read without waiting.

        Raises:
            DeviceError: the device failed, or its stream has ended.
        """
        ...

    def read(self, count: int) -> bytes:
        """Read samples that are available.

        Args:
            count: how many, at most `available`.

        Returns:
            Interleaved native int16; nothing if they were lost meanwhile.

        Raises:
            DeviceError: the device failed.
        """
        ...

    def close(self) -> None:
        """Release the device."""
        ...


class Opened(msgspec.Struct, frozen=True):
    """An open device, and where its samples go."""

    stream: InputStream
    ring: Ring
    block_frames: int


class Pump:
    """Moves samples from a device into a ring, a look at a time.

    Args:
        opened: the two.
        missing: gets what the device turns out not to have delivered.
        clock: dates the samples.
        hurry: called, in a reader's thread, when it lacks less than it was believed to; see `hurried`.

    Attributes:
        due_ns: monotonic time at which newer samples are expected; 0 before the first have come.
    """

    def __init__(self, opened: Opened, missing: deque[Missing], clock: Clock, hurry: Callable[[], None]) -> None:
        self.due_ns = 0
        self._stream, self._ring, self._block_frames = opened.stream, opened.ring, opened.block_frames
        self._missing = missing
        self._clock = clock
        self._hurry = hurry
        rate = self._ring.sample_rate
        self._max_frames = self._ring.max_read(MAX_READ_S)
        # Half of what the device keeps: this thread may be kept from looking for as long again.
        self._max_lacking = min(self._max_frames, round(self._stream.kept_s / 2 * rate))
        self._times, self._meter = CaptureTimes(rate), MissingMeter(rate)
        self._cadence = Cadence(rate, self._block_frames)

    @property
    def captured_ns(self) -> int:
        """Monotonic time at which the newest sample was captured, at the earliest; 0 before the first."""
        return self._times.earliest_ns

    def look(self) -> int:
        """Move what has come, if it is enough; return the monotonic time of the next look."""
        ring = self._ring
        available, samples = _look(self._stream, self._cadence.enough_samples, self._max_frames)
        found_ns = self._clock.monotonic_ns()
        if not samples:
            return self._cadence.missed(available, found_ns)
        block = np.frombuffer(samples, dtype=np.int16).reshape(-1, ring.channels)
        left = available - len(block)
        ring.write(block, self._times.captured_ns(len(block), found_ns, left))
        if missing := self._meter.add(ring.end + left, found_ns):
            self._missing.append(missing)
        self.due_ns = self._cadence.found(available, left, found_ns, self._lacking())
        return self.due_ns

    def hurried(self) -> int:
        """Plan once more, since a reader's wish has changed; return the monotonic time of the next look."""
        self.due_ns = self._cadence.hurried(self._clock.monotonic_ns(), self._lacking())
        return self.due_ns

    def _lacking(self) -> int | None:
        """Samples that complete what a reader waits for, or as many as may be waited for; None for blocks.

        After a block that came late, blocks soon show whether the device has stopped.
        """
        wanted = self._ring.next_wanted
        if wanted is None or self._max_lacking <= self._block_frames or self._times.late:
            self._ring.plan(0, self._hurry)
            return None
        lacking = min(wanted - self._ring.end, self._max_lacking)
        self._ring.plan(self._ring.end + lacking, self._hurry)
        return lacking


def _look(stream: InputStream, enough: int, maximum: int) -> tuple[int, bytes]:
    """Look how many samples have come, and if they are enough, read them; never waits.

    Returns:
        How many there were, and those read, as interleaved int16.
    """
    available = stream.available()
    if available < enough and not (available and stream.ending):
        return available, b""
    samples = stream.read(min(available, maximum))
    return (available if samples else 0), samples
