"""How loud what was heard was, whether it can be sound at all, and whether any of it was loud enough.

Levels are of sound: a constant part, which cheap microphones add and nobody hears, counts for nothing.
"""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

# What is shown for digital silence, whose level would be minus infinity.
SILENCE_DBFS = -120.0

# The largest magnitude of 16-bit samples, but for the last few steps, which some devices do not reach.
_FULL_SCALE = 32_700 / 32_768
# Less than one step of 16 bits from end to end is a constant, whatever resampling has made of it.
_CONSTANT = 0.5 / 32_768
# Channels whose mean is this much quieter than themselves cancel each other: the same sound with opposite signs.
# Unrelated sounds lose 3 dB in the mean of two channels, and the two microphones of a stereo pair less.
_CANCELLED_DB = 20.0
# Below this level, what two channels have in common is a matter of chance and of rounding.
_MIN_CANCELLING_DBFS = -70.0
# Channels are compared by this many samples of a block: the sum of a few hundred says as much as that of all.
_COMPARED_SAMPLES = 512
# Loud sound touches full scale now and then; clipped sound stays there for milliseconds out of every second.
_CLIPPED_SHARE = 0.001


class Span(msgspec.Struct, frozen=True, gc=False):
    """The extremes of some samples.

    Attributes:
        lowest: of them, in [-1, 1].
        highest: of them.
        full: how many were at full scale.
        count: how many there were; 0 for none.
        channel_power: mean power of the channels of which these samples are the mean, each without its constant part;
            0 where there is one channel, or one was picked.
        mix_power: power of their mean, the same way.
        power: mean power around the mean.
    """

    lowest: float = math.inf
    highest: float = -math.inf
    full: int = 0
    count: int = 0
    channel_power: float = 0.0
    mix_power: float = 0.0
    power: float = 0.0

    @property
    def rms_dbfs(self) -> float | None:
        """The root mean square in dB against full scale, at least -120; None if there were no samples."""
        return round(_dbfs(self.power), 1) if self.count else None

    @property
    def peak_dbfs(self) -> float | None:
        """The highest magnitude in dB against full scale, at least -120; None if there were no samples."""
        if not self.count:
            return None
        peak = max(abs(self.lowest), abs(self.highest))
        return round(max(SILENCE_DBFS, 20 * math.log10(peak)), 1) if peak > 0 else SILENCE_DBFS

    @property
    def defect(self) -> str:
        """Why this is no sound: ``silent`` (exact zeros), ``constant``, or ``clipping``; empty if it may be."""
        if not self.count:
            return ""
        if self.highest - self.lowest < _CONSTANT:
            return "silent" if max(abs(self.lowest), abs(self.highest)) < _CONSTANT else "constant"
        return "clipping" if self.full >= _CLIPPED_SHARE * self.count else ""

    @property
    def cancels(self) -> bool:
        """Whether the channels cancel each other in the mix: one has the opposite sign of the other."""
        audible = self.channel_power >= 10 ** (_MIN_CANCELLING_DBFS / 10)
        return audible and self.mix_power < self.channel_power * 10 ** (-_CANCELLED_DB / 10)


class LevelMeter:
    """The mean level and the extremes of samples that pass. One thread adds, one other may ask."""

    def __init__(self) -> None:
        # Number, sum and sum of squares. Replaced whole, never changed, so that no reader sees half an addition.
        self._total = (0, 0.0, 0.0)
        self._asked = (0, 0.0, 0.0)
        self._spanned = (0, 0.0, 0.0)
        # Replaced whole, too; if asked for during an addition, what was taken may be counted once more.
        self._span = Span()
        # What `compare` has found, to be part of the next span.
        self._compared = (0, 0.0, 0.0)
        # Scratch memory: the mean of what is added, differences from it, and ones, as BLAS sums in fewer steps.
        self._mean = np.zeros((), dtype=np.float32)
        self._around: NDArray[np.float32] = np.empty(0, dtype=np.float32)
        self._ones: NDArray[np.float32] = np.empty(0, dtype=np.float32)

    def add(self, samples: NDArray[np.float32]) -> None:
        """Take in samples: float32 in [-1, 1], shape (n,)."""
        added = len(samples)
        if not added:
            return
        if added != len(self._ones):
            self._ones, self._around = np.ones(added, dtype=np.float32), np.empty(added, dtype=np.float32)
        ones, around = self._ones, self._around
        count, total, squares = self._total
        # Around about their mean: float32 would lose a quiet sound beside a large constant. What the mean is off by is
        # in the sum of the differences, which is small, and so are its errors.
        self._mean[()] = float(samples.dot(ones)) / added
        np.subtract(samples, self._mean, out=around)
        constant, off = float(self._mean), float(around.dot(ones))
        self._total = (
            count + added,
            total + added * constant + off,
            squares + float(around.dot(around)) + constant * (2 * off + added * constant),
        )
        low, high = float(np.minimum.reduce(samples)), float(np.maximum.reduce(samples))
        loud = high >= _FULL_SCALE or low <= -_FULL_SCALE
        full = int(np.count_nonzero(np.abs(samples) >= _FULL_SCALE)) if loud else 0
        span = self._span
        lowest = low if low < span.lowest else span.lowest
        highest = high if high > span.highest else span.highest
        self._span = Span(lowest, highest, span.full + full, span.count + added)

    def compare(self, channels: NDArray[np.int16] | NDArray[np.float32]) -> None:
        """Take in the channels of which the samples are the mean: int16 or float32 in [-1, 1], shape (n, channels)."""
        some = channels[:: -(-len(channels) // _COMPARED_SAMPLES)].astype(np.float64)
        of_one = 1 / 32_768 if channels.dtype == np.int16 else 1.0
        # The squares of the channels, and of their sum, are in the products of all with all.
        sums = np.ones(len(some)) @ some
        products = (some.T @ some - np.outer(sums, sums) / len(some)) * of_one**2
        count, channel_squares, mix_squares = self._compared
        self._compared = (
            count + len(some),
            channel_squares + float(products.trace()) / len(sums),
            mix_squares + float(products.sum()) / len(sums) ** 2,
        )

    def take_span(self) -> Span:
        """Return the extremes of what has passed since the last call."""
        span, self._span = self._span, Span()
        power, self._spanned = _power_since(self._spanned, self._total)
        span = msgspec.structs.replace(span, power=power or 0.0)
        (count, channel_squares, mix_squares), self._compared = self._compared, (0, 0.0, 0.0)
        if not count:
            return span
        return msgspec.structs.replace(span, channel_power=channel_squares / count, mix_power=mix_squares / count)

    def take_dbfs(self) -> float | None:
        """Return the level of what has passed since the last call, or None if nothing has.

        In dB of the root mean square around the mean against full scale, so that a full-scale sine is at -3.0; at
        least -120.
        """
        power, self._asked = _power_since(self._asked, self._total)
        return None if power is None else _dbfs(power)


_Total = tuple[int, float, float]


def _power_since(before: _Total, total: _Total) -> tuple[float | None, _Total]:
    """Return the mean power, around the mean, of what came between two totals, and the later one."""
    count, added, squares = total[0] - before[0], total[1] - before[1], total[2] - before[2]
    return (squares / count - (added / count) ** 2 if count else None), total


class Gate:
    """Whether anything that passed lately was loud enough to be listened to. Belongs to one thread.

    Sound is judged in tenths of a second, counted from the first sample, so that a short one in a long silence counts,
    and the answer does not depend on the portions in which samples come. Until it has heard a window's worth, it is
    open: what came before it may have been loud.

    Args:
        threshold_dbfs: root mean square, around the mean, of the loudest tenth of a second at which it opens, in dB
            against full scale.
        sample_rate: in Hz.
    """

    def __init__(self, threshold_dbfs: float, sample_rate: int) -> None:
        self.threshold_dbfs = threshold_dbfs
        self._tenth: NDArray[np.float32] = np.empty(max(1, sample_rate // 10), dtype=np.float32)
        self._held = 0
        self._min_squares = 10 ** (threshold_dbfs / 10) * len(self._tenth)
        # Samples since the end of the last whole tenth that was loud enough.
        self._quiet = 0

    def add(self, samples: NDArray[np.float32]) -> None:
        """Take in samples: float32 in [-1, 1], shape (n,)."""
        while len(samples):
            part = samples[: len(self._tenth) - self._held]
            samples = samples[len(part) :]
            self._tenth[self._held : self._held + len(part)] = part
            self._held += len(part)
            self._quiet += len(part)
            if self._held == len(self._tenth):
                if self._is_loud():
                    self._quiet = 0
                self._held = 0

    def is_open(self, window_samples: int) -> bool:
        """Say whether any of the last ``window_samples`` was loud enough."""
        return self._quiet < window_samples or self._is_loud()

    def _is_loud(self) -> bool:
        """Whether the tenth so far is loud enough, whatever follows: its squares around its mean can only grow."""
        if not self._held:
            return False
        samples = self._tenth[: self._held].astype(np.float64)
        total = float(samples.sum())
        return float(samples @ samples) - total * total / self._held >= self._min_squares


def level_dbfs(samples: NDArray[np.int16]) -> float:
    """Return the level of some samples as `LevelMeter` measures it, of each channel around its own mean.

    Args:
        samples: int16, shape (n, channels).

    Returns:
        In dB against full scale; at least -120.
    """
    if not samples.size:
        return SILENCE_DBFS
    return _dbfs(float(np.mean(np.var(samples, axis=0, dtype=np.float64))) / 32_768**2)


def _dbfs(power: float) -> float:
    return max(SILENCE_DBFS, 10 * math.log10(power)) if power > 0 else SILENCE_DBFS
