"""What was not heard, in samples, by its cause: one meaning in the journal, in `audiomon status` and in reports.

The same four counts, by the same names, are in every journal entry that tells of a loss, and in every sum of them.
"""

import msgspec

from audiomon.pipeline.prediction import Facts


class Losses(msgspec.Struct, frozen=True):
    """Samples that were not heard. Apart from `lost`, they are not among those that were captured.

    Attributes:
        lost: captured, and overwritten before they were read, or out of a new model's reach.
        away: that there would have been while no microphone was there.
        reopened: the same while it was reopened for a change.
        undelivered: about, that a device never delivered.
    """

    lost: int = 0
    away: int = 0
    reopened: int = 0
    undelivered: int = 0

    @property
    def all(self) -> int:
        """Samples that were not heard, whatever the cause."""
        return self.lost + self.away + self.reopened + self.undelivered

    @property
    def words(self) -> str:
        """All of it in one line, each part with its cause."""
        causes = (
            (self.away, "while the microphone was away"),
            (self.reopened, "while it was reopened"),
            (self.undelivered, "never delivered (about)"),
        )
        return ", ".join([f"{self.lost} samples lost", *(f"{samples} {cause}" for samples, cause in causes if samples)])

    @property
    def facts(self) -> Facts:
        """The counts as a journal entry has them."""
        return {
            "lost": self.lost,
            "lost_away": self.away,
            "lost_reopened": self.reopened,
            "undelivered": self.undelivered,
        }

    def __add__(self, other: "Losses") -> "Losses":
        """Add up, cause by cause."""
        return Losses(
            self.lost + other.lost,
            self.away + other.away,
            self.reopened + other.reopened,
            self.undelivered + other.undelivered,
        )
