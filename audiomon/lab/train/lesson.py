"""What a teacher hears in one recording, and what of it a student is to learn. Numbers only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

# A window of a class is one in which the teacher gives it this; where a recording has none, the best that it has.
_SURE = 0.12
_SURE_OF_BEST = 0.6
# A window of a recording of background to which the teacher gives this is none, whatever the folder says. High,
# because it takes a rooster for a dog and a sneeze for a voice at times.
_CERTAIN = 0.85
# Below this there is no trace of the class.
_NO_TRACE = 0.02
# A window of the student is judged by those of the teacher whose middles lie within this of its own.
_NEAR_S = 0.36


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the teacher hears in one recording.

    Attributes:
        middle_s: middle of each of its windows, in seconds from the recording's start, shape (n,).
        own: what it gives the recording's class, shape (n,); of background, the most that it gives any class.
        is_background: whether the recording's class is background.
    """

    middle_s: Float64
    own: Float32
    is_background: bool

    def near(self, middle_s: Float64) -> Float32:
        """Return the most that it gives near some moments: shape (len(middle_s),)."""
        order = np.searchsorted(self.middle_s, middle_s)
        around = np.clip(order[:, np.newaxis] + np.arange(-2, 3), 0, len(self.middle_s) - 1)
        distance = np.abs(self.middle_s[around] - middle_s[:, np.newaxis])
        counts = (distance <= _NEAR_S) | (distance == distance.min(axis=1, keepdims=True))
        return np.asarray(np.where(counts, self.own[around], 0).max(axis=1), dtype=np.float32)

    def teaches(self, middle_s: Float64) -> NDArray[np.bool_]:
        """Say of windows around some moments whether they hold the recording's class."""
        given = self.near(middle_s)
        if self.is_background:
            return np.asarray(given < _CERTAIN)
        return np.asarray(given >= min(_SURE, _SURE_OF_BEST * float(self.own.max())))

    def leaves_no_trace(self, middle_s: Float64) -> NDArray[np.bool_]:
        """Say of windows around some moments whether they hold nothing of the recording's class."""
        return np.asarray(self.near(middle_s) < _NO_TRACE)
