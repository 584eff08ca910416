"""When samples were captured, and when to look for the next ones: what a thread that polls a microphone goes by.

Knows nothing of devices and never waits; its callers say what was found and when.
"""

# A sound card's clock and the computer's differ by less than 1 in 1000, so samples that come later than this are not
# slow but late; and when even the first of many come this much later, some before them are missing.
_SLOWEST_CLOCK = 1.001
_STEP_NS = 100_000_000

# Until it is known what comes at once, this part of a block is as good as a block: its last chunk may leave it a sample
# short, and waiting for one more would add a chunk's delay.
_ENOUGH_OF_A_BLOCK = 0.75
# The first look for a block comes this much before it is expected. Over many blocks, the looks creep up to the moment
# at which a chunk comes, find nothing, and start again just behind it: one look in ten finds nothing.
_EARLY_NS = 300_000
# Readers' windows are few, and what they lack is looked for earlier each time, until that finds nothing: one in five.
_MAX_EARLY_NS = 30_000_000
# A look that finds samples this much later than they were expected is no late look: they came late. The longest chunks
# are no longer.
_MAX_LATE_LOOK_NS = 250_000_000
_LOOK_AGAIN_NS = 3_000_000
# Nothing for half a second or more: a stuck server, and no hurry.
_MISSES_UNTIL_STALLED = 150
_LOOK_WHEN_STALLED_NS = 50_000_000


class CaptureTimes:
    """Tells when samples were captured, from when they were found to have come.

    They are found late: they come in chunks, and polling looks only now and then. But samples are evenly spaced, so the
    earliest finds say when all were captured, and no block was captured later than its length after the one before.

    Args:
        sample_rate: of the device, in Hz.

    Attributes:
        earliest_ns: when the last sample was captured, if none before it is missing; 0 before the first. What a device
            still had when it stopped is found late, too, as if some were.
    """

    def __init__(self, sample_rate: int) -> None:
        self.earliest_ns = 0
        self._sample_rate = sample_rate
        self._last_ns: int | None = None

    @property
    def late(self) -> bool:
        """Whether the last block came late: some before it are missing, or the device has stopped after it."""
        return self._last_ns is not None and self._last_ns > self.earliest_ns

    def captured_ns(self, samples: int, found_ns: int, left: int) -> int:
        """Return the monotonic time at which the last sample of the next block was captured.

        Args:
            samples: in the block.
            found_ns: when it was found.
            left: newer ones, found at the same time.
        """
        self.earliest_ns = latest_ns = found_ns - left * 1_000_000_000 // self._sample_rate
        if self._last_ns is not None:
            due_ns = self._last_ns + round(samples * 1_000_000_000 * _SLOWEST_CLOCK / self._sample_rate)
            self.earliest_ns = min(latest_ns, due_ns)
            if latest_ns - due_ns < _STEP_NS:
                latest_ns = self.earliest_ns
        self._last_ns = latest_ns
        return latest_ns


class Cadence:
    """Tells when to look for the next block, with few looks and little delay.

    Samples come in chunks: a period of the sound card, or what the sound server sends at once. Looking between two of
    them costs as much as any look and finds nothing new, so it learns how large they are and looks just after one: of
    blocks, after the one that makes about a block; of what a reader lacks, after the one that completes it.

    Args:
        sample_rate: of the device, in Hz.
        block_samples: samples wanted at a time where nobody says how many.

    Attributes:
        enough_samples: this many at once are worth reading.
    """

    def __init__(self, sample_rate: int, block_samples: int) -> None:
        self._usually_enough = self.enough_samples = max(1, round(_ENOUGH_OF_A_BLOCK * block_samples))
        self._sample_rate = sample_rate
        self._block_samples = block_samples
        self._chunk = 0
        self._misses = 0
        self._early_ns = _EARLY_NS
        self._looked_ns = 0
        # Whether it is known how many samples complete what a reader waits for.
        self._exact = False
        # What was there at the last look, less what was then read; and when the newest of it came.
        self._waiting = 0
        self._came_ns = 0

    def found(self, available: int, left: int, now_ns: int, lacking: int | None = None) -> int:
        """Take in that a block was read, and return the monotonic time of the next look.

        Args:
            available: samples that there were.
            left: those of them that were not read.
            now_ns: when.
            lacking: samples after those read that a reader lacks; None for a block, more or less.
        """
        self._note(available, now_ns)
        self._early_ns = min(2 * self._early_ns, _MAX_EARLY_NS) if self._exact and not self._misses else _EARLY_NS
        self._misses = 0
        self._waiting = left
        return self._next_look(left, now_ns, lacking)

    def hurried(self, now_ns: int, lacking: int | None) -> int:
        """Take in that a reader lacks less than it seemed to, and return the time of the next look; see `found`."""
        return self._next_look(self._waiting, now_ns, lacking)

    def missed(self, available: int, now_ns: int) -> int:
        """Take in that there were too few, and return the monotonic time of the next look; see `found`."""
        self._note(available, now_ns)
        self._misses += 1
        self._waiting = available
        if self._exact and self.enough_samples - available > self._block_samples + self._chunk:
            # More than a chunk is lacking: the device has lost some, or was stopped. What comes is read in blocks.
            self._exact, self.enough_samples = False, self._usually_enough
        again_ns = now_ns + (_LOOK_AGAIN_NS if self._misses < _MISSES_UNTIL_STALLED else _LOOK_WHEN_STALLED_NS)
        # A chunk more than was expected is lacking: there is time until it comes.
        return max(again_ns, self._due_ns(available)) if self._exact and self._chunk else again_ns

    def _next_look(self, left: int, now_ns: int, lacking: int | None) -> int:
        self._exact = lacking is not None
        self.enough_samples = self._usually_enough if lacking is None else max(1, lacking)
        if left >= self.enough_samples:
            return now_ns
        if lacking is None and self._chunk:
            coming = max(1, round((self._block_samples - left) / self._chunk)) * self._chunk
            # half a chunk less, as not all are of one size
            self.enough_samples = left + coming - self._chunk // 2
            return self._expected_ns(coming)
        return self._due_ns(left) if lacking is not None else self._expected_ns(self._block_samples - left)

    def _due_ns(self, there: int) -> int:
        """When what is there will have become enough, in whole chunks."""
        coming = self.enough_samples - there
        return self._expected_ns(-(-coming // self._chunk) * self._chunk if self._chunk else coming)

    def _expected_ns(self, coming: int) -> int:
        return self._came_ns + coming * 1_000_000_000 // self._sample_rate - self._early_ns

    def _note(self, available: int, now_ns: int) -> None:
        """Learn from what has come since the last look."""
        came = available - self._waiting
        if came > 0:
            if self._misses and now_ns - self._looked_ns < 2 * _LOOK_AGAIN_NS:
                # Two looks, a moment apart: what came between them came at once, and just now.
                self._chunk = min(came, 2 * self._block_samples)
                self._came_ns = now_ns
            else:
                # One look that was late must not make all that follow late.
                due_ns = self._came_ns + round(came * 1_000_000_000 * _SLOWEST_CLOCK / self._sample_rate)
                self._came_ns = min(now_ns, due_ns) if now_ns - due_ns < _MAX_LATE_LOOK_NS else now_ns
        self._looked_ns = now_ns
