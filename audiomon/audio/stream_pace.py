"""Notices a sender whose samples come at another rate than they are said to have. It only counts, and never waits.

A network is no sound card: it holds samples back and delivers them later, so what comes within a second says little
about their rate. Two things say more. Samples that come *evenly* at another of the rates that sound usually has are
most likely of that rate. And a rate that is wrong in the same direction for seconds on end is wrong, however unevenly
the samples come.
"""

from collections import deque

# A rate that is off by more than this is wrong: 44.1 kHz for 48 kHz is off by 8 %. A sender that declares its rate
# is believed, unless it is no real-time stream at all.
_RAW_RATE_OFF, _DECLARED_RATE_OFF = 0.06, 0.5
_SPAN_NS = 1_000_000_000
# What a network holds back it delivers later; a wrong rate is wrong in the same direction for all of these.
_SPANS_OFF = 5

_USUAL_RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000)
# Evenly means: for this long, in this many pieces at least, each of which comes when it is due, give or take a little.
_EVENLY_NS = 1_500_000_000
_MIN_PIECES = 8
# Too slow is what any network is at times, and then it is not as even as that. Too fast is no network, and pieces that
# come earlier than they are looked for are found late.
_MAX_UNEVEN_SLOW_NS, _MAX_UNEVEN_FAST_NS = 30_000_000, 100_000_000
# By this much a wrong rate is too early or too late in the end.
_MIN_OFF_NS = _RAW_RATE_OFF * _EVENLY_NS
# Pieces that follow each other faster than this are one.
_PIECES_APART_NS = 50_000_000
# The sender's clock and this one's differ by less.
_CLOCKS_APART = 0.001


class Pace:
    """Notices a sender whose samples come at another rate than they are said to have.

    Args:
        sample_rate: what they are said to have, in Hz.
        declared: whether the sender itself says so.

    Attributes:
        advice: what to do when they have not; empty if nothing can be done here.
    """

    def __init__(self, sample_rate: int, *, declared: bool) -> None:
        self.sample_rate = sample_rate
        self.advice = "" if declared else ": set microphone.stream_rate"
        self._max_off = _DECLARED_RATE_OFF if declared else _RAW_RATE_OFF
        self._even = None if declared else _EvenPace(sample_rate)
        self._begin_ns: int | None = None
        self._samples = self._direction = self._spans = 0

    def off(self, samples: int, now_ns: int) -> float | None:
        """Take in samples that have come; their rate in Hz, once it is clear that it is another.

        That takes 1.5 s where they come evenly at another usual rate, and 5 s otherwise.
        """
        if self._begin_ns is None:
            # What had been waiting for the first look says nothing.
            self._begin_ns = now_ns
            return None
        if self._even is not None and (rate := self._even.other(samples, now_ns)) is not None:
            return rate
        self._samples += samples
        lasted_ns = now_ns - self._begin_ns
        if lasted_ns < _SPAN_NS:
            return None
        rate = self._samples * 1e9 / lasted_ns
        self._begin_ns, self._samples = now_ns, 0
        off = rate / self.sample_rate - 1
        direction = 0 if abs(off) <= self._max_off else 1 if off > 0 else -1
        self._spans = self._spans + 1 if direction == self._direction else 1
        self._direction = direction
        return rate if direction and self._spans >= _SPANS_OFF else None


class _EvenPace:
    """Notices samples that come evenly, and at another of the usual rates."""

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._others = [rate for rate in _USUAL_RATES if abs(rate / sample_rate - 1) > _RAW_RATE_OFF]
        # When pieces came, and how many samples had come by then.
        self._pieces: deque[tuple[int, int]] = deque()
        self._total = 0
        # How far the samples were ahead of the clock at most, before those pieces; and when that was.
        self._ahead: tuple[int, int] | None = None

    def other(self, samples: int, now_ns: int) -> float | None:
        """Take in samples that have come; the usual rate that they evenly have instead, in Hz."""
        self._total += samples
        pieces = self._pieces
        if not samples or (pieces and now_ns - pieces[-1][0] < _PIECES_APART_NS):
            return None
        pieces.append((now_ns, self._total))
        while len(pieces) > 1 and now_ns - pieces[1][0] >= _EVENLY_NS:
            self._note_ahead(*pieces.popleft())
        if now_ns - pieces[0][0] < _EVENLY_NS or len(pieces) < _MIN_PIECES:
            return None
        if self._uneven_ns(self._sample_rate) < _MIN_OFF_NS or self._catches_up(now_ns):
            return None
        rate = min(self._others, key=self._uneven_ns)
        return rate if self._uneven_ns(rate) <= self._max_uneven_ns(rate) else None

    def _max_uneven_ns(self, rate: int) -> float:
        if rate < self._sample_rate:
            return _MAX_UNEVEN_SLOW_NS
        # Half of what tells it from the right one.
        return min(_MAX_UNEVEN_FAST_NS, (rate / self._sample_rate - 1) * _EVENLY_NS / 2)

    def _uneven_ns(self, rate: int) -> float:
        """By how much pieces came too early or too late for a rate, from the earliest to the latest."""
        early_ns = [total * 1e9 / rate - at_ns for at_ns, total in self._pieces]
        return max(early_ns) - min(early_ns)

    def _note_ahead(self, at_ns: int, total: int) -> None:
        ahead_ns = self._ahead_ns(at_ns, total)
        if self._ahead is None or ahead_ns >= self._may_be_ahead_ns(at_ns):
            self._ahead = ahead_ns, at_ns

    def _ahead_ns(self, at_ns: int, total: int) -> int:
        return total * 1_000_000_000 // self._sample_rate - at_ns

    def _may_be_ahead_ns(self, now_ns: int) -> float:
        """How far ahead a sender of the right rate is once it has caught up, at least, if its clock is slow."""
        assert self._ahead is not None
        ahead_ns, then_ns = self._ahead
        return ahead_ns - _CLOCKS_APART * (now_ns - then_ns)

    def _catches_up(self, now_ns: int) -> bool:
        """Whether they come too fast, but no more of them have come than if all had been in time."""
        (first_ns, first), (last_ns, last) = self._pieces[0], self._pieces[-1]
        ahead_ns = self._ahead_ns(last_ns, last)
        fast = ahead_ns > self._ahead_ns(first_ns, first)
        return fast and self._ahead is not None and ahead_ns <= self._may_be_ahead_ns(now_ns) + _MIN_OFF_NS
