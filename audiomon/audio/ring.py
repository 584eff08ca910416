"""The ring buffer between the capture thread and the readers of what it captures.

One writer, any number of readers, preallocated. Samples (one int16 per channel) are numbered from the start of the
stream, so a reader that fell behind learns the exact number it lost. The writer never waits for a reader.
"""

import threading
from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.clock import Clock, SystemClock

Int16 = NDArray[np.int16]


class Anchor(msgspec.Struct, frozen=True, gc=False):
    """When a position of the stream was captured: ``position`` samples had arrived at ``monotonic_ns``."""

    position: int
    monotonic_ns: int


class Ring:
    """The last ``capacity`` samples of a stream.

    How a torn read is noticed without the writer ever waiting: before overwriting, the writer announces how far it is
    about to write (``_claimed``); after copying, it publishes the new end. A reader copies first and then looks at the
    announcement: if what it copied could have been overwritten meanwhile, the copy does not count.

    Args:
        capacity: samples held; the furthest that a reader may fall behind.
        channels: int16 numbers per sample.
        sample_rate: samples per second, for `captured_ns`.
        clock: used for waiting only.
    """

    def __init__(self, capacity: int, channels: int, sample_rate: int, clock: Clock | None = None) -> None:
        if capacity < 2 or channels < 1:
            raise ValueError("a ring holds at least two samples of one channel")
        self.capacity = capacity
        self.channels = channels
        self.sample_rate = sample_rate
        self._samples: Int16 = np.zeros((capacity, channels), dtype=np.int16)
        self._claimed = 0
        self._end = 0
        self._anchor = Anchor(0, 0)
        self._closed = False
        # What readers wait for, as (position, further samples wanted then), and the first of the positions. Replaced
        # whole, since the writer looks at them without a lock.
        self._waiting: tuple[tuple[int, int], ...] = ()
        self._wanted: int | None = None
        # Up to where the writer means to write next, and who tells it that a reader wants less than that.
        self._planned_end = 0
        self._hurry: Callable[[], None] | None = None
        self._arrived = threading.Condition()
        self._clock = clock or SystemClock()

    @property
    def end(self) -> int:
        """Samples written so far: one past the newest position."""
        return self._end

    @property
    def closed(self) -> bool:
        """Whether the writer has ended the stream."""
        return self._closed

    def max_read(self, seconds: float) -> int:
        """Samples that may be written or read at once, and at most this many seconds of them."""
        return min(round(seconds * self.sample_rate), self.capacity // 2)

    def write(self, block: Int16, captured_ns: int) -> None:
        """Append a block.

        Args:
            block: int16, shape (n, channels), at most half the ring. Copied; the caller keeps it.
            captured_ns: monotonic time at which the last sample of the block was captured.

        Raises:
            ValueError: the block is larger than half the ring.
        """
        frames = len(block)
        if frames * 2 > self.capacity:
            raise ValueError(f"a block of {frames} frames is too large for a ring of {self.capacity}")
        start = self._end % self.capacity
        head = min(frames, self.capacity - start)
        self._claimed = self._end + frames
        self._samples[start : start + head] = block[:head]
        if head < frames:
            self._samples[: frames - head] = block[head:]
        self._anchor = Anchor(self._claimed, captured_ns)
        self._end = self._claimed
        wanted = self._wanted
        if wanted is not None and self._end >= wanted:
            self._wake()

    def close(self) -> None:
        """End the stream; readers get what is left and then nothing. Safe from any thread, more than once."""
        self._closed = True
        self._wake()

    def captured_ns(self, position: int) -> int:
        """Monotonic time at which the sample before ``position`` was captured, from the last write and the rate."""
        anchor = self._anchor
        return anchor.monotonic_ns - (anchor.position - position) * 1_000_000_000 // self.sample_rate

    def plan(self, end: int, hurry: Callable[[], None]) -> None:
        """Note up to where the writer means to write next.

        Args:
            end: that position.
            hurry: called, in a reader's thread, when one waits for less than that.
        """
        self._planned_end, self._hurry = end, hurry

    @property
    def next_wanted(self) -> int | None:
        """The position that a reader will wait for next; None when nobody waits, or one does not say.

        One that has all that it waits for, and has not had the time to move on, is taken at its word; see `wait`.
        """
        wanted = None
        for position, then in self._waiting:
            if not then:
                return None
            end = position if position > self._end else position + then
            wanted = end if wanted is None else min(wanted, end)
        return wanted

    def wait(self, position: int, timeout_s: float, then: int = 0) -> bool:
        """Wait until ``position`` samples have been written; False if the time ran out or the stream closed first.

        The writer wakes its waiting readers when the first of their positions is reached, not at every block.

        Args:
            position: waited for.
            timeout_s: how long.
            then: further samples that will be waited for next, so that the writer can plan; 0 if that is not known.
        """
        if self._end >= position:
            return True
        deadline_ns = self._clock.monotonic_ns() + round(timeout_s * 1e9)
        waiting = (position, then)
        with self._arrived:
            # Before the end is looked at: a writer that passes the position later sees it.
            self._set_waiting((*self._waiting, waiting))
            if position < self._planned_end and self._hurry is not None:
                self._hurry()
            try:
                while self._end < position and not self._closed:
                    left_s = (deadline_ns - self._clock.monotonic_ns()) / 1e9
                    if left_s <= 0 or not self._clock.wait(self._arrived, left_s):
                        break
            finally:
                others = list(self._waiting)
                others.remove(waiting)
                self._set_waiting(tuple(others))
        return self._end >= position

    def copy(self, position: int, out: Int16) -> bool:
        """Copy the samples from ``position`` on into ``out``, all of which must have been written.

        Args:
            position: of the first one wanted.
            out: int16, shape (n, channels); filled.

        Returns:
            False if any of them had been overwritten before the copy was complete; ``out`` is then garbage.

        Raises:
            ValueError: the range reaches past `end`.
        """
        frames = len(out)
        if position < 0 or position + frames > self._end:
            raise ValueError(f"frames {position} to {position + frames} are not in a stream of {self._end}")
        if frames > self.capacity:
            return False
        start = position % self.capacity
        head = min(frames, self.capacity - start)
        out[:head] = self._samples[start : start + head]
        if head < frames:
            out[head:] = self._samples[: frames - head]
        return position >= self._claimed - self.capacity

    def _set_waiting(self, waiting: tuple[tuple[int, int], ...]) -> None:
        self._waiting = waiting
        self._wanted = min(waiting)[0] if waiting else None

    def _wake(self) -> None:
        with self._arrived:
            self._arrived.notify_all()


class RingReader:
    """One reader's place in a ring.

    Args:
        ring: what to read.
        position: where to begin.
    """

    def __init__(self, ring: Ring, position: int = 0) -> None:
        self._ring = ring
        self.position = position

    def read(self, out: Int16, timeout_s: float, then: int = 0) -> int | None:
        """Read the next ``len(out)`` samples, waiting for them if need be.

        A reader that was overtaken goes on in the middle of what the ring still holds rather than at its oldest sample,
        which the writer would overtake again at once: one gap instead of many.

        Args:
            out: int16, shape (n, channels), at most half the ring's capacity; filled.
            timeout_s: how long to wait.
            then: samples that the next read will want; see `Ring.wait`.

        Returns:
            The number of samples lost just before those in ``out`` (0 almost always), or None if they did not come in
            time or the stream closed first. After a read, ``position`` is one past the last one in ``out``.

        Raises:
            ValueError: ``out`` is larger than half the ring; after a loss, it would have to be waited for.
        """
        if len(out) > self._ring.capacity // 2:
            raise ValueError(f"a read of {len(out)} frames is too large for a ring of {self._ring.capacity}")
        lost = 0
        while True:
            if not self._ring.wait(self.position + len(out), timeout_s, then):
                return None
            if self._ring.copy(self.position, out):
                self.position += len(out)
                return lost
            resume = self._ring.end - self._ring.capacity // 2
            lost += resume - self.position
            self.position = resume
