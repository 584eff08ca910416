"""What became of every sample that was captured: classified, shed, lost, or left over where the stream ended.

Every sample is in exactly one of these, however windows overlap, so that their sum is what was captured.
"""

import msgspec


class Fates(msgspec.Struct, frozen=True, gc=False):
    """What became of the samples of a stretch, counted at the source's own rate, one for all channels.

    Attributes:
        classified: in a window that the model has read, or that was below the gate; those in two overlapping windows
            count once.
        shed: in no such window, since the model is too slow and theirs were passed over.
        lost: in no window at all: overwritten before they were read, or too few between two such gaps.
        windows_shed: whole windows passed over. Neighbours that overlap may have heard every sample of them.
        left_over: too few for another window, or not read any more, when the stream ended.
    """

    classified: int = 0
    shed: int = 0
    lost: int = 0
    windows_shed: int = 0
    left_over: int = 0

    def __add__(self, other: "Fates") -> "Fates":
        """Add up, column by column."""
        return Fates(
            self.classified + other.classified,
            self.shed + other.shed,
            self.lost + other.lost,
            self.windows_shed + other.windows_shed,
            self.left_over + other.left_over,
        )


_NOTHING = Fates()


class Accounts:
    """Keeps count, window by window; positions are those of the source, and grow.

    What has been counted stays here until it is taken, so that whatever interrupts the thread that counts, the next
    `take` has it.

    Args:
        position: up to where samples have been accounted for already.

    Attributes:
        end: up to where it is known what became of them, or will be with the next window.
    """

    def __init__(self, position: int = 0) -> None:
        self.end = self._classified_end = position
        self._shed = self._lost = self._windows_shed = 0
        self._counted = _NOTHING

    def shed(self, begin: int, end: int, *, joined: bool) -> None:
        """Note a window that is passed over.

        Args:
            begin: of its first sample.
            end: one past its last one.
            joined: whether nothing is missing between the window before and this one. At a converted rate, positions
                are rounded, and may seem a sample apart.
        """
        begin = self._begin(begin, joined)
        self._shed += end - max(self.end, begin)
        self.end = end
        self._windows_shed += 1

    def classified(self, begin: int, end: int, *, joined: bool) -> None:
        """Note a window that the model has read; arguments as in `shed`."""
        begin = self._begin(begin, joined)
        # Samples of windows passed over that this one contains are heard after all.
        heard_after_all = max(0, self.end - max(begin, self._classified_end))
        self._settle(
            end,
            Fates(
                classified=end - max(self._classified_end, begin),
                shed=self._shed - heard_after_all,
                lost=self._lost,
                windows_shed=self._windows_shed,
            ),
        )

    def finish(self, end: int, lost: int) -> None:
        """Close the accounts of a stream that has ended at a position.

        Args:
            end: that position.
            lost: samples lost since the last window, which no further one will report.
        """
        self._settle(
            max(end, self.end),
            Fates(
                shed=self._shed,
                lost=self._lost + lost,
                windows_shed=self._windows_shed,
                left_over=max(0, end - self.end - lost),
            ),
        )

    def take(self) -> Fates:
        """Return what was counted since the last call."""
        counted, self._counted = self._counted, _NOTHING
        return counted

    def _settle(self, position: int, fates: Fates) -> None:
        self._counted = fates if self._counted is _NOTHING else self._counted + fates
        self.end = self._classified_end = position
        self._shed = self._lost = self._windows_shed = 0

    def _begin(self, begin: int, joined: bool) -> int:
        if joined:
            return min(begin, self.end)
        self._lost += max(0, begin - self.end)
        return begin
