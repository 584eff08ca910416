"""Raw samples from a pipe as a source: ``arecord -f S16_LE -r 22050 | audiomon run --stdin --rate 22050``."""

import os
import select

import numpy as np
from numpy.typing import NDArray

from audiomon.audio.source import Block, Closing
from audiomon.clock import Clock, SystemClock
from audiomon.errors import InputError

_MAX_WAIT_S = 0.25


class PipeSource(Closing):
    """Raw little-endian 16-bit samples, interleaved, without a header. Pulled, so nothing is ever dropped here.

    Args:
        fd: file descriptor to read; 0 is standard input.
        sample_rate: in Hz; a pipe cannot tell.
        channels: interleaved channels.
        clock: dates the samples.
    """

    def __init__(self, fd: int, sample_rate: int, channels: int = 1, clock: Clock | None = None) -> None:
        self.name = "standard input" if fd == 0 else f"pipe {fd}"
        self.sample_rate = sample_rate
        self.channels = channels
        self.live = True
        self._fd = fd
        self._clock = clock or SystemClock()
        self._position = 0
        self._samples: NDArray[np.int16] = np.empty((0, channels), dtype="<i2")
        self._held_bytes = 0
        self._returned_bytes = 0  # of those held, what the last read returned: valid until the next one
        self._ended = False
        self._closed = False

    def read(self, frames: int) -> Block | None:
        """See `Source.read`. Waits for all ``frames`` unless the stream ends, whatever the pipe's own chunks.

        Raises:
            InputError: the stream ended in the middle of a sample; all whole ones before it have been returned.
        """
        if self._closed:
            return None
        self._drop_returned()
        self._make_room(frames)
        sample_bytes = 2 * self.channels
        wanted_bytes = frames * sample_bytes
        while self._held_bytes < wanted_bytes and not self._ended:
            if not self._receive(wanted_bytes):
                return None if self._closed else Block(self._position, self._samples[:0], 0, self._clock.monotonic_ns())
        whole = min(frames, self._held_bytes // sample_bytes)
        if self._position == 0:
            self._check_start()
        if whole == 0:
            if self._held_bytes:
                at_s = self._position / self.sample_rate
                raise InputError(f"{self.name}: ends in the middle of a sample, after {at_s:.3f} s; is it raw s16le?")
            return None
        block = Block(self._position, self._samples[:whole], 0, self._clock.monotonic_ns())
        self._position += whole
        self._returned_bytes = whole * sample_bytes
        return block

    @property
    def captured_end(self) -> int:
        """See `Source`."""
        return self._position

    def rewind(self, frames: int) -> int:  # noqa: ARG002  # the protocol's signature
        """See `Source.rewind`: a pipe keeps nothing."""
        return 0

    def close(self) -> None:
        """See `Source.close`."""
        self._closed = True

    def _check_start(self) -> None:
        """Refuse what is surely no raw sound, before any of it is heard."""
        if self._held_bytes == 0:
            raise InputError(f"{self.name}: ended without a sample; did the program that writes to it fail?")
        start = bytes(self._bytes()[: min(12, self._held_bytes)])
        if start[:4] in (b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM"):
            raise InputError(f"{self.name}: is an audio file, not raw samples: use `audiomon classify -`")

    def _receive(self, wanted_bytes: int) -> bool:
        """Read once, if there is something to read soon and this source is open."""
        try:
            if self._closed or not select.select([self._fd], [], [], _MAX_WAIT_S)[0]:
                return False
            count = os.readv(self._fd, [self._bytes()[self._held_bytes : wanted_bytes]])
        except (OSError, ValueError) as error:
            raise InputError(f"{self.name}: cannot be read ({error})") from None
        self._held_bytes += count
        self._ended = count == 0
        return True

    def _drop_returned(self) -> None:
        left_bytes = self._held_bytes - self._returned_bytes
        if self._returned_bytes and left_bytes:
            self._bytes()[:left_bytes] = bytes(self._bytes()[self._returned_bytes : self._held_bytes])
        self._held_bytes = left_bytes
        self._returned_bytes = 0

    def _bytes(self) -> memoryview:
        return memoryview(self._samples.data).cast("B")

    def _make_room(self, frames: int) -> None:
        if len(self._samples) < frames:
            larger = np.empty((frames, self.channels), dtype="<i2")
            larger[: len(self._samples)] = self._samples
            self._samples = larger
