"""What a source of audio is: something that is asked for the next samples.

A microphone, a stream, a file and standard input look the same from here, so offline and live answers are equal to the
bit. A *sample* here is one moment of the stream: as many numbers as there are channels.
"""

from types import TracebackType
from typing import Protocol, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.errors import DeviceError


class Block(msgspec.Struct, frozen=True, gc=False):
    """Consecutive samples, at the source's own rate.

    Attributes:
        position: of the first one, counted from the start of the stream (lost samples count too).
        samples: int16 or float32 in [-1, 1], shape (n, channels). Belongs to the source, and is valid only until its
            next ``read``: copy it to keep it.
        lost: samples that were captured but overwritten, or known to be missing, just before ``position``.
        captured_ns: monotonic time at which the last one was captured.
    """

    position: int
    samples: NDArray[np.int16] | NDArray[np.float32]
    lost: int
    captured_ns: int


class Missing(msgspec.Struct, frozen=True, gc=False):
    """Samples that should have come by now and have not: more will not.

    Attributes:
        samples: how many, as well as can be measured.
        uncertain: how many more or fewer it may be.
    """

    samples: int
    uncertain: int


class Source(Protocol):
    """A stream of samples, pulled.

    Attributes:
        name: what a person would call it.
        sample_rate: samples per second, in Hz, as the source delivers them.
        channels: numbers per sample.
        live: whether samples come into being as time passes, one after the other; a file's are all there at once.
    """

    name: str
    sample_rate: int
    channels: int
    live: bool

    @property
    def captured_end(self) -> int:
        """One past the newest sample that exists, read or not; of a file or a pipe, up to where it has been read."""
        ...

    def read(self, frames: int) -> Block | None:
        """Return the next samples, waiting for them.

        Args:
            frames: how many are wanted, at least 1.

        Returns:
            At most that many; an empty block if none came within about a second, so that the caller can check whether
            to stop; None at the end of the stream.

        Raises:
            InputError: what is there is not audio.
            DeviceError: the device failed.
        """
        ...

    def rewind(self, frames: int) -> int:
        """Go back, so that samples are read a second time; called by the thread that reads.

        Args:
            frames: how many to go back.

        Returns:
            How many it went back: at most to where they are still kept, and never across a gap; 0 from a pipe.
        """
        ...

    def close(self) -> None:
        """Release everything. May be called from another thread to end a ``read``, and more than once."""
        ...


class Identity(Protocol):
    """What a live source is, beyond being open: what tells one microphone from another."""

    @property
    def name(self) -> str:
        """What a person would call it."""
        ...

    def is_like(self, other: "Identity") -> bool:
        """Say whether this can be the same one, come back after it was away."""
        ...


class LiveSource(Source, Protocol):
    """A source that captures by itself, may fail by itself, and holds a device until it is released.

    Attributes:
        identity: of the device.
    """

    identity: Identity

    @property
    def captured_ns(self) -> int:
        """Monotonic time at which the newest sample was captured, read or not, at the earliest; 0 before the first."""
        ...

    @property
    def due_ns(self) -> int:
        """Monotonic time by which newer samples than that are expected; 0 if that is not known."""
        ...

    @property
    def failure(self) -> DeviceError | None:
        """Why capture ended by itself, as a new exception each time; None while it has not."""
        ...

    @property
    def released(self) -> bool:
        """Whether it was closed and the device is really free: only then may another one be opened."""
        ...

    def copy(self, position: int, count: int) -> NDArray[np.int16] | None:
        """Return samples that were captured a while ago, read or not; any thread may ask.

        Args:
            position: of the first one.
            count: how many, all captured before ``captured_end``.

        Returns:
            int16, shape (count, channels), the caller's; None if they are not kept any more.
        """
        ...

    def take_missing(self) -> list[Missing]:
        """Return what the device turned out not to have delivered, since the last call."""
        ...


class Closing:
    """Makes a source a context manager, which closes it."""

    def close(self) -> None:
        """See `Source.close`."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
