"""How loud what was heard was, at the cost of one dot product; and whether any of it was loud enough."""

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
