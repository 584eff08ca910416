import sys
import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from audiomon.audio.ring import Ring, RingReader
from tests.manual_clock import ManualClock

RATE = 1000

PATIENCE_S = 60


def frames_at(position: int, count: int, channels: int) -> np.ndarray:
    """The stream's content: every sample tells its own place (modulo a prime, so that it fits and shifts show)."""
    index = np.arange(position * channels, (position + count) * channels, dtype=np.int64)
    return (index % 32_749).astype(np.int16).reshape(count, channels)


class RingAgainstAList(RuleBasedStateMachine):
    """Two readers and a writer; the model is the list of all frames ever written."""

    @initialize(capacity=st.integers(2, 40), channels=st.integers(1, 3))
    def make(self, capacity, channels):
        self.ring = Ring(capacity, channels, RATE, ManualClock())
        self.model: list[list[int]] = []
        self.readers = [RingReader(self.ring), RingReader(self.ring)]
        self.accounted = [0, 0]

    @rule(size=st.integers(0, 25))
    def write(self, size):
        block = frames_at(len(self.model), size, self.ring.channels)
        if size * 2 > self.ring.capacity:
            with pytest.raises(ValueError, match="too large"):
                self.ring.write(block, 0)
            return
        self.ring.write(block, captured_ns=(len(self.model) + size) * 1_000_000)
        self.model += block.tolist()

    @rule(which=st.integers(0, 1), size=st.integers(1, 25))
    def read(self, which, size):
        reader = self.readers[which]
        before = reader.position
        out = np.full((size, self.ring.channels), -1, dtype=np.int16)
        if size > self.ring.capacity // 2:
            with pytest.raises(ValueError, match="too large"):
                reader.read(out, 0.1)
            return
        lost = reader.read(out, 0.1)
        if lost is None:
            assert before + size > len(self.model)
            assert reader.position == before
            return
        assert lost == 0 or before < len(self.model) - self.ring.capacity, "nothing is lost that is still held"
        start = before + lost
        assert out.tolist() == self.model[start : start + size]
        assert reader.position == start + size
        self.accounted[which] += lost + size
        assert self.accounted[which] == reader.position, "every frame is either read or counted as lost"

    @rule(size=st.integers(1, 25), back=st.integers(0, 80))
    def copy(self, size, back):
        position = max(0, len(self.model) - back)
        out = np.empty((size, self.ring.channels), dtype=np.int16)
        if position + size > len(self.model):
            with pytest.raises(ValueError, match="are not in a stream"):
                self.ring.copy(position, out)
            return
        held = position >= len(self.model) - self.ring.capacity
        assert self.ring.copy(position, out) == held
        if held:
            assert out.tolist() == self.model[position : position + size]

    @invariant()
    def position_and_time_agree(self):
        if hasattr(self, "ring") and self.model:
            assert self.ring.end == len(self.model)
            assert self.ring.captured_ns(len(self.model) - 1) == (len(self.model) - 1) * 1_000_000


TestRingAgainstAList = RingAgainstAList.TestCase
TestRingAgainstAList.settings = settings(max_examples=150, stateful_step_count=40)


@pytest.mark.parametrize("channels", [1, 2])
def test_two_real_threads_lose_nothing_uncounted_and_read_nothing_torn(channels):
    ring = Ring(257, channels, RATE)
    total = 60_000
    random = np.random.default_rng(7)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def write():
        written = 0
        while written < total:
            size = min(int(random.integers(1, 128)), total - written)
            ring.write(frames_at(written, size, channels), 0)
            written += size
        ring.close()

    writer = threading.Thread(target=write)
    reader = RingReader(ring)
    read = lost_in_all = 0
    try:
        writer.start()
        out = np.empty((61, channels), dtype=np.int16)
        while (lost := reader.read(out, 10)) is not None:
            start = reader.position - len(out)
            np.testing.assert_array_equal(out, frames_at(start, len(out), channels))
            read += len(out)
            lost_in_all += lost
    finally:
        sys.setswitchinterval(before)
        writer.join()
    assert read + lost_in_all == reader.position
    assert total - reader.position < 61
    assert read > 0


def test_a_reader_that_fell_behind_goes_on_in_the_middle_of_what_is_held():
    ring = Ring(100, 1, RATE)
    for start in range(0, 1000, 50):
        ring.write(frames_at(start, 50, 1), 0)
    reader = RingReader(ring)
    out = np.empty((10, 1), dtype=np.int16)
    assert reader.read(out, 0) == 950
    assert out[:, 0].tolist() == list(range(950, 960))
    assert reader.read(out, 0) == 0


def test_writing_allocates_no_array_memory():
    ring = Ring(4096, 2, RATE)
    block = frames_at(0, 1500, 2)
    ring.write(block, 0)
    tracemalloc.start()
    try:
        before = tracemalloc.take_snapshot()
        for _ in range(1000):
            ring.write(block, 0)
        after = tracemalloc.take_snapshot()
        current, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    grown = sum(line.size_diff for line in after.compare_to(before, "filename") if "ring.py" in str(line.traceback))
    # A block is 6000 bytes; what remains is the last anchor and a few integers.
    assert grown < 1000
    assert peak - current < block.nbytes


def test_a_waiting_reader_wakes_when_its_frames_are_there():
    ring = Ring(1000, 1, RATE)
    out = np.empty((300, 1), dtype=np.int16)
    results = []
    reading = threading.Thread(target=lambda: results.append(RingReader(ring).read(out, 30)))
    reading.start()
    for start in range(0, 300, 100):
        assert reading.is_alive()
        ring.write(frames_at(start, 100, 1), 0)
    reading.join(10)
    assert results == [0]
    np.testing.assert_array_equal(out, frames_at(0, 300, 1))


def test_closing_wakes_a_waiting_reader_and_what_was_written_before_stays_readable():
    ring = Ring(1000, 1, RATE)
    ring.write(frames_at(0, 100, 1), 0)
    results = []
    reader = RingReader(ring)
    reading = threading.Thread(
        target=lambda: results.append(reader.read(np.empty((300, 1), dtype=np.int16), 30)), daemon=True
    )
    reading.start()
    ring.close()
    ring.close()
    reading.join(10)
    assert results == [None]
    out = np.empty((100, 1), dtype=np.int16)
    assert reader.read(out, 0) == 0
    np.testing.assert_array_equal(out, frames_at(0, 100, 1))


def test_waiting_ends_by_the_injected_clock():
    clock = ManualClock()
    ring = Ring(100, 1, RATE, clock)
    assert not ring.wait(1, 86_400)
    assert clock.monotonic_ns() == 86_400 * 10**9


@given(sizes=st.lists(st.integers(1, 50), min_size=1, max_size=30))
def test_times_follow_from_the_last_write_and_the_rate(sizes):
    ring = Ring(100, 1, RATE)
    for size in sizes:
        ring.write(frames_at(ring.end, size, 1), captured_ns=5_000_000_000 + (ring.end + size) * 1_000_000)
    assert ring.captured_ns(0) == 5_000_000_000
    assert ring.captured_ns(ring.end) == 5_000_000_000 + ring.end * 1_000_000


def test_positions_do_not_end_at_32_bits():
    ring = Ring(64, 1, RATE)
    ring._end = ring._claimed = 2**33  # what four days at 22 050 Hz come to
    ring.write(frames_at(2**33, 30, 1), 0)
    reader = RingReader(ring, 2**33)
    out = np.empty((30, 1), dtype=np.int16)
    assert reader.read(out, 0) == 0
    np.testing.assert_array_equal(out, frames_at(2**33, 30, 1))


@pytest.mark.parametrize(("capacity", "channels"), [(1, 1), (0, 1), (10, 0)])
def test_a_ring_of_nothing_is_refused(capacity, channels):
    with pytest.raises(ValueError, match="at least two samples"):
        Ring(capacity, channels, RATE)


@pytest.mark.parametrize("order", [1, -1])
def test_every_waiting_reader_wakes_when_its_own_position_is_reached(order):
    ring = Ring(1000, 1, 1000)
    woken: dict[int, bool] = {}
    positions = [100, 200, 300][::order]
    waiting = [
        threading.Thread(target=lambda at=at: woken.__setitem__(at, ring.wait(at, PATIENCE_S))) for at in positions
    ]
    for thread in waiting:
        thread.start()
    for position, thread in sorted(zip(positions, waiting, strict=True)):
        assert position not in woken
        ring.write(np.zeros((100, 1), dtype=np.int16), 0)
        thread.join(PATIENCE_S)
        assert woken[position]


def test_a_reader_that_gives_up_leaves_the_others_waiting_for_their_own():
    ring = Ring(1000, 1, 1000)
    woken = []
    waiting = threading.Thread(target=lambda: woken.append(ring.wait(50, PATIENCE_S)))
    waiting.start()
    assert not ring.wait(400, 0.01)
    assert not ring.wait(10, 0.01)
    ring.write(np.zeros((50, 1), dtype=np.int16), 0)
    waiting.join(PATIENCE_S)
    assert woken == [True]
