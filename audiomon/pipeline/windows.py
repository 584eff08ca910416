"""Windows of a model's input, cut from a stream of samples. Pulled: nothing is computed before it is asked for.

Gathers the samples that the next window lacks, and knows where they come from; what a window is computed from them is
the front end's affair.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.audio.mono import MonoStream, Stretch
from audiomon.clock import Clock
from audiomon.features import Cutter, FrontEnd
from audiomon.pipeline.columns import ColumnSink, columns_of

Float32 = NDArray[np.float32]


class Window(msgspec.Struct, frozen=True, gc=False):
    """What a model reads at once.

    Attributes:
        data: float32, of the spec's shape. Valid until the next window is asked for.
        end: position in the source's samples, one past the last one in the window.
        captured_ns: monotonic time at which that last one was captured.
        features_us: what computing it cost, in microseconds, without waiting for samples.
        lost: samples of the source lost since the window before.
    """

    data: Float32
    end: int
    captured_ns: int
    features_us: float
    lost: int


def open_windows(
    stream: MonoStream, spec: FrontEnd, hop_s: float, clock: Clock, columns: ColumnSink | None = None
) -> "Windows":
    """Cut a stream into the windows that a model reads.

    Args:
        stream: samples at the spec's rate.
        spec: what a window is.
        hop_s: wanted seconds between windows; becomes what the kind of input allows.
        clock: for ``features_us``.
        columns: gets what there is to look at, if given.
    """
    return Windows(stream, spec.cutter(hop_s), spec, clock, columns)


class Windows:
    """A stream of windows.

    Args:
        stream: samples at the spec's rate.
        cutter: computes the windows.
        spec: what a window is.
        clock: for ``features_us``.
        columns: gets what there is to look at, if given.

    Attributes:
        hop_s: seconds from one window to the next.
        ended: whether the source has ended; what was left was less than one hop.
        unused_samples: samples at the model's rate that have come since the last window.
        lost: samples of the source lost since the last window; the next one will carry them.
    """

    def __init__(
        self, stream: MonoStream, cutter: Cutter, spec: FrontEnd, clock: Clock, columns: ColumnSink | None = None
    ) -> None:
        self.hop_s = cutter.hop_samples / spec.sample_rate
        self.ended = False
        self.unused_samples = 0
        self.lost = 0
        self._stream = stream
        self._cutter = cutter
        self._clock = clock
        self._columns = columns
        self._window_samples = spec.window_samples
        self._samples: Float32 = np.empty(self._window_samples, dtype=np.float32)
        self._held = 0
        self._needed = self._window_samples
        self._first = True

    def next(self) -> Window | None:
        """Return the next window if one read of the stream completes it.

        Returns:
            None while samples are missing, and at the end. A live source answers a read within about a second, and so
            does this, however long a window is; the caller asks until ``ended``.
        """
        if not self._gather():
            return None
        started_ns = self._clock.monotonic_ns()
        first, lost = self._first, self.lost
        data = self._cutter.cut(self._samples[: self._held], first=first)
        self._keep(self._cutter.kept_samples)
        features_us = (self._clock.monotonic_ns() - started_ns) / 1e3
        if self._columns is not None and self._columns.wants_columns:
            self._columns.columns(columns_of(self._cutter.new_frames(), gap=first))
        return Window(data, self._stream.position, self._stream.captured_ns, features_us, lost)

    def _gather(self) -> bool:
        """Read once; True if all samples are there that the next window's new part rests on."""
        stretch = self._stream.read(self._needed - self._held)
        if stretch is None:
            self.ended = True
            return False
        if stretch.lost:
            self._start_over(stretch)
        count = len(stretch.samples)
        self._samples[self._held : self._held + count] = stretch.samples
        self._held += count
        self.unused_samples += count
        return self._held == self._needed

    def _keep(self, tail: int) -> None:
        """Keep the last ``tail`` samples for the next window, which then lacks the hop's samples."""
        self._samples[:tail] = self._samples[self._held - tail : self._held]
        self._held = tail
        self._needed = tail + self._cutter.hop_samples
        self._first = False
        self.unused_samples = 0
        self.lost = 0

    def _start_over(self, stretch: Stretch) -> None:
        self.lost += stretch.lost
        self._held = 0
        self._needed = self._window_samples
        self._first = True
