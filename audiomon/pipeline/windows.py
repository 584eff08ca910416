"""Windows of a model's input, cut from a stream of samples. Pulled: nothing is computed before it is asked for.

A window that advances by 22 of its 43 frames costs 22 new frames; the other 21 are kept.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from audiomon.audio.mono import MonoStream, Stretch
from audiomon.clock import Clock
from audiomon.features import LogMel, LogMelSpec
from audiomon.models.manifest import InputSpec, WaveformSpec

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Window:
    """What a model reads at once.

    Attributes:
        data: float32, of the spec's shape. Valid until the next window is asked for.
        end: position in the source's sample frames, one past the last one in the window.
        captured_ns: monotonic time at which that last one was captured.
        features_us: what computing it cost, in microseconds, without waiting for samples.
        lost: source frames lost since the window before.
    """

    data: Float32
    end: int
    captured_ns: int
    features_us: float
    lost: int


class Windows(Protocol):
    """A stream of windows.

    Attributes:
        hop_s: seconds from one window to the next, as it came out of what was asked for.
    """

    hop_s: float

    @property
    def ended(self) -> bool:
        """Whether the source has ended; what was left was less than one hop."""
        ...

    @property
    def unused_samples(self) -> int:
        """Samples at the model's rate that have come since the last window."""
        ...

    @property
    def lost(self) -> int:
        """Source frames lost since the last window; the next one will carry them."""
        ...

    def next(self) -> Window | None:
        """Return the next window, waiting for its samples; None if they did not come for about a second, or ended."""
        ...


def open_windows(stream: MonoStream, spec: InputSpec, hop_s: float, clock: Clock) -> Windows:
    """Cut a stream into the windows that a model reads, one every ``hop_s`` seconds or as near as frames allow."""
    if isinstance(spec, WaveformSpec):
        return WaveformWindows(stream, spec, hop_s, clock)
    return LogMelWindows(stream, spec, hop_s, clock)


class _Gathering:
    """Collects the samples that the next window lacks; starts over after a gap.

    Args:
        stream: where they come from.
        first: samples under a window, of which the first one needs all.
        following: samples that every further window adds.
    """

    def __init__(self, stream: MonoStream, first: int, following: int) -> None:
        self._stream = stream
        self._first = first
        self._following = following
        self._samples: Float32 = np.empty(max(first, following), dtype=np.float32)
        self._held = 0
        self._fresh = 0
        self._needed = first
        self.lost = 0
        self.ended = False

    @property
    def fresh_samples(self) -> int:
        """Samples gathered since the last window."""
        return self._fresh

    @property
    def at_start(self) -> bool:
        """Whether what is being gathered is a first window, with nothing kept from before."""
        return self._needed == self._first

    def gather(self) -> Float32 | None:
        """Return all samples that the next window's new part rests on, or None while some are still missing."""
        while self._held < self._needed:
            stretch = self._stream.read(self._needed - self._held)
            if stretch is None:
                self.ended = True
                return None
            if stretch.lost:
                self._start_over(stretch)
            count = len(stretch.samples)
            if not count:
                return None
            self._samples[self._held : self._held + count] = stretch.samples
            self._held += count
            self._fresh += count
        return self._samples[: self._held]

    def keep(self, tail: int) -> None:
        """Keep the last ``tail`` samples for the next window, which then lacks the hop's samples."""
        self._samples[:tail] = self._samples[self._held - tail : self._held]
        self._held = tail
        self._needed = tail + self._following
        self._fresh = 0
        self.lost = 0

    def _start_over(self, stretch: Stretch) -> None:
        self.lost += stretch.lost
        self._held = 0
        self._needed = self._first


class LogMelWindows:
    """Windows of log-mel frames; see `Windows`.

    Args:
        stream: samples at the spec's rate.
        spec: what a window is.
        hop_s: wanted seconds between windows; becomes a whole number of frames.
        clock: for ``features_us``.
    """

    def __init__(self, stream: MonoStream, spec: LogMelSpec, hop_s: float, clock: Clock) -> None:
        self.hop_frames = spec.hop_frames(hop_s)
        self.hop_s = spec.nearest_hop_s(hop_s)
        self._spec = spec
        self._stream = stream
        self._clock = clock
        self._front_end = LogMel(spec)
        self._gathering = _Gathering(stream, spec.window_samples, self.hop_frames * spec.hop_length)
        self._samples_kept = spec.n_fft - spec.hop_length
        # Frames of several windows in a row, so that a window is a plain slice, and rows are moved only now and then.
        self._frames: Float32 = np.empty((spec.frames + 16 * self.hop_frames, spec.n_mels), dtype=np.float32)
        self._frames_end = 0

    @property
    def ended(self) -> bool:
        """See `Windows`."""
        return self._gathering.ended

    @property
    def unused_samples(self) -> int:
        """See `Windows`."""
        return self._gathering.fresh_samples

    @property
    def lost(self) -> int:
        """See `Windows`."""
        return self._gathering.lost

    def next(self) -> Window | None:
        """See `Windows.next`."""
        gathering = self._gathering
        samples = gathering.gather()
        if samples is None:
            return None
        started_ns = self._clock.monotonic_ns()
        if gathering.at_start:
            self._frames_end = 0
        new = self._front_end.count(len(samples))
        self._make_room(new)
        self._front_end.frames(samples, self._frames[self._frames_end : self._frames_end + new])
        self._frames_end += new
        window = self._front_end.finish(self._frames[self._frames_end - self._spec.frames : self._frames_end])
        lost = gathering.lost
        gathering.keep(self._samples_kept)
        features_us = (self._clock.monotonic_ns() - started_ns) / 1e3
        return Window(window, self._stream.position, self._stream.captured_ns, features_us, lost)

    def _make_room(self, new: int) -> None:
        if self._frames_end + new > len(self._frames):
            kept = self._spec.frames - new
            self._frames[:kept] = self._frames[self._frames_end - kept : self._frames_end]
            self._frames_end = kept


class WaveformWindows:
    """Windows of raw samples; see `Windows`.

    Args:
        stream: samples at the spec's rate.
        spec: what a window is.
        hop_s: wanted seconds between windows; becomes a whole number of samples, at most a window.
        clock: for ``features_us``.
    """

    def __init__(self, stream: MonoStream, spec: WaveformSpec, hop_s: float, clock: Clock) -> None:
        hop_samples = spec.hop_samples(hop_s)
        self.hop_s = spec.nearest_hop_s(hop_s)
        self._stream = stream
        self._clock = clock
        self._gathering = _Gathering(stream, spec.samples, hop_samples)
        self._samples_kept = spec.samples - hop_samples
        self._window: Float32 = np.empty(spec.samples, dtype=np.float32)

    @property
    def ended(self) -> bool:
        """See `Windows`."""
        return self._gathering.ended

    @property
    def unused_samples(self) -> int:
        """See `Windows`."""
        return self._gathering.fresh_samples

    @property
    def lost(self) -> int:
        """See `Windows`."""
        return self._gathering.lost

    def next(self) -> Window | None:
        """See `Windows.next`."""
        samples = self._gathering.gather()
        if samples is None:
            return None
        started_ns = self._clock.monotonic_ns()
        self._window[:] = samples
        lost = self._gathering.lost
        self._gathering.keep(self._samples_kept)
        features_us = (self._clock.monotonic_ns() - started_ns) / 1e3
        return Window(self._window, self._stream.position, self._stream.captured_ns, features_us, lost)
