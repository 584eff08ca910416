"""The health of capture, as one state machine: in what state it is, and when something is due.

It is told what happens and what time it is, and decides; it opens, closes and writes nothing itself. Its states are
what ``systemctl status``, the journal and ``audiomon status`` show.

```
            ┌──────────────────── could not be opened ────────────────────┐
            ▼                                                             │
  absent / lost ──── retry ────► opening ──── opened ────► listening ◄──► doubtful
            ▲                                                  │             │
            └─────────── failed, stalled, or closed ───────────┴─────────────┘
            ▲                                                  │
            └── it let go after all ── stuck ◄── does not let go
```
"""

from dataclasses import dataclass
from enum import StrEnum

from audiomon.audio.level import Span
from audiomon.daemon.patience import Patience


class Health(StrEnum):
    """The states. Words for people, too."""

    ABSENT = "absent"  # no microphone has been heard since the start; one is looked for again and again
    OPENING = "opening"  # one is being opened
    LISTENING = "listening"  # samples come, and they may be sound
    DOUBTFUL = "doubtful"  # samples come, and they cannot be sound: zeros, a constant, or clipped
    LOST = "lost"  # the microphone failed, stalled or was unplugged; it is looked for again and again
    STUCK = "stuck"  # the sound system does not let go of a stream that was closed; nothing can be opened until it does


_MAY_FOLLOW = {
    Health.ABSENT: {Health.OPENING, Health.LISTENING, Health.ABSENT},
    Health.OPENING: {Health.LISTENING, Health.ABSENT, Health.LOST, Health.OPENING},
    Health.LISTENING: {Health.DOUBTFUL, Health.LOST, Health.OPENING, Health.STUCK},
    Health.DOUBTFUL: {Health.LISTENING, Health.LOST, Health.OPENING, Health.STUCK},
    Health.LOST: {Health.OPENING, Health.LOST, Health.STUCK},
    Health.STUCK: {Health.LOST},
}


@dataclass(frozen=True, slots=True)
class Times:
    """All times that the machine goes by, in seconds.

    Attributes:
        late_s: newest sample older than this: looked at more often. Samples come every 100 ms, and are found at most
            100 ms later.
        look_s: how often, then.
        stalled_s: newest sample older than this: the stream has stalled. To be noticed within 2 s, with a look at
            latest a second after the last sample.
        awake_s: for how long this process must have been looking meanwhile. One that was itself stopped, or starved by
            others, finds old samples as well, and the next look then finds new ones.
        retries_s: until a microphone that could not be opened is tried again. Soon at first, since plugs come loose;
            and never later than leaves time to open it within 2 s of its appearance (0.1 to 0.3 s). Looking every
            1.25 s was measured to cost 2 % of an x86-64 core.
        opening_s: opening takes longer than this: it hangs. The capture thread gives up by itself after 10 s.
        stuck_s: a closed stream is not let go of for so long: only a new process can go on. A sound server that was
            suspended for a moment does; one that is stopped with SIGSTOP, or a driver that hangs, may not.
        doubtful_s: samples have been no sound for so long: worth a warning. Nothing that happens in a room is exactly
            silent, or at full scale second after second, for a minute.
        sound_s: samples have been sound for so long: the doubt is over.
    """

    late_s: float = 0.35
    look_s: float = 0.25
    stalled_s: float = 1.5
    awake_s: float = 0.7
    retries_s: tuple[float, ...] = (0.25, 0.5, 1.0, 1.25)
    opening_s: float = 20.0
    stuck_s: float = 8.0
    doubtful_s: float = 60.0
    sound_s: float = 5.0


TIMES = Times()

_DOUBTS = {
    "silent": "nothing but zeros: it is muted, or not connected",
    "constant": "one and the same value: it is broken, or not connected",
    "clipping": "full scale, again and again: its gain is too high, or it is broken",
}


class CaptureHealth:
    """See the module. All times are monotonic, in nanoseconds.

    Args:
        now_ns: when it began.
        times: what it goes by.

    Attributes:
        state: now.
        since_ns: when that began.
        reason: why nothing is heard, or what is doubtful; empty when all is well.
    """

    def __init__(self, now_ns: int, times: Times = TIMES) -> None:
        self.state = Health.ABSENT
        self.since_ns = now_ns
        self.reason = ""
        self._times = times
        self._attempts = 0
        self._retry_ns = now_ns
        self._flow = Patience(times.late_s, times.stalled_s, times.awake_s)
        self._looked_ns = now_ns
        self._was_heard = False
        self._seems = ""
        self._seems_since_ns = now_ns
        self._doubt = ""

    @property
    def hears(self) -> bool:
        """Whether a microphone is open."""
        return self.state in (Health.LISTENING, Health.DOUBTFUL)

    @property
    def due_ns(self) -> int | None:
        """When something is due, at the latest; None if nothing is."""
        match self.state:
            case Health.ABSENT | Health.LOST:
                return self._retry_ns
            case Health.OPENING:
                return self.since_ns + _ns(self._times.opening_s)
            case Health.STUCK:
                return self._looked_ns + _ns(self._times.look_s)
            case Health.LISTENING | Health.DOUBTFUL:
                return self._looked_ns + _ns(self._times.look_s) if self._flow.late else None

    def opening(self, now_ns: int) -> None:
        """Note that a microphone is being opened."""
        self._become(Health.OPENING, now_ns, "" if self.hears else self.reason)
        self.since_ns = now_ns

    def opened(self, now_ns: int) -> None:
        """Note that it is open."""
        self._become(Health.LISTENING, now_ns, "")
        self._was_heard = True
        self._attempts = 0
        self._flow.restart()
        self._seems, self._seems_since_ns = "", now_ns

    def gone(self, now_ns: int, reason: str) -> None:
        """Note that there is none: it could not be opened, or has failed, or was closed."""
        retries_s = self._times.retries_s
        self._become(Health.LOST if self._was_heard else Health.ABSENT, now_ns, reason)
        self._retry_ns = now_ns + _ns(retries_s[min(self._attempts, len(retries_s) - 1)])
        self._attempts += 1

    def stuck(self, now_ns: int, reason: str) -> None:
        """Note that it has been closed and is not let go of."""
        self._become(Health.STUCK, now_ns, reason)
        self._looked_ns = now_ns

    def retry_now(self, now_ns: int) -> None:
        """Have one looked for at once: something has changed."""
        self._attempts, self._retry_ns = 0, now_ns

    def overdue(self, now_ns: int) -> bool:
        """Say whether opening, or letting go, takes so long that it never will end."""
        self._looked_ns = now_ns
        limits_s = {Health.OPENING: self._times.opening_s, Health.STUCK: self._times.stuck_s}
        return self.state in limits_s and now_ns - self.since_ns >= _ns(limits_s[self.state])

    def stalled(self, now_ns: int, newest_ns: int) -> bool:
        """Say whether the stream has stalled.

        Args:
            now_ns: the time.
            newest_ns: when the newest sample was captured.
        """
        self._looked_ns = now_ns
        return self._flow.ends(now_ns, newest_ns)

    def sounds(self, now_ns: int, span: Span) -> bool:
        """Take in what samples have been like since the last call; True if the state has changed.

        Args:
            now_ns: the time.
            span: the samples' extremes.
        """
        if not span.count:
            return False
        seems = span.defect
        if seems != self._seems:
            self._seems, self._seems_since_ns = seems, now_ns
        lasts_ns = now_ns - self._seems_since_ns
        if self.state is Health.LISTENING and seems and lasts_ns >= _ns(self._times.doubtful_s):
            self._doubt = seems
            self._become(Health.DOUBTFUL, now_ns, f"{_DOUBTS[seems]} (for {lasts_ns / 1e9:.0f} s)")
            return True
        if self.state is Health.DOUBTFUL and seems != self._doubt and lasts_ns >= _ns(self._times.sound_s):
            self._become(Health.LISTENING, now_ns, "")
            return True
        return False

    def _become(self, state: Health, now_ns: int, reason: str) -> None:
        if state not in _MAY_FOLLOW[self.state]:
            raise ValueError(f"capture cannot become {state} when it is {self.state}")
        if state is not self.state:
            self.state, self.since_ns = state, now_ns
        self.reason = reason


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
