"""Keeps a microphone open and listened to: opens it, notices that it has gone, opens it again for as long as it takes.

Owned and stepped by the main thread, which it never holds up.
"""

import contextlib
from collections.abc import Callable

from audiomon.audio.level import LevelMeter
from audiomon.audio.microphone import MicrophoneSource, forget_portaudio
from audiomon.audio.source import Source
from audiomon.clock import Clock
from audiomon.errors import DeviceError, SoundSystemError
from audiomon.pipeline.listener import Heard
from audiomon.pipeline.output import Output
from audiomon.pipeline.prediction import Facts, Prediction, Status
from audiomon.pipeline.statuses import listening
from audiomon.pipeline.tally import Counting
from audiomon.pipeline.worker import STOP_PATIENCE_S
from audiomon.service.hearing import Hearing, Opening, Running, open_microphone

Announce = Callable[[Heard, Hearing], Status]

# A microphone that has delivered nothing for so long has gone, even if nobody says so.
_SILENT_PATIENCE_S = 10
# Opening gives up by itself after ten seconds; what takes longer hangs for ever.
_OPENING_PATIENCE_S = 20
# A model may be at work on a window, and a busy machine be slow to close a stream; what takes longer hangs for ever.
_LET_GO_PATIENCE_S = 5.0
# Seconds until a microphone that is not there is looked for again: soon at first, since plugs come loose.
_RETRY_S = (0.5, 1.0, 2.0, 5.0)


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
        absence: why there is no microphone now; empty when there is one.
        counting: of all that was heard.
        level: of all that was heard.
    """

    def __init__(self, running: Running, *, output: Output, clock: Clock, wake: Callable[[], None]) -> None:
        self.running = running
        self.absence = ""
        self.counting = Counting()
        self.level = LevelMeter()
        self._output = output
        self._clock = clock
        self._wake = wake
        self._hearing: Hearing | None = None
        self._opening: Opening | None = None
        self._opening_for = running
        self._opening_since_ns = 0
        self._change: Change | None = None
        self._announce: Announce | None = None
        self._heard_until_ns: int | None = None
        self._heard_s = 0.0
        self._attempts = 0
        self._retry_ns = 0

    @property
    def last(self) -> Prediction | None:
        """The newest prediction from the microphone that is open."""
        return self._hearing.worker.last if self._hearing else None

    @property
    def heard_s(self) -> float:
        """Seconds of audio heard in all."""
        return self._heard_s + (self._hearing.heard_s if self._hearing else 0.0)

    @property
    def worker_ns(self) -> int | None:
        """Monotonic time at which the inference worker last moved; None while there is none."""
        return self._hearing.worker.stepped_ns if self._hearing else None

    @property
    def next_look_ns(self) -> int | None:
        """When `step` has something to do, if nothing happens before."""
        return self._retry_ns if self._hearing is None and self._opening is None else None

    def begin(self, source: Source | None, absence: str) -> None:
        """Start with an open microphone, or with the reason why there is none."""
        if source is not None:
            self._listen(source)
        else:
            self._be_absent("device-absent", absence)

    def apply(self, change: Change) -> None:
        """Put something else in force; its ``outcome`` or ``error`` is set by a later `step`."""
        self._change = change
        if self._hearing is not None and not change.reopens:
            self.running = change.running
            self._announce_then(lambda heard, _: change.announce(heard.take_over.unheard if heard.take_over else 0))
            self._hearing.listener.replace(change.running.replacement)
        elif self._hearing is not None:
            self._let_go(_LET_GO_PATIENCE_S)
            self._open(change.running)
        elif self.absence:
            self.running = change.running
            self._settle(change, change.announce(0), "; there is no microphone at the moment")
            self._attempts, self._retry_ns = 0, self._clock.monotonic_ns()
        # Else the microphone of before is being opened again, after a change that was refused: this one comes next.

    def step(self) -> None:
        """Notice what has happened, and do what is due.

        Raises:
            SoundSystemError: only a new process can open a microphone again.
            Exception: whatever ended the inference worker, if it was not the microphone.
        """
        now_ns = self._clock.monotonic_ns()
        if self._hearing is not None:
            self._look_after(self._hearing, now_ns)
        elif self._opening is not None:
            self._look_at(self._opening, now_ns)
        elif now_ns >= self._retry_ns:
            self._open(self.running)

    def end(self) -> None:
        """Close everything."""
        if self._opening is not None:
            self._opening.abandon()
        if self._hearing is not None:
            with contextlib.suppress(SoundSystemError):  # whatever hangs, the process ends now anyway
                self._let_go(STOP_PATIENCE_S)

    def _look_after(self, hearing: Hearing, now_ns: int) -> None:
        if hearing.worker.done.is_set():
            error = hearing.worker.error
            if error is not None and not isinstance(error, DeviceError):
                raise error
            self._lose(str(error or f"{hearing.source.name}: the microphone has gone"))
        elif now_ns - hearing.alive_ns > _SILENT_PATIENCE_S * 1e9 and now_ns - hearing.worker.stepped_ns < 5e9:
            self._lose(f"{hearing.source.name}: has delivered nothing for {_SILENT_PATIENCE_S} s")

    def _look_at(self, opening: Opening, now_ns: int) -> None:
        if not opening.ended:
            if now_ns - self._opening_since_ns > _OPENING_PATIENCE_S * 1e9:
                forget_portaudio()
                raise SoundSystemError(f"the sound system has not answered for {_OPENING_PATIENCE_S} s")
            return
        self._opening = None
        change = self._change
        error = opening.error
        wanted = change.running if change else self.running
        if error is not None and (not isinstance(error, DeviceError) or isinstance(error, SoundSystemError)):
            raise error
        if self._opening_for is not wanted:
            opening.abandon()  # something else has been asked for meanwhile
            self._open(wanted)
            return
        if opening.source is not None:
            try:
                self._listen(opening.source, change.running if change else None)
                return
            except DeviceError as unsuitable:
                opening.source.close()
                error = unsuitable
        if change is not None:
            self._change, change.error = None, error
            self._open(self.running)
        else:
            self._be_absent("device-lost", str(error))

    def _listen(self, source: Source, running: Running | None = None) -> None:
        # What is about to be in force must be before the first prediction, which comes from another thread.
        change = self._change
        if change is not None:
            self._announce_then(lambda _, hearing: change.announce(self._missed(hearing)))
        elif self.absence:
            self._announce_then(lambda _, hearing: self._back(hearing))
        elif self._heard_until_ns is not None:
            self._announce_then(lambda _, hearing: self._reopened(hearing))
        self._hearing = Hearing(
            source,
            running or self.running,
            output=self._output,
            counting=self.counting,
            level=self.level,
            clock=self._clock,
            on_first=self._on_first,
            on_end=self._wake,
        )
        self.running = running or self.running
        self.absence, self._attempts = "", 0
        hop_s, config = self.running.asked_hop_s, self.running.settings.source
        self._output.status(listening(self._hearing.listener, hop_s, config, self._clock))
        self._hearing.start()

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

    def _back(self, hearing: Hearing) -> Status:
        missed, name = self._missed(hearing), hearing.source.name
        seconds = missed / hearing.source.sample_rate
        facts: Facts = {"source": name, "lost": missed, "lost_s": round(seconds, 3)}
        text = f" after {seconds:.1f} s ({missed} samples lost)" if missed else ""
        return Status("device-back", f"{name} is there{text}", self._clock.time_ns(), facts)

    def _reopened(self, hearing: Hearing) -> Status:
        missed = self._missed(hearing)
        message = f"lost {missed} samples while {hearing.source.name} was opened again"
        return Status("audio-lost", message, self._clock.time_ns(), {"lost": missed}, "warning")

    def _missed(self, hearing: Hearing) -> int:
        """Count the samples, at the new rate, that there would have been since the last one heard."""
        if self._heard_until_ns is None:
            return 0
        return max(0, hearing.began_ns - self._heard_until_ns) * hearing.source.sample_rate // 1_000_000_000

    def _lose(self, reason: str) -> None:
        # Said first: letting go of what is stuck may be the end of this process.
        self._be_absent("device-lost", reason)
        self._let_go(_LET_GO_PATIENCE_S)
        change = self._change
        if change is not None:
            self._settle(change, change.announce(0), "; and the microphone has gone")

    def _let_go(self, patience_s: float) -> None:
        hearing = self._hearing
        if hearing is None:
            return
        self._hearing = None
        give_up_ns = self._clock.monotonic_ns() + round(patience_s * 1e9)
        ended = hearing.end(patience_s)
        self._heard_s += hearing.heard_s
        if hearing.listener.captured_ns:
            self._heard_until_ns = hearing.listener.captured_ns
        while isinstance(hearing.source, MicrophoneSource) and hearing.source.stuck:
            if self._clock.monotonic_ns() < give_up_ns:
                self._clock.sleep(0.01)
                continue
            raise SoundSystemError(f"{hearing.source.name}: the sound system does not let go of it")
        if not ended:
            raise SoundSystemError(f"{hearing.source.name}: the inference worker does not end")

    def _open(self, running: Running) -> None:
        self._opening_since_ns = self._clock.monotonic_ns()
        self._opening_for = running
        sample_rate = running.classifier.spec.sample_rate
        self._opening = Opening(lambda: open_microphone(running.settings, sample_rate, self._clock), self._wake)

    def _be_absent(self, kind: str, reason: str) -> None:
        now_ns = self._clock.monotonic_ns()
        if not self.absence:
            message = f"{reason}; it is looked for again and again"
            self._output.status(Status(kind, message, self._clock.time_ns(), {"reason": reason}, "error"))
        self.absence = reason
        self._retry_ns = now_ns + round(_RETRY_S[min(self._attempts, len(_RETRY_S) - 1)] * 1e9)
        self._attempts += 1
