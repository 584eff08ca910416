"""Keeps a source open and listened to: one session after the other, for as long as it takes.

Owned and stepped by one thread, which it never holds up. Other threads reach it by its inbox alone. In what state
capture is, and what is due when, `CaptureHealth` knows; this does what follows from it.
"""

import functools
from collections.abc import Callable

import msgspec

from audiomon.audio.level import LevelMeter, Span
from audiomon.audio.microphone import forget_portaudio
from audiomon.audio.source import LiveSource
from audiomon.clock import Clock
from audiomon.daemon import messages
from audiomon.daemon.change import Change, PendingChange, Reversion
from audiomon.daemon.continuity import Continuity
from audiomon.daemon.health import CaptureHealth, Stall
from audiomon.daemon.inbox import Inbox, Message, OpeningEnded, TookOver, WorkerEnded
from audiomon.daemon.left_behind import LeftBehind
from audiomon.daemon.opening import Opening, OpenSource
from audiomon.daemon.running import Running
from audiomon.daemon.session import Session
from audiomon.daemon.stage_failures import StageFailures
from audiomon.daemon.trial import Trial
from audiomon.errors import (
    CaptureError,
    DeviceError,
    ModelError,
    OtherDeviceError,
    SoundSystemError,
)
from audiomon.pipeline.clips import ClipSink
from audiomon.pipeline.columns import ColumnSink
from audiomon.pipeline.listener import Announce, TakeOver, announce_nothing
from audiomon.pipeline.losses import Losses
from audiomon.pipeline.output import Output
from audiomon.pipeline.prediction import Prediction
from audiomon.pipeline.statuses import listening
from audiomon.pipeline.tally import Counting

# The worker asks for samples about every second. One that has not for this long hangs in a model.
WORKER_STALLED_S = 10.0
_WORKER_LATE_S = 5.0
_WORKER_AWAKE_S = 2.0
# Samples are checked for whether they can be sound at a look, about a second after the one before.
_SOUND_NS = 600_000_000


class _Closing(msgspec.Struct, frozen=True):
    """A source that has been closed and is not released yet."""

    source: LiveSource


class Sessions:
    """Opens sources and listens to them, one at a time; notices when one is gone, and opens the next.

    Args:
        running: what is in force at first.
        open_source: opens what settings name; called in a thread of its own.
        output: gets what is heard, and what happens to the source.
        clock: times everything.
        wake: called, from any thread, when `step` has something to do.
        columns: gets what there is to look at, if given.
        clips: gets the sound of events, if given.

    Attributes:
        health: of capture.
        counting: of all that was heard.
        level: of all that was heard.
        span: what the samples of about the last second were like.
        failures: of stages that should not fail.
        left_behind: workers that hang.
        reversion: why the model that was asked for is not in force; `Reloading` takes it.
    """

    def __init__(
        self,
        running: Running,
        *,
        open_source: OpenSource,
        output: Output,
        clock: Clock,
        wake: Callable[[], None],
        columns: ColumnSink | None = None,
        clips: ClipSink | None = None,
    ) -> None:
        self.health = CaptureHealth(clock.monotonic_ns())
        self.counting = Counting()
        self.level = LevelMeter()
        self.span = Span()
        self.failures = StageFailures(output, clock)
        self.reversion: Reversion | None = None
        self._open_source = open_source
        self._output = output
        self._clock = clock
        self._inbox = Inbox(wake)
        self._session = functools.partial(
            Session,
            output=output,
            counting=self.counting,
            level=self.level,
            clock=clock,
            post=self._inbox.post,
            columns=columns,
            clips=clips,
        )
        # What takes up the sound system: one thing at a time.
        self._held: Session | Opening | _Closing | None = None
        self._worker_stall = Stall(_WORKER_LATE_S, WORKER_STALLED_S, _WORKER_AWAKE_S)
        self._trial = Trial(running, clock)
        self.left_behind = LeftBehind(clock)
        self._fresh_model = False
        self._sound_looked_ns = 0
        self._ended_heard_s = 0.0
        self._pending = PendingChange()
        self._continuity = Continuity()

    @property
    def running(self) -> Running:
        """What is in force."""
        return self._trial.running

    @property
    def last(self) -> Prediction | None:
        """The newest prediction from the source that is open."""
        return self._held.worker.last if isinstance(self._held, Session) else None

    @property
    def source_name(self) -> str:
        """Name of the source that is open; empty when there is none."""
        return self._held.source.name if isinstance(self._held, Session) else ""

    @property
    def heard_s(self) -> float:
        """Seconds of audio heard in all."""
        return self._ended_heard_s + (self._held.heard_s if isinstance(self._held, Session) else 0.0)

    @property
    def proven_before(self) -> Running | None:
        """See `Trial.proven_before`."""
        return self._trial.proven_before

    @property
    def next_look_ns(self) -> int | None:
        """When `step` has something to do, if nothing happens before."""
        return self.health.due_ns

    def begin(self, source: LiveSource | None, absence: str) -> None:
        """Start with an open source, or with the reason why there is none."""
        if source is not None:
            self._listen(source, self.running)
        else:
            self._note_gone(absence)

    def apply(self, change: Change) -> None:
        """Put something else in force; its ``outcome`` or ``error`` is set by a later `step`, or here."""
        self._pending.change = change
        if isinstance(self._held, Session) and not change.reopens and self._held.can_hear_for(change.running):
            self._trial.adopt(change.running)
            self._held.replace(change.running, self._pending.announced_after(messages.Gap(), announce_nothing))
        elif isinstance(self._held, Session):
            self._close(self._held)
            self._open_next()
        elif self._continuity.gone_reported:
            self._trial.adopt(change.running)
            self._settle_unheard("; there is no microphone at the moment")
            if self._held is None:
                self.health.retry_now(self._clock.monotonic_ns())
        # Else a source is being opened or released after another change; this one comes next.

    def step(self) -> None:
        """Take in what other threads report, notice what has happened, and do what is due.

        Raises:
            SoundSystemError: only a new process can open a source again.
            StageError: a stage has failed three times within a minute.
        """
        while (message := self._inbox.take()) is not None:
            self._receive(message)
        now_ns = self._clock.monotonic_ns()
        match self._held:
            case Session() as session:
                self._look_after(session, now_ns)
            case Opening():
                if self.health.overdue(now_ns):
                    forget_portaudio()
                    raise SoundSystemError("opening the microphone hangs; is the sound server stuck?")
            case _Closing(source):
                self._look_whether_released(source, now_ns)
            case None:
                if now_ns >= (self.health.due_ns or 0):
                    self._open_next()

    def end(self) -> None:
        """Close everything."""
        held = self._held
        if isinstance(held, Opening):
            held.abandon()
        elif isinstance(held, Session):
            self._close(held)
        while (message := self._inbox.take()) is not None:
            if isinstance(message, OpeningEnded) and message.source is not None:
                message.source.close()

    def _receive(self, message: Message) -> None:
        """Take in a message; what a past session reports changes nothing."""
        match message:
            case TookOver(session) if session is self._held:
                self._note_take_over(session, message.take_over)
            case WorkerEnded(session, error) if session is self._held:
                self._note_worker_end(session, error)
            case OpeningEnded(opening) if opening is self._held:
                self._held = None
                self._note_opening(message)
            case _:
                pass

    def _note_take_over(self, session: Session, take_over: TakeOver) -> None:
        """Note what the first window of a replacement proves: the source is heard, and what was announced holds."""
        if not self.health.hears:
            self.health.delivers(self._clock.monotonic_ns())
        self._continuity.heard(self.running.settings.config.microphone.device, session.source.identity)
        self._note_first(take_over)

    def _note_first(self, take_over: TakeOver) -> None:
        self.counting.add_missed(self._continuity.missed(take_over.first))
        if self._pending.is_announced_by(take_over.replacement.announce):
            self._pending.hold(take_over.statuses[-1].message)
        self._trial.note_heard(take_over.replacement.classifier)

    def _note_worker_end(self, session: Session, error: Exception | None) -> None:
        if error is not None and not isinstance(error, DeviceError):
            self._recover(session, f"raised {type(error).__name__}: {error}")
            return
        if isinstance(error, CaptureError):
            self.failures.note("capture", f"failed: {error}")
        self._lose(session, str(error or f"{session.source.name}: the microphone is gone"))

    def _note_opening(self, message: OpeningEnded) -> None:
        error, source, running = message.error, message.source, message.running
        if isinstance(error, SoundSystemError):
            raise error
        self._fresh_model = self._fresh_model and source is None
        if not running.has_settings_of(self._wanted):
            # Something else has been asked for meanwhile.
            if source is not None:
                self._release(source)
            self._open_next()
            return
        if source is not None:
            error = self._unsuitable(source, running)
            if error is None:
                return
        changing = self._pending.change is not None
        if isinstance(error, OtherDeviceError) and not changing and self._continuity.first_report_of_other():
            self._output.status(messages.device_other(str(error), self._clock))
        if not isinstance(error, DeviceError):
            self.failures.note("opening", f"raised {type(error).__name__}: {error}")
        elif changing:
            self._pending.refuse(error)
            self._open_next()
            return
        self._note_gone(str(error))

    def _unsuitable(self, source: LiveSource, running: Running) -> DeviceError | None:
        """Listen to a source that has just been opened; release it and return the reason if it cannot be."""
        try:
            self._listen(source, running)
        except DeviceError as error:
            self._release(source)
            return error
        return None

    def _look_after(self, session: Session, now_ns: int) -> None:
        name = session.source.name
        if not self.health.hears and session.delivers:
            self.health.delivers(now_ns)
        if self._worker_stall.stalled(now_ns, session.worker.stepped_ns):
            self._recover(session, f"has not moved for {WORKER_STALLED_S:g} s")
        elif self.health.stalled(now_ns, session.newest_ns, session.source.due_ns):
            self._lose(session, f"{name}: has delivered nothing for {(now_ns - session.newest_ns) / 1e9:.1f} s")
        elif now_ns - self._sound_looked_ns >= _SOUND_NS:
            self._sound_looked_ns = now_ns
            self.span = self.level.take_span()
            if self.health.hears and self.health.sounds(now_ns, self.span):
                self._output.status(messages.sound(session.source, self.health, self._clock))
            for missing in session.source.take_missing():
                self.counting.add_undelivered(missing.samples)
                self._output.status(messages.undelivered(session.source, missing, self._clock))

    def _look_whether_released(self, source: LiveSource, now_ns: int) -> None:
        if source.released:
            self._held = None
            self.health.gone(now_ns, self.health.reason)
            self.health.retry_now(now_ns)
        elif self.health.overdue(now_ns):
            raise SoundSystemError(f"{source.name}: the sound system does not release it")

    @property
    def _wanted(self) -> Running:
        return self._pending.change.running if self._pending.change else self.running

    def _open_next(self) -> None:
        """Open what is wanted, unless something is held that has to be released first."""
        if self._held is not None:
            return
        self.health.opening(self._clock.monotonic_ns())
        wanted = self._wanted
        self._held = Opening(
            wanted,
            self._open_source,
            self._continuity.heard_for(wanted.settings.config.microphone.device),
            self._inbox.post,
            fresh_model=self._fresh_model,
        )

    def _listen(self, source: LiveSource, running: Running) -> None:
        """Begin a session with a source that has just been opened."""
        session = self._session(source, running)
        gap = self._continuity.gap
        reopened = messages.Interrupted("while it was reopened", gap, self._clock)
        self._start(session, running, reopened if gap.since_ns is not None else announce_nothing)
        self.health.opened(self._clock.monotonic_ns())

    def _listen_on(self, session: Session) -> None:
        """Listen to the same stream with another worker, since the one that did has failed.

        Raises:
            DeviceError: the source cannot give what the model needs.
        """
        again = self._session(session.source, self.running, accounts=session.listener.accounts)
        for event in session.listener.switch_off():
            self._output.event(event)
        restarted = messages.Interrupted("while the inference stage was restarted", self._continuity.gap, self._clock)
        self._start(again, self.running, restarted)

    def _start(self, session: Session, running: Running, announce: Announce) -> None:
        """Start a session, which announces the change that waits for one, or else this."""
        self._worker_stall.restart()
        self._continuity.begin()
        self._held = session
        self._trial.adopt(running)
        gap = self._continuity.gap
        status = listening(session.listener, running.asked_hop_s, running.settings.source, self._clock)
        if self._continuity.gone_reported and self._pending.change is None:
            # One that was reported gone is believed to be back with its first window, however often it is opened.
            announce = messages.Back(gap, self._continuity.other_than(session.source.identity), status, self._clock)
        else:
            self._output.status(status)
        session.start(running, self._pending.announced_after(gap, announce))

    def _recover(self, session: Session, what: str) -> None:
        """Go on after the inference stage has failed: with the model of before if there is one, else once more."""
        failed = self.running
        fallback = self._trial.go_back()
        if fallback is None:
            self.failures.note("inference", what)
        else:
            self._report_reversion(failed, fallback, what)
        if session.worker.done.is_set():
            try:
                self._listen_on(session)
                return
            except DeviceError:
                pass  # what is in force again needs another stream
        self._close(session)
        if fallback is not None:
            self._fresh_model = False  # the copy that a hanging worker keeps is the other model's
        self._open_next()

    def _report_reversion(self, failed: Running, fallback: Running, what: str) -> None:
        package = failed.classifier.package
        reason = f"the model {failed.model} {what}"
        self.failures.count += 1
        self.reversion = Reversion(package.digest, reason)
        self._output.status(
            messages.model_reverted(failed.model, package.fingerprint, reason, fallback.classifier.package, self._clock)
        )
        self._pending.refuse(ModelError(reason))

    def _lose(self, session: Session, reason: str) -> None:
        # Reported first: closing takes a moment.
        self._note_gone(reason)
        self._close(session)
        self._settle_unheard("; and the microphone is gone")

    def _note_gone(self, reason: str) -> None:
        self.health.gone(self._clock.monotonic_ns(), reason)
        if self._continuity.first_report_of_gone():
            self._output.status(messages.device_gone(self.health, self._clock))

    def _close(self, session: Session) -> None:
        """End a session, and release its source; turn off what is on."""
        self._held = None
        # A worker that is left behind keeps its copy of the model.
        if not session.stop():
            self._fresh_model = True
            self.left_behind.leave(session.worker)
        for event in session.listener.switch_off():
            self._output.event(event)
        self._ended_heard_s += session.heard_s
        # It may have announced something just before it was stopped.
        while (message := self._inbox.take()) is not None:
            if isinstance(message, TookOver) and message.session is session:
                self._note_first(message.take_over)
        self._continuity.end(session.listener.captured_ns)
        self._note_whether_released(session.source)

    def _release(self, source: LiveSource) -> None:
        """Close a source that was opened and is of no use."""
        source.close()
        self._note_whether_released(source)

    def _note_whether_released(self, source: LiveSource) -> None:
        if not source.released:  # it may be at any time
            self._held = _Closing(source)
            reason = self.health.reason or f"{source.name}: the sound system does not release it"
            self.health.stuck(self._clock.monotonic_ns(), reason)

    def _settle_unheard(self, note: str) -> None:
        """Announce the change that waits for a window, though none will come."""
        if (change := self._pending.change) is not None:
            status = change.status(Losses())
            self._output.status(status)
            self._pending.hold(status.message + note)
