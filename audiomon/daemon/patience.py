"""Noticing that something stands still, without mistaking one's own standing still for it.

A process that was stopped, or starved by others, finds everything late when it wakes. What really stands still is late
at the next looks, too.
"""


class Patience:
    """With something that should move now and then. Times are monotonic, in nanoseconds.

    Args:
        late_s: not moved for so long: to be looked at more often.
        most_s: not moved for so long: it stands still.
        awake_s: seconds of looking, since it was first found late, without which that is not concluded.
    """

    def __init__(self, late_s: float, most_s: float, awake_s: float) -> None:
        self._late_ns, self._most_ns, self._awake_ns = (round(s * 1e9) for s in (late_s, most_s, awake_s))
        self._late_since_ns: int | None = None

    @property
    def late(self) -> bool:
        """Whether it was late when last looked at."""
        return self._late_since_ns is not None

    def restart(self) -> None:
        """Begin anew, with something else."""
        self._late_since_ns = None

    def ends(self, now_ns: int, moved_ns: int) -> bool:
        """Say whether it stands still.

        Args:
            now_ns: the time.
            moved_ns: when it last moved.
        """
        age_ns = now_ns - moved_ns
        if age_ns <= self._late_ns:
            self._late_since_ns = None
            return False
        if self._late_since_ns is None:
            self._late_since_ns = now_ns
        return age_ns > self._most_ns and now_ns - self._late_since_ns >= self._awake_ns
