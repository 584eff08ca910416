"""Times of the day in which nothing is done, by the clock on the wall: over midnight, and whatever summer time does."""

import re
import time
from dataclasses import dataclass

_TEXT = re.compile(r"([0-2]?\d):([0-5]\d)\s*-\s*([0-2]?\d):([0-5]\d)")
_DAY_MIN = 24 * 60


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From one time of the day up to another, in minutes from midnight; over midnight where the first is the later."""

    from_min: int
    to_min: int

    @classmethod
    def of(cls, text: str) -> "QuietHours":
        """Read ``22:00-07:00``.

        Raises:
            ValueError: it is no such text.
        """
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise ValueError("must be two times, as in 22:00-07:00")
        hours = [int(part) for part in found.groups()]
        begin, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
        if begin > _DAY_MIN or end > _DAY_MIN:
            raise ValueError("the day has 24 hours")
        if begin == end:
            raise ValueError("begins when it ends; all day is 00:00-24:00")
        return cls(begin, end)

    def contain(self, wall_min: int) -> bool:
        """Say whether a time of the day, in minutes from midnight, is within."""
        if self.from_min < self.to_min:
            return self.from_min <= wall_min < self.to_min
        return wall_min >= self.from_min or wall_min < self.to_min


def wall_clock_min(at_s: float) -> int:
    """Return the local time of the day in minutes, from seconds since 1970-01-01 UTC."""
    time.tzset()  # the machine's time zone may have been set since this process began
    local = time.localtime(at_s)
    return local.tm_hour * 60 + local.tm_min
