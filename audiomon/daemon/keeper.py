"""Keeps a microphone open and listened to: opens it, notices that it has gone, opens it again for as long as it takes.

What state that is in, `CaptureHealth` knows; this does what follows from it. Owned and stepped by the main thread,
which it never holds up.
"""

from collections.abc import Callable

from audiomon.audio.level import LevelMeter, Span
from audiomon.audio.microphone import MicrophoneSource, forget_portaudio
from audiomon.audio.source import Identity, Source
from audiomon.clock import Clock
from audiomon.daemon import befallen
from audiomon.daemon.failures import Failures
from audiomon.daemon.health import CaptureHealth
from audiomon.daemon.hearing import Hearing, Opening, Running, open_microphone
from audiomon.daemon.patience import Patience
from audiomon.errors import CaptureError, DeviceError, OtherDeviceError, SoundSystemError, forget_frames
from audiomon.pipeline.accounts import Accounts
from audiomon.pipeline.listener import Heard
from audiomon.pipeline.output import Output
from audiomon.pipeline.prediction import Prediction, Status
from audiomon.pipeline.statuses import listening
from audiomon.pipeline.tally import Counting

Announce = Callable[[Heard, Hearing], Status]

# The worker asks for samples about every second. One that has not for so long hangs in a model or an output.
_WORKER_PATIENCE_S = 10
_WORKER_LATE_S = 5
_WORKER_AWAKE_S = 2
# How often samples are looked at for whether they can be sound.
_SOUND_NS = 1_000_000_000


class Change:
    """Something else to be put in force.

    Args:
        running: what.
        reopens: whether the microphone has to be closed and opened again.
        announce: makes the status that tells of it, from the number of samples lost.

    Attributes:
        outcome: what came of it, in one line; None until then.
        error: why the microphone cannot be opened as it wants; what was in force before is again.
    """

    def __init__(self, running: Running, *, reopens: bool, announce: Callable[[int], Status]) -> None:
        self.running = running
        self.reopens = reopens
        self.announce = announce
        self.outcome: str | None = None
        self.error: DeviceError | None = None


class MicrophoneKeeper:
    """See the module.

    Args:
        running: what is in force at first.
        output: gets what is heard, and what befalls the microphone.
        clock: times everything.
        wake: called, from any thread, when `step` has something to do.

    Attributes:
        running: what is in force.
        health: of capture.
        failures: of stages that should not fail.
        counting: of all that was heard.
        level: of all that was heard.
        span: what the samples of about the last second were like.
    """

    def __init__(self, running: Running, *, output: Output, clock: Clock, wake: Callable[[], None]) -> None:
        self.running = running
        self.health = CaptureHealth(clock.monotonic_ns())
        self.failures = Failures(output, clock)
        self.counting = Counting()
        self.level = LevelMeter()
        self._output = output
        self._clock = clock
        self._wake = wake
        self._hearing: Hearing | None = None
        self._opening: Opening | None = None
        self._closing: Hearing | None = None
        self._renews = False
        self._worker_patience = Patience(_WORKER_LATE_S, _WORKER_PATIENCE_S, _WORKER_AWAKE_S)
        self._looked_at_sound_ns = 0
        self.span = Span()
        self._change: Change | None = None
        self._announce: Announce | None = None
        self._device: Identity | None = None
        self._device_wanted: str | int | None = None
        self._other_told = False
        self._heard_until_ns: int | None = None
        self._heard_s = 0.0

    @property
    def last(self) -> Prediction | None:
        """The newest prediction from the microphone that is open."""
        return self._hearing.worker.last if self._hearing else None

    @property
    def microphone(self) -> str:
        """Name of the microphone that is open; empty when there is none."""
        return self._hearing.source.name if self._hearing else ""

    @property
    def heard_s(self) -> float:
        """Seconds of audio heard in all."""
        return self._heard_s + (self._hearing.heard_s if self._hearing else 0.0)

    @property
    def next_look_ns(self) -> int | None:
        """When `step` has something to do, if nothing happens before."""
        return self.health.due_ns

    def begin(self, source: Source | None, absence: str) -> None:
        """Start with an open microphone, or with the reason why there is none."""
        if source is not None:
            self._listen(source, self.running)
        else:
            self._be_gone(absence)

    def apply(self, change: Change) -> None:
        """Put something else in force; its ``outcome`` or ``error`` is set by a later `step`."""
        self._change = change
        if self._hearing is not None and not change.reopens:
            self.running = change.running
            self._announce_then(lambda heard, _: change.announce(heard.take_over.unheard if heard.take_over else 0))
            self._hearing.listener.replace(change.running.replacement)
        elif self._hearing is not None:
            if self._let_go():
                self._open(change.running)
        elif self.health.reason:
            self.running = change.running
            self._settle(change, change.announce(0), "; there is no microphone at the moment")
            self.health.retry_now(self._clock.monotonic_ns())
        # Else the microphone of before is being opened again, after a change that was refused: this one comes next.

    def step(self) -> None:
        """Notice what has happened, and do what is due.

        Raises:
            SoundSystemError: only a new process can open a microphone again.
            StageError: a stage has failed three times within a minute.
        """
        now_ns = self._clock.monotonic_ns()
        if self._hearing is not None:
            self._look_after(self._hearing, now_ns)
        elif self._opening is not None:
            self._look_at(self._opening, now_ns)
        elif self._closing is not None:
            self._look_whether_closed(self._closing, now_ns)
        elif now_ns >= (self.health.due_ns or 0):
            self._open(self._change.running if self._change else self.running)

    def end(self) -> None:
        """Close everything."""
        if self._opening is not None:
            self._opening.abandon()
        if self._hearing is not None:
            self._let_go()

    def _look_after(self, hearing: Hearing, now_ns: int) -> None:
        worker, name = hearing.worker, hearing.source.name
        if worker.done.is_set():
            error = worker.error
            if error is not None:
                forget_frames(error)
            if error is not None and not isinstance(error, DeviceError):
                self.failures.note("inference", f"raised {type(error).__name__}: {error}")
                self._hear_on(hearing)
                return
            if isinstance(error, CaptureError):
                self.failures.note("capture", f"failed: {error}")
            self._lose(str(error or f"{name}: the microphone has gone"))
        elif self._worker_patience.ends(now_ns, worker.stepped_ns):
            self.failures.note("inference", f"has not moved for {_WORKER_PATIENCE_S} s")
            if self._let_go():
                self._open(self.running)
        elif self.health.stalled(now_ns, hearing.alive_ns):
            self._lose(f"{name}: has delivered nothing for {(now_ns - hearing.alive_ns) / 1e9:.1f} s")
        elif now_ns - self._looked_at_sound_ns >= _SOUND_NS:
            self._looked_at_sound_ns = now_ns
            self.span = self.level.take_span()
            if self.health.sounds(now_ns, self.span):
                self._output.status(befallen.sound(hearing.source, self.health, self._clock))
            for missing in hearing.take_undelivered():
                self.counting.add_undelivered(missing.samples)
                self._output.status(befallen.undelivered(hearing.source, missing, self._clock))

    def _hear_on(self, hearing: Hearing) -> None:
        """Listen to the same stream with another worker, since the one that did has ended."""
        self._hearing = None
        source, why = hearing.source, "while the inference stage was started again"
        self._announce_then(lambda heard, _: befallen.lost(source, heard.fates.lost, why, self._clock))
        self._start(hearing.source, self.running, hearing.listener.accounts)

    def _look_at(self, opening: Opening, now_ns: int) -> None:
        if not opening.ended:
            if self.health.overdue(now_ns):
                forget_portaudio()
                raise SoundSystemError("opening the microphone hangs; is the sound server stuck?")
            return
        self._opening = None
        change, error, source, running = self._change, opening.error, opening.source, opening.running
        wanted = change.running if change else self.running
        if isinstance(error, SoundSystemError):
            raise error
        if not running.asks_for_the_same(wanted):
            opening.abandon()  # something else has been asked for meanwhile
            self._open(wanted)
            return
        self._renews = self._renews and source is None
        if source is not None:
            try:
                self._listen(source, running)
                return
            except DeviceError as unsuitable:
                source.close()
                forget_frames(unsuitable)
                error = unsuitable
        if isinstance(error, OtherDeviceError) and change is None and not self._other_told:
            self._other_told = True
            self._output.status(befallen.another(str(error), self._clock))
        if not isinstance(error, DeviceError):
            self.failures.note("opening", f"raised {type(error).__name__}: {error}")
        if change is not None and isinstance(error, DeviceError):
            self._change, change.error = None, error
            self._open(self.running)
        else:
            self._be_gone(str(error))

    def _look_whether_closed(self, closing: Hearing, now_ns: int) -> None:
        if not closing.stuck:
            self._closing = None
            self.health.gone(now_ns, self.health.reason)
        elif self.health.overdue(now_ns):
            raise SoundSystemError(f"{closing.source.name}: the sound system does not let go of it")

    def _listen(self, source: Source, running: Running) -> None:
        # What is about to be in force must be before the first prediction, which comes from another thread.
        change = self._change
        if change is not None:
            self._announce_then(lambda _, hearing: change.announce(self._missed(hearing)))
        elif self.health.reason:
            other = self._other_than(source)
            self._announce_then(lambda _, hearing: befallen.back(source, self._missed(hearing), other, self._clock))
        elif self._heard_until_ns is not None:
            why = "while it was opened again"
            self._announce_then(lambda _, hearing: befallen.lost(source, self._missed(hearing), why, self._clock))
        self._other_told = False
        self._device_wanted = running.settings.config.microphone.device
        self._device = source.identity if isinstance(source, MicrophoneSource) else None
        self._start(source, running)
        self.health.opened(self._clock.monotonic_ns())

    def _start(self, source: Source, running: Running, accounts: Accounts | None = None) -> None:
        hearing = self._hearing = Hearing(
            source,
            running,
            output=self._output,
            counting=self.counting,
            level=self.level,
            clock=self._clock,
            on_first=self._on_first,
            on_end=self._wake,
            accounts=accounts,
        )
        self._worker_patience.restart()
        self.running = running
        hop_s, config = self.running.asked_hop_s, self.running.settings.source
        self._output.status(listening(hearing.listener, hop_s, config, self._clock))
        hearing.start()

    def _announce_then(self, announce: Announce) -> None:
        """Announce something with the next first prediction, after what is to be announced with it already."""
        before = self._announce

        def both(heard: Heard, hearing: Hearing) -> Status:
            if before is not None:
                self._output.status(before(heard, hearing))
            return announce(heard, hearing)

        self._announce = both

    def _on_first(self, heard: Heard) -> None:
        """Announce what the first prediction proves; in the worker's thread."""
        announce, self._announce = self._announce, None
        hearing, change = self._hearing, self._change
        if announce is None or hearing is None:
            return
        status = announce(heard, hearing)
        if change is not None:
            self._settle(change, status)
        else:
            self._output.status(status)

    def _settle(self, change: Change, status: Status, note: str = "") -> None:
        self._output.status(status)
        self._change = None
        change.outcome = status.message + note
        self._wake()

    def _other_than(self, source: Source) -> str:
        """Return the name of the microphone that was heard before, if this is another one."""
        device, before = source.identity if isinstance(source, MicrophoneSource) else None, self._device
        return before.name if device and before and not device.is_like(before) else ""

    def _missed(self, hearing: Hearing) -> int:
        """Count the samples, at the new rate, that there would have been since the last one heard."""
        if self._heard_until_ns is None:
            return 0
        return max(0, hearing.began_ns - self._heard_until_ns) * hearing.source.sample_rate // 1_000_000_000

    def _lose(self, reason: str) -> None:
        # Said first: letting go takes a moment.
        self._be_gone(reason)
        self._let_go()
        change = self._change
        if change is not None:
            self._settle(change, change.announce(0), "; and the microphone has gone")

    def _let_go(self) -> bool:
        """Close the microphone; False if the sound system does not let go of it (yet)."""
        hearing = self._hearing
        if hearing is None:
            return True
        self._hearing = None
        # A worker that is left behind keeps its model.
        self._renews = not hearing.end() or self._renews
        self._heard_s += hearing.heard_s
        if hearing.listener.captured_ns:
            self._heard_until_ns = hearing.listener.captured_ns
        stuck = hearing.stuck  # it may let go at any time
        if stuck:
            self._closing = hearing
            reason = self.health.reason or f"{hearing.source.name}: the sound system does not let go of it"
            self.health.stuck(self._clock.monotonic_ns(), reason)
        return not stuck

    def _open(self, running: Running) -> None:
        self.health.opening(self._clock.monotonic_ns())
        clock, sample_rate = self._clock, running.classifier.spec.sample_rate
        wanted = running.settings.config.microphone.device
        before = self._device if wanted == self._device_wanted else None
        self._opening = Opening(
            running,
            lambda: open_microphone(running.settings, sample_rate, clock, before),
            self._wake,
            renews=self._renews,
        )

    def _be_gone(self, reason: str) -> None:
        told = bool(self.health.reason) and not self.health.hears
        self.health.gone(self._clock.monotonic_ns(), reason)
        if not told:
            self._output.status(befallen.gone(self.health, self._clock))
