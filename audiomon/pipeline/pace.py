"""Whether the model keeps up with the audio, by how much it does not, and which windows are then passed over.

A single late window says nothing: a process that was stopped for some seconds catches up within milliseconds, and the
ring has kept everything. Only where window after window takes longer than there is time for it does waiting not help.
"""

from collections import deque

# Windows older than this are shed when the model is too slow: half of what the shortest ring there may be holds.
LATE_S = 1.0
# More than half of this many windows must have taken too long: one may have been held up by something else.
_WINDOWS = 3


class Pace:
    """How long windows take, against how long there is for one.

    Args:
        hop_s: seconds from one window to the next.

    Attributes:
        hop_s: the same.
    """

    def __init__(self, hop_s: float) -> None:
        self.hop_s = hop_s
        self._costs_s: deque[float] = deque(maxlen=_WINDOWS)

    def add(self, cost_s: float) -> None:
        """Take in what computing and classifying one window took, in seconds."""
        self._costs_s.append(cost_s)

    @property
    def cost_s(self) -> float:
        """What a window takes at the moment, in seconds: the median of the last few; 0 while that is not known."""
        return sorted(self._costs_s)[_WINDOWS // 2] if len(self._costs_s) == _WINDOWS else 0.0

    @property
    def too_slow(self) -> float:
        """How many times longer a window takes than there is time for it; at most 1 where the model keeps up."""
        return self.cost_s / self.hop_s

    def sheds(self, late_s: float) -> bool:
        """Say whether a window whose last sample was captured ``late_s`` seconds ago is to be passed over."""
        return late_s > LATE_S and self.too_slow > 1
