"""How loud what was heard was, whether it can be sound at all, and whether any of it was loud enough.

At the cost of a dot product and two extremes.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# What is shown for digital silence, whose level would be minus infinity.
SILENCE_DBFS = -120.0

# The largest magnitude of 16-bit samples, but for the last few steps, which some devices do not reach.
_FULL_SCALE = 32_700 / 32_768
# Less than one step of 16 bits from end to end is a constant, whatever resampling has made of it.
_CONSTANT = 0.5 / 32_768
# Loud sound touches full scale now and then; clipped sound stays there for milliseconds out of every second.
_CLIPPED_SHARE = 0.001


@dataclass(frozen=True, slots=True)
class Span:
    """The extremes of some samples.

    Attributes:
        lowest: of them, in [-1, 1].
        highest: of them.
        full: how many were at full scale.
        count: how many there were; 0 for none.
    """

    lowest: float = math.inf
    highest: float = -math.inf
    full: int = 0
    count: int = 0

    @property
    def peak_dbfs(self) -> float | None:
        """The highest magnitude in dB against full scale, -120 at the least; None of nothing."""
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


_NOTHING = (math.inf, -math.inf, 0, 0)


class LevelMeter:
    """The mean level and the extremes of samples that pass. One thread adds, one other may ask."""

    def __init__(self) -> None:
        # Sum of squares and number of samples. Replaced whole, never changed, so that no reader sees half an addition.
        self._total = (0.0, 0)
        self._asked = (0.0, 0)
        # A `Span`'s fields, the same way; asked for amid an addition, it may hold what was taken for one time longer.
        self._span = _NOTHING

    def add(self, samples: NDArray[np.float32]) -> None:
        """Take in samples: float32 in [-1, 1], shape (n,)."""
        squares, count = self._total
        self._total = (squares + float(samples @ samples), count + len(samples))
        if len(samples):
            low, high = float(np.minimum.reduce(samples)), float(np.maximum.reduce(samples))
            loud = high >= _FULL_SCALE or low <= -_FULL_SCALE
            lowest, highest, full, number = self._span
            full += int(np.count_nonzero(np.abs(samples) >= _FULL_SCALE)) if loud else 0
            self._span = (min(lowest, low), max(highest, high), full, number + len(samples))

    def take_span(self) -> Span:
        """Return the extremes of what has passed since the last call."""
        span, self._span = self._span, _NOTHING
        return Span(*span)

    def take_dbfs(self) -> float | None:
        """Return the level of what has passed since the last call, or None if nothing has.

        In dB of the root mean square against full scale, so that a full-scale sine is at -3.0; -120 at the least.
        """
        total, asked = self._total, self._asked
        self._asked = total
        squares, count = total[0] - asked[0], total[1] - asked[1]
        if not count:
            return None
        return max(SILENCE_DBFS, 10 * math.log10(squares / count)) if squares > 0 else SILENCE_DBFS


class Gate:
    """Whether anything that passed lately was loud enough to be listened to. Belongs to one thread.

    Sound is judged in tenths of a second, counted from the first sample, so that a short one in a long silence counts,
    and the answer does not depend on the portions in which samples come. Until it has heard a window's worth, it is
    open: what came before it may have been loud.

    Args:
        threshold_dbfs: root mean square of the loudest tenth of a second at which it opens, in dB against full scale.
        sample_rate: in Hz.
    """

    def __init__(self, threshold_dbfs: float, sample_rate: int) -> None:
        self.threshold_dbfs = threshold_dbfs
        self._piece = max(1, sample_rate // 10)
        self._least = 10 ** (threshold_dbfs / 10) * self._piece
        self._heard = 0
        self._squares = 0.0
        # Samples since the end of the last tenth that was loud enough.
        self._quiet = 0

    def add(self, samples: NDArray[np.float32]) -> None:
        """Take in samples: float32 in [-1, 1], shape (n,)."""
        while len(samples):
            part = samples[: self._piece - self._heard % self._piece]
            samples = samples[len(part) :]
            self._heard += len(part)
            self._quiet += len(part)
            self._squares += float(part @ part)
            if self._squares >= self._least:
                self._quiet = 0
            if not self._heard % self._piece:
                self._squares = 0.0

    def is_open(self, window_samples: int) -> bool:
        """Say whether any of the last ``window_samples`` was loud enough."""
        return self._quiet < window_samples
