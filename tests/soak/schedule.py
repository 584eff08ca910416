"""What goes wrong when, at random but the same for the same seed."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

# Of audio, between the end of one fault and the beginning of the next.
_MEAN_PAUSE_S = 240.0
# Names of faults, and how long they last at least and at most, in seconds.
FAULTS = {
    "unplugged": (0.2, 30.0),
    "stalled": (1.0, 15.0),
    "dawdling model": (5.0, 60.0),
    "held up once": (1.0, 9.0),
    "process stopped": (0.5, 40.0),
    "clock set": (0.0, 0.0),
    "suspended": (0.5, 4.0),
    "journald silent": (10.0, 3600.0),
    "model replaced": (0.0, 0.0),
}


@dataclass(frozen=True)
class Fault:
    """One of `FAULTS`, in seconds from the beginning."""

    name: str
    begin_s: float
    end_s: float


def schedule(seed: int, length_s: float) -> Iterator[Fault]:
    """Draw faults until a time, the last of which ends before it."""
    rng = random.Random(seed)
    at_s = 60.0
    while True:
        at_s += rng.expovariate(1 / _MEAN_PAUSE_S)
        name = rng.choice(sorted(FAULTS))
        lasts_s = rng.uniform(*FAULTS[name])
        if at_s + lasts_s > length_s - 60:
            return
        yield Fault(name, at_s, at_s + lasts_s)
        at_s += lasts_s


class Injector:
    """Begins and ends faults when their time has come.

    Args:
        faults: in the order of time.
        switches: what begins and what ends each, by name.

    Attributes:
        counts: how many of each have begun.
    """

    def __init__(
        self, faults: Iterator[Fault], switches: dict[str, tuple[Callable[[Fault], None], Callable[[], None]]]
    ):
        self.counts: Counter[str] = Counter()
        self._faults = faults
        self._switches = switches
        self._now: Fault | None = None
        self._next = next(faults, None)

    @property
    def at_work(self) -> bool:
        """Whether something is wrong at the moment."""
        return self._now is not None

    @property
    def due_s(self) -> float:
        """When something begins or ends next; infinite when nothing does any more."""
        if self._now is not None:
            return self._now.end_s
        return self._next.begin_s if self._next else float("inf")

    def step(self, now_s: float) -> None:
        """Do what is due."""
        while now_s >= self.due_s:
            if self._now is not None:
                self._switches[self._now.name][1]()
                self._now = None
            elif self._next is not None:
                self._now, self._next = self._next, next(self._faults, None)
                self.counts[self._now.name] += 1
                self._switches[self._now.name][0](self._now)
