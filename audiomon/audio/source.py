"""What a source of audio is: something that is asked for the next samples.

A microphone, a file and standard input look the same from here, so offline and live answers are equal to the bit.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive sample frames, at the source's own rate.

    Attributes:
        position: of the first frame, counted from the start of the stream (lost frames count too).
        samples: int16 or float32 in [-1, 1], shape (frames, channels). Belongs to the source, and is valid only until
            its next ``read``: whoever wants it longer copies it.
        lost: frames that were captured but overwritten, or known to be missing, just before ``position``.
        captured_ns: monotonic time at which the last frame was captured.
    """

    position: int
    samples: NDArray[np.int16] | NDArray[np.float32]
    lost: int
    captured_ns: int


class Source(Protocol):
    """A stream of sample frames, pulled.

    Attributes:
        name: what a person would call it.
        sample_rate: frames per second, in Hz, as the source delivers them.
        channels: samples per frame.
        live: whether samples come into being as time passes, one after the other; a file's are all there at once.
    """

    name: str
    sample_rate: int
    channels: int
    live: bool

    def read(self, frames: int) -> Block | None:
        """Return the next frames, waiting for them.

        Args:
            frames: how many are wanted, at least 1.

        Returns:
            At most ``frames`` of them; an empty block if none came within about a second, so that the caller can look
            whether it should stop; None at the end of the stream.

        Raises:
            InputError: what is there is not audio.
            DeviceError: the microphone failed.
        """
        ...

    def rewind(self, frames: int) -> int:
        """Go back, so that frames are read a second time; called by whoever reads.

        Args:
            frames: how many to go back.

        Returns:
            How many it went back: at most to where they are still kept, and never across a gap; 0 from a pipe.
        """
        ...

    def close(self) -> None:
        """Release everything. May be called from another thread to end a ``read``, and more than once."""
        ...
