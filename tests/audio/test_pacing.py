import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from audiomon.audio.pacing import Cadence, CaptureTimes

RATE = 22_050
BLOCK = 2205
WAKING_UP_NS = 100_000


def test_samples_found_late_are_dated_when_they_were_captured():
    times = CaptureTimes(1000)
    assert times.captured_ns(100, 1_000_000_000, 0) == 1_000_000_000
    for block in range(1, 50):
        due_ns = 1_000_000_000 + block * 100_000_000
        late_ns = 30_000_000 if block % 3 else 0
        assert times.captured_ns(100, due_ns + late_ns, 0) == pytest.approx(due_ns, abs=0.5e6)


def test_frames_left_for_the_next_read_are_newer():
    times = CaptureTimes(1000)
    assert times.captured_ns(100, 1_000_000_000, 250) == 750_000_000


def test_an_earlier_find_corrects_all_that_follow():
    times = CaptureTimes(1000)
    times.captured_ns(100, 1_040_000_000, 0)
    assert times.captured_ns(100, 1_100_000_000, 0) == 1_100_000_000
    assert times.captured_ns(100, 1_230_000_000, 0) == pytest.approx(1_200_000_000, abs=0.2e6)


def test_a_device_whose_clock_is_slow_is_followed():
    times = CaptureTimes(1000)
    for block in range(5000):
        found_ns = round(block * 100_000_000 * 1.0003)
        assert times.captured_ns(100, found_ns, 0) == found_ns


def test_after_a_break_time_goes_on_where_the_samples_do():
    times = CaptureTimes(1000)
    times.captured_ns(100, 1_000_000_000, 0)
    assert times.captured_ns(100, 6_000_000_000, 0) == 6_000_000_000
    assert times.captured_ns(100, 6_100_000_000, 0) == 6_100_000_000


def test_what_a_device_still_had_when_it_stopped_is_no_newer_for_being_found_late():
    times = CaptureTimes(1000)
    times.captured_ns(100, 1_000_000_000, 0)
    assert not times.late
    times.captured_ns(100, 2_000_000_000, 0)
    assert times.late
    assert times.earliest_ns == pytest.approx(1_100_000_000, abs=0.2e6)
    times.captured_ns(100, 2_100_000_000, 0)
    assert not times.late
    assert times.earliest_ns == 2_100_000_000


@dataclass
class Card:
    """Delivers samples in chunks, and is looked at as the capture thread does it, for a minute."""

    chunks: Iterator[int]
    late_ns: Iterator[int] = field(default_factory=lambda: iter(lambda: 0, 1))
    looks: int = 0
    blocks: list[int] = field(default_factory=list)
    delays_ns: list[int] = field(default_factory=list)

    def run(self, cadence: Cadence) -> None:
        came, came_ns, read, now_ns = 0, 0, 0, 0
        coming = next(self.chunks)
        while now_ns < 60_000_000_000:
            while (next_ns := (came + coming) * 1_000_000_000 // RATE) <= now_ns:
                came, came_ns, coming = came + coming, next_ns, next(self.chunks)
            self.looks += 1
            available = came - read
            if available < cadence.enough_samples:
                due_ns = cadence.missed(available, now_ns)
            else:
                block = min(available, BLOCK)
                read += block
                self.blocks.append(block)
                self.delays_ns.append(now_ns - came_ns)
                due_ns = cadence.found(available, available - block, now_ns)
            now_ns = max(now_ns, due_ns) + WAKING_UP_NS + next(self.late_ns)


HOP = 11_264


@dataclass
class Window:
    """A reader that waits for windows, one after the other, served as the capture thread does it, for two minutes."""

    chunks: Iterator[int]
    late_ns: Iterator[int] = field(default_factory=lambda: iter(lambda: 0, 1))
    looks: int = 0
    windows: int = 0
    delays_ns: list[int] = field(default_factory=list)

    def run(self, cadence: Cadence) -> None:
        came, read, now_ns, wanted = 0, 0, 0, HOP
        coming, completed_ns = next(self.chunks), 0
        while now_ns < 120_000_000_000:
            while (next_ns := (came + coming) * 1_000_000_000 // RATE) <= now_ns:
                came, coming = came + coming, next(self.chunks)
                completed_ns = completed_ns or (next_ns if came >= wanted else 0)
            self.looks += 1
            available = came - read
            if available < cadence.enough_samples:
                due_ns = cadence.missed(available, now_ns)
            else:
                read = came
                if read >= wanted:
                    self.delays_ns.append(now_ns - completed_ns)
                    self.windows, wanted, completed_ns = self.windows + 1, wanted + HOP, 0
                due_ns = cadence.found(available, 0, now_ns, wanted - read)
            now_ns = max(now_ns, due_ns) + WAKING_UP_NS + next(self.late_ns)


@pytest.mark.parametrize("chunk", [220, 441, 1024, 1104, 2205, 4096])
def test_what_a_reader_lacks_is_found_soon_after_it_is_complete_with_about_a_look_a_window(chunk):
    window = Window(iter(lambda: chunk, 0))
    window.run(Cadence(RATE, BLOCK))
    settled = window.delays_ns[20:]
    assert max(settled) < 3_500_000
    assert window.looks < 1.6 * window.windows


def test_chunks_that_differ_a_little_cost_few_looks_more():
    lengths = [1102, 1104, 1105, 1102, 1104, 1114, 1104, 1095]
    window = Window(itertools.cycle(lengths))
    window.run(Cadence(RATE, BLOCK))
    assert window.looks < 2 * window.windows
    assert sorted(window.delays_ns)[len(window.delays_ns) * 9 // 10] < 10_000_000


def test_a_reader_in_a_hurry_is_served_when_what_it_lacks_is_complete():
    cadence = Cadence(RATE, BLOCK)
    now_ns = 5_000_000_000
    assert cadence.found(RATE, 0, now_ns, RATE) > now_ns + 900_000_000
    assert cadence.hurried(now_ns, RATE // 2) == pytest.approx(now_ns + 500_000_000, abs=2e6)
    assert cadence.enough_samples == RATE // 2
    assert cadence.hurried(now_ns, None) == pytest.approx(now_ns + 100_000_000, abs=2e6)


def test_when_what_a_reader_lacks_does_not_come_in_time_blocks_are_read():
    cadence = Cadence(RATE, BLOCK)
    now_ns = cadence.found(RATE, 0, 5_000_000_000, RATE)
    assert cadence.missed(0, now_ns) < now_ns + 10_000_000
    assert cadence.enough_samples < BLOCK


@pytest.mark.parametrize("chunk", [220, 441, 1024, 1104, 2048, 2205, 2400, 4096])
def test_few_looks_find_nothing_and_samples_are_found_soon_after_they_came(chunk):
    card = Card(iter(lambda: chunk, 0))
    card.run(Cadence(RATE, BLOCK))
    settled = card.delays_ns[20:]
    # a backlog of more than a block is read at once, without a look of its own being wrong
    assert max(settled) < 3_500_000
    assert card.looks < 1.25 * len(card.blocks)
    assert sum(card.blocks) / len(card.blocks) > 0.65 * BLOCK


def test_one_look_that_was_late_does_not_make_those_that_follow_late():
    late_ns = iter([0] * 100 + [30_000_000] + [0] * 10_000)
    card = Card(iter(lambda: 1104, 0), late_ns)
    card.run(Cadence(RATE, BLOCK))
    assert sum(delay_ns > 3_500_000 for delay_ns in card.delays_ns[20:]) == 1


def test_a_server_that_changes_what_it_sends_at_once_is_followed():
    card = Card(iter([1104] * 300 + [221] * 1500 + [2048] * 1000))
    card.run(Cadence(RATE, BLOCK))
    assert card.looks < 1.3 * len(card.blocks)


def test_a_backlog_after_a_stall_is_read_at_once():
    cadence = Cadence(RATE, BLOCK)
    now_ns = 5_000_000_000
    assert cadence.found(5 * BLOCK, 4 * BLOCK, now_ns) == now_ns
    assert cadence.found(4 * BLOCK, 3 * BLOCK, now_ns) == now_ns
    assert cadence.enough_samples <= BLOCK


def test_a_microphone_that_says_nothing_is_looked_at_twenty_times_a_second():
    cadence, now_ns, looks = Cadence(RATE, BLOCK), 0, 0
    while now_ns < 10_000_000_000:
        now_ns = cadence.missed(0, now_ns)
        looks += now_ns > 1_000_000_000
    assert looks == pytest.approx(180, abs=2)
