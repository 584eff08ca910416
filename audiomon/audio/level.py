"""How loud what was heard was, at the cost of one dot product."""

import math

import numpy as np
from numpy.typing import NDArray

# What is shown for digital silence, whose level would be minus infinity.
SILENCE_DBFS = -120.0


class LevelMeter:
    """The mean level of samples that pass. One thread adds, one other may ask."""

    def __init__(self) -> None:
        # Sum of squares and number of samples. Replaced whole, never changed, so that no reader sees half an addition.
        self._total = (0.0, 0)
        self._asked = (0.0, 0)

    def add(self, samples: NDArray[np.float32]) -> None:
        """Take in samples: float32 in [-1, 1], shape (n,)."""
        squares, count = self._total
        self._total = (squares + float(samples @ samples), count + len(samples))

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
