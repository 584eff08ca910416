"""What a model reads, whatever its kind: the two protocols behind which every front end stands.

A spec is the ``input:`` of a model's manifest. It describes windows and opens a cutter, which computes them one after
another. Nothing outside this package asks a spec for its kind.
"""

from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

# A longer window would ask for more memory than a Raspberry Pi has.
MAX_WINDOW_S = 60.0


class Frames(msgspec.Struct, frozen=True):
    """Frames of a spectrogram to look at.

    Attributes:
        decibels: float32, shape (frames, bands), the lowest band first. Valid until the next window is cut.
        duration_s: of all of them.
    """

    decibels: Float32
    duration_s: float


class Cutter(Protocol):
    """Computes the windows of one stream, in order. Keeps what two windows share, so it belongs to one thread.

    Attributes:
        hop_samples: samples from one window to the next.
        kept_samples: samples from the end of a window that computing the next one needs again; with the hop, at most
            a window.
    """

    hop_samples: int
    kept_samples: int

    def cut(self, samples: Float32, *, first: bool) -> Float32:
        """Return the next window.

        Args:
            samples: float32 in [-1, 1]. Of the first window all ``window_samples``; of every other one the last
                ``kept_samples`` of the window before, and ``hop_samples`` more.
            first: whether nothing computed before belongs to this window: it is the first one, or follows a gap.

        Returns:
            float32, of the spec's shape; valid until the next call.
        """
        ...

    def new_frames(self) -> Frames:
        """Return what the last `cut` added to the window before, to look at: at least one frame.

        A kind of input that computes frames shows its own; any other computes some for this.
        """
        ...


class FrontEnd(Protocol):
    """A spec: what one window is, and how a model's tensor holds it. A `msgspec.Struct` with a tag called ``kind``."""

    @property
    def title(self) -> str:
        """The tag, as in ``log-mel``. Of the class, as are the next three."""
        ...

    @property
    def axes(self) -> str:
        """What the axes of a window are, for a person, as in ``frames × n_mels``."""
        ...

    @property
    def must_be_said(self) -> tuple[str, ...]:
        """Names of the fields that cannot be guessed for a model that does not say them itself."""
        ...

    @property
    def assumable(self) -> tuple[str, ...]:
        """Names of the other fields that matter, whose defaults are then a guess."""
        ...

    @property
    def sample_rate(self) -> int:
        """Samples per second, in Hz."""
        ...

    @property
    def window_samples(self) -> int:
        """Samples under one window."""
        ...

    @property
    def window_s(self) -> float:
        """Length of one window, in seconds."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one window."""
        ...

    @property
    def axis_order(self) -> tuple[int, ...]:
        """A window's axes in the order of the model's tensor: `numpy.transpose` with it makes the one the other."""
        ...

    @property
    def summary(self) -> str:
        """The kind and size of a window in a few words, as in ``log-mel, 43 frames × 40 bands``."""
        ...

    def scale(self, *, is_pcm: bool) -> float:
        """Return what a window is multiplied by for the model.

        Args:
            is_pcm: whether the model's tensor holds plain 16-bit integers.
        """
        ...

    def other_layouts(self) -> dict[str, Any]:
        """Return the same windows for models with another order of axes, by the ``layout`` that says so."""
        ...

    def nearest_hop_s(self, hop_s: float) -> float:
        """Seconds from one window to the next that come nearest to ``hop_s``: more than 0, at most a window."""
        ...

    def cutter(self, hop_s: float) -> Cutter:
        """Open a cutter of windows, one every ``hop_s`` seconds or as near as the kind allows."""
        ...


def whole_window(spec: FrontEnd, samples: Float32) -> Float32:
    """Compute a single window.

    Args:
        spec: what a window is.
        samples: float32 in [-1, 1], shape (window_samples,).

    Returns:
        float32, of the spec's shape.
    """
    return spec.cutter(spec.window_s).cut(samples, first=True)
