"""How many samples never came: the monotonic clock against the count of those that did.

A sound system that could not get rid of its samples drops some, and says nothing. It shows only as samples that come
ever later than their number says.
"""

from audiomon.audio.source import Missing

# A sound card's clock and the computer's differ by less than this, in nanoseconds per second.
_MAX_DRIFT = 1_000_000.0
# The earliest find of this time, and of at least this many finds, is what all lateness counts from: it is longer than a
# hiccup of the machine.
_WINDOW_NS = 2_000_000_000
_WINDOW_FINDS = 6
# Lateness below this is no loss, whatever the machine: finds are that uncertain when it is busy.
_MIN_LOSS_NS = 40_000_000
# How much of a window's deviation is taken into the clock's offset, and into its drift; and how many times the usual
# deviation is more than chance.
_OFFSET_GAIN, _DRIFT_GAIN = 0.3, 0.05
_UNUSUAL = 6
# What even a quiet machine's finds are uncertain by: a look every 3 ms, and what the kernel adds.
_FINDS_NS = 5_000_000


class MissingMeter:
    """Measures what a device does not deliver, as time that has passed against samples that have come.

    The device's clock differs from the computer's by up to 0.1 %, over a minute a day; that drift is slow, so it is
    followed and taken out. A loss is a step: seconds after it, even the earliest finds are later than they were. It is
    believed when the earliest find of two windows in a row says so.

    Args:
        sample_rate: of the device, in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._begin_ns: int | None = None
        self._finds = 0
        self._earliest_ns = 0
        # What the earliest find of a window is expected to be, as time minus samples; how fast that grows, per second;
        # and by how much it is usually missed.
        self._expected_ns: float | None = None
        self._drift = 0.0
        self._spread_ns = float(_FINDS_NS)
        self._suspected_ns = 0.0

    def add(self, samples: int, found_ns: int) -> Missing | None:
        """Take in a find.

        Args:
            samples: that have come since the start, found now or before.
            found_ns: monotonic time of the find.

        Returns:
            What is missing since the last answer; None if nothing is.
        """
        late_ns = found_ns - samples * 1_000_000_000 // self._sample_rate
        if self._begin_ns is None:
            self._begin_ns, self._earliest_ns = found_ns, late_ns
            return None
        lasted_ns = found_ns - self._begin_ns
        self._finds += 1
        if lasted_ns < _WINDOW_NS or self._finds < _WINDOW_FINDS:
            self._earliest_ns = min(self._earliest_ns, late_ns)
            return None
        self._finds = 0
        earliest_ns = self._earliest_ns
        self._begin_ns, self._earliest_ns = found_ns, late_ns
        return self._judge(earliest_ns, lasted_ns / 1e9)

    def _judge(self, earliest_ns: int, lasted_s: float) -> Missing | None:
        if self._expected_ns is None:
            self._expected_ns = earliest_ns
            return None
        self._expected_ns += self._drift * lasted_s
        off_ns = earliest_ns - self._expected_ns
        if off_ns > max(_MIN_LOSS_NS, _UNUSUAL * self._spread_ns):
            suspected_ns, self._suspected_ns = self._suspected_ns, off_ns
            return self._believe(min(suspected_ns, off_ns)) if suspected_ns else None
        self._suspected_ns = 0.0
        if off_ns < -_MIN_LOSS_NS:
            self._expected_ns = earliest_ns  # what was expected was too late: the device was slow to begin
            return None
        self._expected_ns += _OFFSET_GAIN * off_ns
        self._drift = min(_MAX_DRIFT, max(-_MAX_DRIFT, self._drift + _DRIFT_GAIN * off_ns / lasted_s))
        self._spread_ns += _OFFSET_GAIN * (abs(off_ns) - self._spread_ns)
        return None

    def _believe(self, missing_ns: float) -> Missing:
        self._expected_ns = (self._expected_ns or 0.0) + missing_ns
        self._suspected_ns = 0.0
        uncertain_ns = _FINDS_NS + 2 * self._spread_ns
        return Missing(round(missing_ns * self._sample_rate / 1e9), round(uncertain_ns * self._sample_rate / 1e9))
