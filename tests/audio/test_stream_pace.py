"""Who sends at another rate than said is noticed; a network that holds back and catches up is not mistaken for that."""

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import pytest

from audiomon.audio.stream_pace import Pace

MS = 1_000_000
USUAL = (8000, 11_025, 16_000, 22_050, 44_100, 48_000)

# When samples come, in milliseconds, and how many.
Piece = tuple[float, int]


def evenly(rate: float, seconds: float, piece_ms: float = 100, begin_ms: float = 0) -> Iterator[Piece]:
    """Pieces of one length, in time."""
    for number in range(int(seconds * 1000 / piece_ms)):
        yield begin_ms + (number + 1) * piece_ms, round(rate * piece_ms / 1000)


def held_back(rate: int, seconds: float, hold_ms: Callable[[float], float], piece_ms: float = 20) -> Iterator[Piece]:
    """Pieces that a network delivers in order, each of them held back for a time."""
    latest_ms = 0.0
    for at_ms, samples in evenly(rate, seconds, piece_ms):
        latest_ms = max(latest_ms, at_ms + hold_ms(at_ms))
        yield latest_ms, samples


def looked_at(pieces: Iterable[Piece], every_ms: float) -> Iterator[Piece]:
    """What a thread finds that looks now and then."""
    came, looked_ms = 0, 0.0
    for at_ms, samples in pieces:
        while looked_ms < at_ms:
            yield looked_ms, came
            came, looked_ms = 0, looked_ms + every_ms
        came += samples


def noticed(pace: Pace, pieces: Iterable[Piece]) -> tuple[float, float] | None:
    """When it is noticed that they are off, in ms, and what their rate is said to be."""
    pace.off(12_345, 0)
    for at_ms, samples in pieces:
        if (rate := pace.off(samples, round(at_ms * MS))) is not None:
            return at_ms, rate
    return None


@pytest.mark.parametrize("piece_ms", [5, 100, 180])
@pytest.mark.parametrize(("said", "sent"), [*pairwise(USUAL), *pairwise(reversed(USUAL))])
def test_samples_that_come_evenly_at_another_usual_rate_are_noticed_within_two_seconds(said, sent, piece_ms):
    found = noticed(Pace(said, declared=False), evenly(sent, 2, piece_ms))
    assert found is not None
    assert found[1] == sent


@pytest.mark.parametrize(("said", "sent"), [(48_000, 44_100), (44_100, 48_000), (16_000, 48_000), (48_000, 16_000)])
@pytest.mark.parametrize("jitter_ms", [0, 20])
def test_a_sender_that_changes_its_rate_is_noticed_within_two_seconds(said, sent, jitter_ms):
    chance = random.Random(1)
    pace = Pace(said, declared=False)
    pieces = [*evenly(said, 20, 50), *evenly(sent, 2, 50, begin_ms=20_000)]
    pieces = [(at_ms + chance.uniform(0, jitter_ms), samples) for at_ms, samples in pieces]
    found = noticed(pace, pieces)
    assert found is not None
    assert 20_000 < found[0] < 22_000
    assert found[1] == sent


@pytest.mark.parametrize(("said", "sent"), [(44_100, 48_000), (8000, 16_000), (16_000, 48_000)])
def test_pieces_that_come_earlier_than_they_are_looked_for_are_noticed_within_two_seconds(said, sent):
    found = noticed(Pace(said, declared=False), looked_at(evenly(sent, 2, 50), 99))
    assert found is not None
    assert found[1] == sent


def test_a_rate_that_is_not_usual_or_that_the_sender_declares_is_noticed_within_five_seconds():
    for pace, sent in ((Pace(8000, declared=False), 10_000), (Pace(8000, declared=True), 16_000)):
        assert noticed(pace, evenly(sent, 4.9)) is None
    for pace, sent in ((Pace(8000, declared=False), 10_000), (Pace(8000, declared=True), 16_000)):
        assert noticed(pace, evenly(sent, 5.1)) == (5000, sent)
    assert noticed(Pace(8000, declared=True), evenly(5000, 60)) is None


def test_a_sender_of_large_pieces_has_five_seconds():
    """Of pieces as long as these, a few that come late say nothing."""
    found = noticed(Pace(16_000, declared=False), evenly(8000, 6, 500))
    assert found == (5000, 8000)


@pytest.mark.parametrize("rate", [22_050, 48_000])
@pytest.mark.parametrize("every_ms", [10, 100])
@pytest.mark.parametrize("seed", range(3))
def test_a_network_that_holds_back_at_random_and_catches_up_is_no_other_rate(rate, every_ms, seed):
    chance = random.Random(seed)
    moments = [chance.uniform(0, 30_000) for _ in range(12)]
    lengths = [chance.choice([50, 200, 500, 1400]) for _ in moments]

    def hold_ms(at_ms: float) -> float:
        stops = [begin + length - at_ms for begin, length in zip(moments, lengths, strict=True) if begin <= at_ms]
        return max([chance.uniform(0, 30), *stops])

    assert noticed(Pace(rate, declared=False), looked_at(held_back(rate, 30, hold_ms), every_ms)) is None


@pytest.mark.parametrize("piece_ms", [85, 93, 98, 102, 106, 106.5, 107, 108.8, 120, 187, 250, 375])
def test_pieces_that_beat_with_the_looks_are_no_other_rate(piece_ms):
    pieces = looked_at(evenly(48_000, 20, piece_ms), 100)
    assert noticed(Pace(48_000, declared=False), pieces) is None


def test_a_clock_that_is_off_and_a_camera_of_bursts_are_no_other_rate():
    assert noticed(Pace(8000, declared=False), evenly(8100, 60)) is None
    assert noticed(Pace(8000, declared=False), evenly(8000, 60, 1000)) is None


def test_catching_up_evenly_after_a_stall_is_no_other_rate():
    """A slow network brings two seconds that were held back in four, at half as fast again."""
    before, caught_up = evenly(8000, 10, 50), evenly(12_000, 4, 50, begin_ms=12_000)
    assert noticed(Pace(8000, declared=False), [*before, *caught_up]) is None


def test_a_network_whose_speed_changes_every_second_is_no_other_rate():
    rates = 8 * [8000, 2000, 3000, 16_000, 11_000]
    pieces = [piece for second, rate in enumerate(rates) for piece in evenly(rate, 1, begin_ms=1000 * second)]
    assert noticed(Pace(8000, declared=False), pieces) is None
