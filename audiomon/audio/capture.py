"""Capture of any live device: a thread that moves samples into a ring, and the source that is read from it.

Capture only moves samples, at the device's own rate and in its own channels. It never waits for the reader. Where the
device keeps sound for long enough, it wakes when the reader's window is complete, rather than for every block of it.

Everything that a device is asked, from opening to closing, is asked by the capture thread. When a sound server hangs, a
call may hang with it for ever, holding up its caller, and signals too if that is the main thread; and closing a stream
that another thread is reading crashes. So that thread is asked to end and, if it cannot, left behind; it is a daemon
thread and ends with the process.
"""

import threading
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audiomon.audio.pump import MAX_READ_S, InputStream, Opened, Pump
from audiomon.audio.ring import Ring, RingReader
from audiomon.audio.source import Block, Closing, Identity, Missing
from audiomon.clock import Clock, SystemClock
from audiomon.errors import CaptureError, DeviceError, SoundSystemError

# CPU ms per second of audio that capturing costs, the whole process, without a reader (22 050 Hz, a sound server that
# delivers every 50 ms, x86-64): blocks of 50 ms 5.6 to 6.1, of 100 ms 3.2 to 3.4. The delay: a sample waits for the
# rest of its block, and up to 3 ms more for the look that finds it. A reader that wants more than a block at a time is
# served when it is complete.
DEFAULT_BLOCK_MS = 100.0
DEFAULT_RING_S = 10.0

# Beyond the time the samples take to come into being.
_MAX_READ_DELAY_S = 0.5
# A sound server that has not answered for this long will not answer at all. A USB microphone opens in 0.2 s.
MAX_OPENING_S = 10.0
# Ctrl-C ends within a second; a stream that is not closed by then is left behind.
_MAX_CLOSING_S = 0.4


class CapturedSource(Closing):
    """A live device as a source; see `LiveSource`.

    Args:
        open_stream: opens the device; called by the capture thread.
        block_ms: milliseconds captured at a time, at most 100.
        ring_s: seconds kept for a reader that falls behind, at least 2.
        clock: paces the polling and dates the samples.
        on_stuck: called when closing leaves the capture thread behind, inside the device.

    Attributes:
        block_frames: samples captured at a time, at least; a larger number that has already come is taken whole.

    Raises:
        DeviceError: the device cannot be opened; or, from ``read``, it failed.
        SoundSystemError: it has not answered.
    """

    def __init__(
        self,
        open_stream: Callable[[], InputStream],
        *,
        block_ms: float = DEFAULT_BLOCK_MS,
        ring_s: float = DEFAULT_RING_S,
        clock: Clock | None = None,
        on_stuck: Callable[[], None] | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._capture = _Capture(open_stream, block_ms, ring_s, self._clock, on_stuck)
        opened = self._capture.opened()
        self.identity: Identity = opened.stream.identity
        self.name = self.identity.name
        self.sample_rate = opened.ring.sample_rate
        self.channels = opened.ring.channels
        self.block_frames = opened.block_frames
        self.live = True
        self._ring = opened.ring
        self._reader = RingReader(opened.ring)
        self._max_frames = opened.ring.max_read(MAX_READ_S)
        # Samples that were asked for at once, and how many of them have not been read yet.
        self._asked = self._unread = 0
        self._samples: NDArray[np.int16] = np.empty((0, self.channels), dtype=np.int16)
        self._closed = False

    @property
    def captured_end(self) -> int:
        """See `Source`."""
        return self._ring.end

    @property
    def captured_ns(self) -> int:
        """See `LiveSource`."""
        return self._capture.captured_ns

    @property
    def due_ns(self) -> int:
        """See `LiveSource`."""
        return self._capture.due_ns

    @property
    def failure(self) -> DeviceError | None:
        """See `LiveSource`."""
        return self._capture.failure

    @property
    def released(self) -> bool:
        """See `LiveSource`."""
        return self._closed and self._capture.ended

    def copy(self, position: int, count: int) -> NDArray[np.int16] | None:
        """See `LiveSource.copy`."""
        samples = np.empty((count, self.channels), dtype=np.int16)
        return samples if self._ring.copy(position, samples) else None

    def take_missing(self) -> list[Missing]:
        """See `LiveSource.take_missing`."""
        found = self._capture.missing
        return [found.popleft() for _ in range(len(found))]

    def read(self, frames: int) -> Block | None:
        """See `Source.read`. What was captured before a failure is returned before the failure is raised."""
        if self._closed:
            return None
        if frames != self._unread:
            self._asked = frames
        wanted, frames = frames, min(frames, self._max_frames)
        self._unread = wanted - frames
        # The next read is for what is left of this one, or for as much again. Of less than a block, blocks are enough.
        then = (self._unread or self._asked) if self._asked > self.block_frames else 0
        if len(self._samples) < frames:
            self._samples = np.empty((frames, self.channels), dtype=np.int16)
        lost = self._reader.read(self._samples[:frames], frames / self.sample_rate + _MAX_READ_DELAY_S, then)
        if lost is None and self._ring.closed and not self._closed:
            frames = min(frames, self._ring.end - self._reader.position)
            if not frames:
                raise self.failure or DeviceError(f"{self.name}: capturing has ended")
            lost = self._reader.read(self._samples[:frames], 0)
        if self._closed:
            return None
        if lost is None:
            self._unread = wanted
            return Block(self._reader.position, self._samples[:0], 0, self._clock.monotonic_ns())
        end = self._reader.position
        return Block(end - frames, self._samples[:frames], lost, self._ring.captured_ns(end))

    def rewind(self, frames: int) -> int:
        """See `Source.rewind`. At most to half a ring behind the newest sample, so as not to be overtaken at once."""
        oldest = max(0, self._ring.end - self._ring.capacity // 2)
        frames = max(0, min(frames, self._reader.position - oldest))
        self._reader.position -= frames
        return frames

    def close(self) -> None:
        """See `Source.close`. Returns within half a second, whatever the device does; see ``released``."""
        self._closed = True
        self._ring.close()
        self._capture.end()


class _Capture:
    """The capture thread.

    Attributes:
        missing: what the device turned out not to have delivered.
    """

    def __init__(
        self,
        open_stream: Callable[[], InputStream],
        block_ms: float,
        ring_s: float,
        clock: Clock,
        on_stuck: Callable[[], None] | None,
    ) -> None:
        self.missing: deque[Missing] = deque(maxlen=100)
        self._open_stream = open_stream
        self._block_ms = block_ms
        self._ring_s = ring_s
        self._clock = clock
        self._on_stuck = on_stuck
        # A class and a text: an exception that is kept would keep its frames, and all that is in them.
        self._failure: tuple[type[DeviceError], str] | None = None
        self._opened: Opened | None = None
        self._pump: Pump | None = None
        self._answered = threading.Event()
        self._ending = False
        self._rest = _Rest(clock)
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> DeviceError | None:
        """Why capture ended by itself, or the device was not opened; a new exception each time."""
        if self._failure is None:
            return None
        kind, message = self._failure
        return kind(message)

    @property
    def ended(self) -> bool:
        """Whether nothing holds the device any more."""
        return not self._thread.is_alive()

    @property
    def captured_ns(self) -> int:
        """When the newest sample was captured, at the earliest; 0 before the first."""
        return self._pump.captured_ns if self._pump is not None else 0

    @property
    def due_ns(self) -> int:
        """When newer samples are expected; 0 before the first have come."""
        return self._pump.due_ns if self._pump is not None else 0

    def opened(self) -> Opened:
        """Wait until the device is capturing.

        Raises:
            DeviceError: it cannot.
        """
        if not self._answered.wait(MAX_OPENING_S):
            self.end()
            raise SoundSystemError(f"the sound system has not answered for {MAX_OPENING_S:.0f} s; is its server stuck?")
        if self._opened is None:
            raise self.failure or DeviceError("the microphone could not be opened")
        return self._opened

    def end(self) -> None:
        """Ask the thread to end and wait for a moment."""
        if self._ending:
            return
        self._ending = True
        self._rest.hurry()
        self._thread.join(_MAX_CLOSING_S)
        if self._thread.is_alive() and self._on_stuck is not None:
            self._on_stuck()

    def _run(self) -> None:
        try:
            stream = self._open_stream()
            block_frames = max(1, round(self._block_ms / 1000 * stream.sample_rate))
            ring = Ring(round(self._ring_s * stream.sample_rate), stream.channels, stream.sample_rate, self._clock)
            opened = self._opened = Opened(stream, ring, block_frames)
        except Exception as error:
            self._note_failure(error, "opening the microphone")
            return
        finally:
            self._answered.set()
        try:
            self._move_samples(opened)
        except Exception as error:
            # Raised to the reader, from its next read.
            self._note_failure(error, f"{stream.identity.name}: capturing")
        finally:
            ring.close()
            stream.close()

    def _note_failure(self, error: Exception, doing: str) -> None:
        if isinstance(error, DeviceError):
            self._failure = type(error), str(error)
        else:
            self._failure = CaptureError, f"{doing} raised {type(error).__name__}: {error}"

    def _move_samples(self, opened: Opened) -> None:
        pump = self._pump = Pump(opened, self.missing, self._clock, self._rest.hurry)
        while not self._ending:
            due_ns = pump.look()
            while self._rest.hurried_before(due_ns) and not self._ending:
                due_ns = pump.hurried()


class _Rest:
    """Where the capture thread waits for its next look.

    Apart from the thread's own state, so that what a ring keeps to hurry it by keeps nothing else, least of all that
    ring.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Notified when the thread is to look now: to end, or for a reader that wants less than it seemed to.
        self._condition = threading.Condition()
        self._hurried = False

    def hurried_before(self, due_ns: int) -> bool:
        """Wait until it is time for the next look; True if somebody is in a hurry before."""
        rest_s = (due_ns - self._clock.monotonic_ns()) / 1e9
        if rest_s <= 0:
            return False
        with self._condition:
            if not self._hurried:
                self._clock.wait(self._condition, rest_s)
            hurried, self._hurried = self._hurried, False
        return hurried

    def hurry(self) -> None:
        """Have the thread look now; from any thread."""
        with self._condition:
            self._hurried = True
            self._condition.notify_all()
