"""When samples were captured, and when to look for the next ones: what a thread that polls a microphone goes by.

Knows nothing of devices and never waits; it is told what was found and when.
"""

# A sound card's clock and the computer's differ by less than 1 in 1000, so samples that come later than this are not
# slow but late; and when even the first of many come so much later, some before them are missing.
_SLOWEST_CLOCK = 1.001
_STEP_NS = 100_000_000

# Until it is known what comes at once, this part of a block is as good as a block: its last chunk may leave it a frame
# short, and waiting for one more would add a chunk's delay.
_ENOUGH_OF_A_BLOCK = 0.75
# The first look for a block is so much before it is expected. Over many blocks, the looks creep up to the moment at
# which a chunk comes, find nothing, and start again just behind it: one look in ten is in vain.
_EARLY_NS = 300_000
_LOOK_AGAIN_NS = 3_000_000
# Nothing for half a second or more: a stuck server, and no hurry.
_LOOKS_UNTIL_STALLED = 150
_LOOK_WHEN_STALLED_NS = 50_000_000


class CaptureTimes:
    """Tells when samples were captured, from when they were found to have come.

    They are found late: they come in chunks, and polling looks only now and then. But samples are evenly spaced, so the
    earliest finds say when all were captured, and no block was captured later than its length after the one before.

    Args:
        sample_rate: of the device, in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._last_ns: int | None = None

    def captured_ns(self, frames: int, found_ns: int, left_frames: int) -> int:
        """Return the monotonic time at which the last frame of the next block was captured.

        Args:
            frames: in the block.
            found_ns: when it was found.
            left_frames: newer ones, found at the same time.
        """
        latest_ns = found_ns - left_frames * 1_000_000_000 // self._sample_rate
        if self._last_ns is not None:
            due_ns = self._last_ns + round(frames * 1_000_000_000 * _SLOWEST_CLOCK / self._sample_rate)
            if latest_ns - due_ns < _STEP_NS:
                latest_ns = min(latest_ns, due_ns)
        self._last_ns = latest_ns
        return latest_ns


class Cadence:
    """Tells when to look for the next block, with few looks and little delay.

    Samples come in chunks: a period of the sound card, or what the sound server sends at once. Looking between two of
    them costs as much as any look and finds nothing new, so it learns how large they are and looks just after one.

    Args:
        sample_rate: of the device, in Hz.
        block_frames: sample frames wanted at a time.

    Attributes:
        enough_frames: so many at once are worth reading.
    """

    def __init__(self, sample_rate: int, block_frames: int) -> None:
        self._usually_enough_frames = self.enough_frames = max(1, round(_ENOUGH_OF_A_BLOCK * block_frames))
        self._sample_rate = sample_rate
        self._block_frames = block_frames
        self._chunk_frames = 0
        self._vain_looks = 0
        self._looked_ns = 0
        # What was there at the last look, less what was then read; and when the newest of it came.
        self._waiting_frames = 0
        self._came_ns = 0

    def found(self, available: int, left_frames: int, now_ns: int) -> int:
        """Take in that a block was read, and return the monotonic time of the next look.

        Args:
            available: frames that there were.
            left_frames: those of them that were not read.
            now_ns: when.
        """
        self._note(available, now_ns)
        self._vain_looks = 0
        self._waiting_frames = left_frames
        self.enough_frames = self._usually_enough_frames
        if left_frames >= self.enough_frames:
            return now_ns
        coming_frames = self._block_frames - left_frames
        if self._chunk_frames:
            coming_frames = max(1, round(coming_frames / self._chunk_frames)) * self._chunk_frames
            # half a chunk less, as not all are of one size
            self.enough_frames = left_frames + coming_frames - self._chunk_frames // 2
        return self._came_ns + coming_frames * 1_000_000_000 // self._sample_rate - _EARLY_NS

    def in_vain(self, available: int, now_ns: int) -> int:
        """Take in that there were too few, and return the monotonic time of the next look; see `found`."""
        self._note(available, now_ns)
        self._vain_looks += 1
        self._waiting_frames = available
        return now_ns + (_LOOK_AGAIN_NS if self._vain_looks < _LOOKS_UNTIL_STALLED else _LOOK_WHEN_STALLED_NS)

    def _note(self, available: int, now_ns: int) -> None:
        """Learn from what has come since the last look."""
        came_frames = available - self._waiting_frames
        if came_frames > 0:
            if self._vain_looks and now_ns - self._looked_ns < 2 * _LOOK_AGAIN_NS:
                # Two looks, a moment apart: what came between them came at once, and just now.
                self._chunk_frames = min(came_frames, 2 * self._block_frames)
                self._came_ns = now_ns
            else:
                # One look that was late must not make all that follow late.
                due_ns = self._came_ns + round(came_frames * 1_000_000_000 * _SLOWEST_CLOCK / self._sample_rate)
                self._came_ns = min(now_ns, due_ns) if now_ns - due_ns < _STEP_NS else now_ns
        self._looked_ns = now_ns
