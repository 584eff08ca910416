"""The health of capture, as one state machine: in what state it is, and when something is due.

It takes in what happens and what time it is, and decides; it opens, closes and writes nothing itself. Its states are
what ``systemctl status``, the journal and ``audiomon status`` show.

```
            ┌──────────────── could not be opened, or delivers nothing ─────────────┐
            ▼                                                                       │
  absent / lost ──── retry ────► opening ──── first sample ────► listening ◄──► doubtful
            ▲                                                        │             │
            └─────────── failed, stalled, or closed ─────────────────┴─────────────┘
            ▲                                                        │
            └──── released after all ──── stuck ◄──── not released ──┘
```
"""

from enum import StrEnum

import msgspec

from audiomon.audio.level import Span


class Health(StrEnum):
    """The states. Words for people, too."""

    ABSENT = "absent"  # no microphone has been heard since the start; retrying
    OPENING = "opening"  # one is being opened, or is open and has not delivered its first sample
    LISTENING = "listening"  # samples come, and they may be sound
    DOUBTFUL = "doubtful"  # samples come, and they cannot be sound: zeros, a constant, or clipped
    LOST = "lost"  # the microphone failed, stalled or was unplugged; retrying
    STUCK = "stuck"  # the sound system does not release a stream that was closed; nothing can be opened until it does


_MAY_FOLLOW = {
    Health.OPENING: {Health.LISTENING, Health.ABSENT, Health.LOST, Health.OPENING, Health.STUCK},
    Health.LISTENING: {Health.DOUBTFUL, Health.LOST, Health.OPENING, Health.STUCK},
    Health.DOUBTFUL: {Health.LISTENING, Health.LOST, Health.OPENING, Health.STUCK},
    Health.LOST: {Health.OPENING, Health.LOST, Health.STUCK},
    Health.ABSENT: {Health.OPENING, Health.ABSENT, Health.STUCK},
    Health.STUCK: {Health.LOST, Health.ABSENT},
}


class Times(msgspec.Struct, frozen=True):
    """All times that the machine goes by, in seconds.

    Attributes:
        late_s: samples overdue by this: looked at more often. Capture expects them when a window is complete, at least
            every second, and finds them at most 100 ms later.
        checked_s: newest sample older than this: looked whether samples are overdue. A stall is to be noticed within
            2 s of the last sample, and so is one of which nothing was overdue until now.
        apart_s: between two looks, at least.
        look_s: how often, when they are; and while the first sample is waited for.
        stalled_s: newest sample older than this, and overdue: the stream has stalled.
        awake_s: for how long this process must have been looking meanwhile. One that was itself stopped, or starved by
            others, finds old samples as well, and the next look then finds new ones.
        retries_s: until a microphone that could not be opened is tried again. Soon at first, since plugs come loose;
            and never later than leaves time to open it within 2 s of its appearance (0.1 to 0.3 s). Looking every
            1.25 s was measured to cost 2 % of an x86-64 core.
        steady_s: it has delivered for this long: the next loss is retried soon again. One that comes and goes all the
            time is not.
        opening_s: opening takes longer than this: it hangs. The capture thread gives up by itself after 10 s.
        stuck_s: a closed stream is not released for this long: only a new process can go on. A sound server that was
            suspended for a moment does release it; one that is stopped with SIGSTOP, or a driver that hangs, may not.
        doubtful_s: samples have been no sound for this long: worth a warning. Nothing that happens in a room is exactly
            silent, or at full scale second after second, for a minute.
        sound_s: samples have been sound for this long: the doubt is over.
    """

    late_s: float = 0.15
    checked_s: float = 1.2
    apart_s: float = 0.1
    look_s: float = 0.2
    stalled_s: float = 1.5
    awake_s: float = 0.6
    retries_s: tuple[float, ...] = (0.25, 0.5, 1.0, 1.25)
    steady_s: float = 10.0
    opening_s: float = 20.0
    stuck_s: float = 8.0
    doubtful_s: float = 60.0
    sound_s: float = 5.0


TIMES = Times()


class Stall:
    """Notices that something has stopped moving, without mistaking this process's own stop for it.

    A process that was stopped, or starved by others, finds everything late when it wakes. What has really stopped is
    late at the next looks, too. Times are monotonic, in nanoseconds.

    Args:
        late_s: not moved for this long: to be looked at more often.
        stalled_s: not moved for this long: it has stopped.
        awake_s: seconds of looking, since it was first found late, without which that is not concluded.
    """

    def __init__(self, late_s: float, stalled_s: float, awake_s: float) -> None:
        self._late_ns, self._stalled_ns, self._awake_ns = (_ns(s) for s in (late_s, stalled_s, awake_s))
        self._late_since_ns: int | None = None

    @property
    def late(self) -> bool:
        """Whether it was late when last looked at."""
        return self._late_since_ns is not None

    def restart(self) -> None:
        """Start over, with something else."""
        self._late_since_ns = None

    def stalled(self, now_ns: int, moved_ns: int, due_ns: int = 0) -> bool:
        """Say whether it has stopped.

        Args:
            now_ns: the time.
            moved_ns: when it last moved.
            due_ns: when it is to move next, if that is known: it is not late before.
        """
        if now_ns - max(moved_ns, due_ns) <= self._late_ns:
            self._late_since_ns = None
            return False
        if self._late_since_ns is None:
            self._late_since_ns = now_ns
        return now_ns - moved_ns > self._stalled_ns and now_ns - self._late_since_ns >= self._awake_ns


# By `Span.defect`, and one for `Span.cancels`.
_DOUBTS = {
    "silent": "nothing but zeros: it is muted, or not connected",
    "constant": "the same value all the time: it is broken, or not connected",
    "cancelling": "two channels that cancel each other: set microphone.channel to 0 or 1",
    "clipping": "full scale, second after second: its gain is too high, or it is broken",
}


class CaptureHealth:
    """In what state capture is, and when something is due. All times are monotonic, in nanoseconds.

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
        self._flow = Stall(times.late_s, times.stalled_s, times.awake_s)
        self._looked_ns = self._newest_ns = now_ns
        self._open = self._was_heard = False
        self._delivers_since_ns: int | None = None
        self._seems = ""
        self._seems_since_ns = now_ns
        self._doubt = ""

    @property
    def hears(self) -> bool:
        """Whether samples come."""
        return self.state in (Health.LISTENING, Health.DOUBTFUL)

    @property
    def due_ns(self) -> int | None:
        """When something is due, at the latest; None if nothing is."""
        soon_ns = self._looked_ns + _ns(self._times.look_s)
        match self.state:
            case Health.ABSENT | Health.LOST:
                return self._retry_ns
            case Health.OPENING:
                return soon_ns if self._open else self.since_ns + _ns(self._times.opening_s)
            case Health.STUCK:
                return soon_ns
            case Health.LISTENING | Health.DOUBTFUL:
                apart_ns, checked_ns = (_ns(s) for s in (self._times.apart_s, self._times.checked_s))
                return soon_ns if self._flow.late else max(self._looked_ns + apart_ns, self._newest_ns + checked_ns)

    def opening(self, now_ns: int) -> None:
        """Note that a microphone is being opened."""
        self._become(Health.OPENING, now_ns, "" if self.hears else self.reason)
        self.since_ns = self._looked_ns = now_ns
        self._open = False

    def opened(self, now_ns: int) -> None:
        """Note that it is open; whether it delivers anything is yet to be seen."""
        if self.state is not Health.OPENING:
            self.opening(now_ns)
        self._open = True
        self._looked_ns = now_ns
        self._flow.restart()

    def delivers(self, now_ns: int) -> None:
        """Note that the first samples have come."""
        self._become(Health.LISTENING, now_ns, "")
        self._was_heard = True
        self._delivers_since_ns = self._newest_ns = now_ns
        self._seems, self._seems_since_ns = "", now_ns

    def gone(self, now_ns: int, reason: str) -> None:
        """Note that there is none: it could not be opened, or has failed, or was closed."""
        since_ns, self._delivers_since_ns = self._delivers_since_ns, None
        if since_ns is not None and now_ns - since_ns >= _ns(self._times.steady_s):
            self._attempts = 0
        retries_s = self._times.retries_s
        self._become(Health.LOST if self._was_heard else Health.ABSENT, now_ns, reason)
        self._retry_ns = now_ns + _ns(retries_s[min(self._attempts, len(retries_s) - 1)])
        self._attempts += 1

    def stuck(self, now_ns: int, reason: str) -> None:
        """Note that it has been closed and is not released."""
        self._become(Health.STUCK, now_ns, reason)
        self._looked_ns = now_ns

    def retry_now(self, now_ns: int) -> None:
        """Have the next attempt made at once: something has changed."""
        self._attempts, self._retry_ns = 0, now_ns

    def overdue(self, now_ns: int) -> bool:
        """Say whether opening, or releasing, takes so long that it will never end."""
        self._looked_ns = now_ns
        limits_s = {Health.STUCK: self._times.stuck_s}
        if not self._open:
            limits_s[Health.OPENING] = self._times.opening_s
        return self.state in limits_s and now_ns - self.since_ns >= _ns(limits_s[self.state])

    def stalled(self, now_ns: int, newest_ns: int, due_ns: int = 0) -> bool:
        """Say whether the stream has stalled.

        Args:
            now_ns: the time.
            newest_ns: when the newest sample was captured; before the first, when the stream was opened.
            due_ns: when newer ones are expected; 0 if that is not known.
        """
        self._looked_ns, self._newest_ns = now_ns, newest_ns
        return self._flow.stalled(now_ns, newest_ns, due_ns)

    def sounds(self, now_ns: int, span: Span) -> bool:
        """Take in what samples have been like since the last call; True if the state has changed.

        Args:
            now_ns: the time.
            span: the samples' extremes.
        """
        if not span.count:
            return False
        seems = "cancelling" if span.cancels else span.defect
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
