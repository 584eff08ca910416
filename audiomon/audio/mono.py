"""A source's samples as a model wants them: one channel of float32 at the model's sample rate.

Resampling happens here, on the pull; the capture thread and the ring know nothing of it.
"""

import importlib.util
from fractions import Fraction
from typing import Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.audio.level import Gate, LevelMeter
from audiomon.audio.source import Block, Source
from audiomon.errors import DeviceError

Float32 = NDArray[np.float32]

# soxr's "HQ": 20-bit precision; its linear-phase filter delays what comes out by 38-58 ms, depending on the two rates.
_SOXR_QUALITY = "HQ"
# What makes int16 samples numbers in [-1, 1).
_OF_INT16: Float32 = np.asarray(1 / 32768, dtype=np.float32)


class Stretch(msgspec.Struct, frozen=True, gc=False):
    """Consecutive samples at the model's rate.

    Attributes:
        samples: float32 in [-1, 1], shape (n,). Valid until the next ``read``.
        lost: samples of the source, at its rate, missing just before these. When it is not 0, nothing heard before
            may be joined to what follows.
    """

    samples: Float32
    lost: int


class MonoStream:
    """One channel of a source, resampled if need be.

    Args:
        source: where samples come from.
        sample_rate: the model's, in Hz.
        channel: ``"mix"`` for the mean of all, or the index of one.
        level: measures all that is delivered, and whether channels cancel each other in the mix, if given.

    Attributes:
        gate: hears all that is delivered, if there is one.
        read_end: position in the source up to which it has been read; part of that may not have been delivered yet.

    Raises:
        DeviceError: the source has no such channel, or resampling is needed and soxr is not installed.
    """

    def __init__(
        self,
        source: Source,
        sample_rate: int,
        channel: int | Literal["mix"] = "mix",
        level: LevelMeter | None = None,
    ) -> None:
        if channel != "mix" and not 0 <= channel < source.channels:
            raise DeviceError(
                f"{source.name} has {source.channels} channel(s), numbered from 0; there is no channel {channel}"
            )
        self.source = source
        self.sample_rate = sample_rate
        self.read_end = 0
        self.gate: Gate | None = None
        self._level = level
        self._channel = channel
        # Integers, as a `Fraction` takes a hundred times as long for every position.
        self._source_part, self._sample_part = Fraction(source.sample_rate, sample_rate).as_integer_ratio()
        self._resampler = _soxr_stream(source, sample_rate) if source.sample_rate != sample_rate else None
        self._mono: Float32 = np.empty(0, dtype=np.float32)
        # Samples that the resampler gave beyond what was asked for: they open the next stretch.
        self._left_over: Float32 = np.empty(0, dtype=np.float32)
        # Where the samples that ``_delivered`` counts began; unknown until the first have come.
        self._origin: int | None = None
        self._delivered = 0
        self._captured_ns = 0
        self._ended = False

    @property
    def position(self) -> int:
        """Position in the source's own samples, one past the last one delivered."""
        nearest = (2 * self._delivered * self._source_part + self._sample_part) // (2 * self._sample_part)
        return (self._origin or 0) + nearest

    @property
    def captured_ns(self) -> int:
        """Monotonic time at which the last sample delivered was captured."""
        later = self.read_end - self.position if self.source.live else 0
        return self._captured_ns - later * 1_000_000_000 // self.source.sample_rate

    def read(self, count: int) -> Stretch | None:
        """Return the next samples, waiting for them.

        Args:
            count: samples wanted, at the model's rate.

        Returns:
            At most ``count``; none only when nothing came in time (see `Source.read`); None at the end.
        """
        if len(self._left_over):
            return self._deliver(self._left_over, count, 0)
        lost = 0
        while not self._ended:
            block = self.source.read(self._source_samples(count))
            if block is None:
                self._ended = True
                samples = self._drained()
            elif not len(block.samples):
                return Stretch(self._mono[:0], lost)
            else:
                lost += block.lost
                samples = self._converted(block)
            # A resampler swallows its first input: it looks ahead before it can say anything.
            if len(samples):
                return self._deliver(samples, count, lost)
        return None

    def _source_samples(self, count: int) -> int:
        # Rounding up: at the end of a window the resampler must not lack one sample of the source.
        return -(-count * self._source_part // self._sample_part)

    def _converted(self, block: Block) -> Float32:
        self._note(block)
        mono = self._mix(block)
        if self._resampler is None:
            return mono
        if block.lost:
            self._resampler.clear()
        return self._resampler.resample_chunk(mono)

    def _drained(self) -> Float32:
        nothing = self._mono[:0]
        return nothing if self._resampler is None else self._resampler.resample_chunk(nothing, last=True)

    def _note(self, block: Block) -> None:
        """Remember where the stream stands, so that positions and times are known at any rate."""
        if block.lost or self._origin is None:
            self._origin = block.position
            self._delivered = 0
        self.read_end = block.position + len(block.samples)
        self._captured_ns = block.captured_ns

    def _deliver(self, samples: Float32, count: int, lost: int) -> Stretch:
        self._left_over = samples[count:]
        samples = samples[:count]
        self._delivered += len(samples)
        if self._level is not None:
            self._level.add(samples)
        if self.gate is not None:
            self.gate.add(samples)
        return Stretch(samples, lost)

    def _mix(self, block: Block) -> Float32:
        count = len(block.samples)
        if len(self._mono) < count:
            self._mono = np.empty(count, dtype=np.float32)
        mono = self._mono[:count]
        if block.samples.shape[1] == 1:
            mono[...] = block.samples[:, 0]
        elif self._channel != "mix":
            mono[...] = block.samples[:, self._channel]
        else:
            # The sum of a few int16 is exact in float32, so int16 and float32 sources give the same mean.
            np.add.reduce(block.samples, axis=1, dtype=np.float32, out=mono)
            np.multiply(mono, np.float32(1 / block.samples.shape[1]), out=mono)
            if self._level is not None:
                self._level.compare(block.samples)
        # Converted first: a product of two types goes through NumPy's buffers, which takes longer.
        if block.samples.dtype.kind == "i":
            mono *= _OF_INT16
        return mono


def can_convert(from_rate: int, to_rate: int) -> bool:
    """Say whether a stream can be heard at another sample rate without losing any of what a model for that rate reads.

    Args:
        from_rate: of the stream, in Hz.
        to_rate: of the model, in Hz. A higher one than the stream's lacks the high frequencies that it learned with.
    """
    return from_rate == to_rate or (from_rate > to_rate and can_resample())


def can_resample() -> bool:
    """Whether soxr is there to convert a device's own sample rate."""
    return importlib.util.find_spec("soxr") is not None


class _Resampler(Protocol):
    def resample_chunk(self, x: Float32, last: bool = False) -> Float32: ...

    def clear(self) -> None: ...


def _soxr_stream(source: Source, sample_rate: int) -> _Resampler:
    try:
        import soxr
    except ImportError:
        raise DeviceError(
            f"{source.name} delivers {source.sample_rate} Hz and the model wants {sample_rate} Hz, but this machine "
            f"has no soxr to convert; let ALSA do it: choose a 'plughw' or 'default' device"
        ) from None
    stream: _Resampler = soxr.ResampleStream(source.sample_rate, sample_rate, 1, dtype="float32", quality=_SOXR_QUALITY)
    return stream
