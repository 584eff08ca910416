"""The main thread of the daemon: waits for signals, saved files and the other threads, and keeps systemd informed.

It owns the sessions and the reloading, and never waits for audio, for a model, for a device or for an output.
"""

import os
import signal
from collections.abc import Callable

import msgspec

from audiomon import __version__
from audiomon.audio.level import Span
from audiomon.audio.source import LiveSource
from audiomon.clock import Clock
from audiomon.config.settings import Settings
from audiomon.daemon import messages
from audiomon.daemon.model_record import FILE as RECORD
from audiomon.daemon.model_record import ModelRecord, record_of
from audiomon.daemon.opening import OpenSource
from audiomon.daemon.reload import Reloading
from audiomon.daemon.reload_request import ReloadState
from audiomon.daemon.running import Running
from audiomon.daemon.sessions import Sessions
from audiomon.daemon.wakeups import Wakeups
from audiomon.errors import StageError
from audiomon.outputs.clip_handover import ClipHandover
from audiomon.outputs.live import Fanout
from audiomon.outputs.observations import Level, ModelInForce
from audiomon.outputs.snapshot import FILE, WRITE_S, Snapshot
from audiomon.pipeline.prediction import Audience, Status, StatusKind
from audiomon.pipeline.statuses import period_summary, summary
from audiomon.runtime_files import RuntimeFiles, runtime_folder
from audiomon.systemd import ServiceManager

_WRITE_NS = round(WRITE_S * 1e9)
# How soon an output that has not written everything tries again.
_FLUSH_NS = 1_000_000_000


class Supervisor:
    """Runs the daemon: sessions, reloading, periodic summaries, and what systemd and other commands want to know.

    Args:
        running: the settings and the model to begin with.
        load_settings: reads the configuration again.
        open_source: opens what settings name.
        output: gets everything.
        manager: is kept informed.
        failed: packages that failed in the process before, by the digest of their files, and what they did.
        problem: why the configuration is not in force as it is saved.
        reload_on_hangup: whether SIGHUP reloads; it ends the program otherwise.
        clock: times everything.
        clips: hands the sound of events over, if there is somebody to take it.
    """

    def __init__(
        self,
        running: Running,
        *,
        load_settings: Callable[[], Settings],
        open_source: OpenSource,
        output: Fanout,
        manager: ServiceManager,
        failed: dict[str, str],
        problem: str,
        reload_on_hangup: bool,
        clock: Clock,
        clips: ClipHandover | None = None,
    ) -> None:
        self._output = output
        self._clips = clips
        self._manager = manager
        self._clock = clock
        self._reload_on_hangup = reload_on_hangup
        self._wakeups = Wakeups(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        self._files = RuntimeFiles(runtime_folder())
        self._sessions = Sessions(
            running,
            open_source=open_source,
            output=output,
            clock=clock,
            wake=self._wakeups.wake,
            columns=output,
            clips=clips,
        )
        self._reloading = Reloading(
            self._sessions,
            load_settings=load_settings,
            output=output,
            state=ReloadState(os.getpid()),
            files=self._files,
            clock=clock,
            on_applied=self._apply,
            failed=failed,
            problem=problem,
        )
        for fd in (self._reloading.fd, *output.fds):
            self._wakeups.watch(fd)
        self._apply(running.settings)
        self._began_ns = self._period_ns = clock.monotonic_ns()
        self._summed_up_s = 0.0
        self._written: Snapshot | None = None
        self._reported = running
        self._shown: tuple[Running | None, Span | None] = (None, None)
        self._written_ns = self._flushed_ns = self._alive_ns = 0
        self._alive_every_ns = round((manager.watchdog_s or 0) * 1e9 / 4)
        self._counted = (0, self._began_ns)
        self._reload_reported = False
        self._unwritable = ""
        self._record: ModelRecord | None = None

    def run(self, source: LiveSource | None, absence: str) -> None:
        """Listen until a signal says stop.

        Args:
            source: an open microphone, or None.
            absence: why there is none.

        Raises:
            AudiomonError: only a new process can go on.
        """
        ended_by = "an error"
        try:
            self._sessions.begin(source, absence)
            self._report(READY="1")
            ended_by = self._loop()
            self._files.remove(RECORD)  # it ends in order; after an error the next process has to know
        finally:
            self._manager.tell(STOPPING="1")
            self._end(ended_by)

    def _loop(self) -> str:
        while True:
            signals = self._wakeups.wait((self._next_look_ns() - self._clock.monotonic_ns()) / 1e9)
            if signal.SIGHUP in signals and self._reload_on_hangup:
                self._reloading.ask()
                signals -= {signal.SIGHUP}
            if signals:
                return signal.Signals(min(signals)).name
            if self._output.gone:
                return "the end of its output"
            self._sessions.step()
            self._reloading.step()
            self._look_after_left_behind()
            self._look_round()

    def _next_look_ns(self) -> int:
        """When something is due, if nothing happens before."""
        looks = [self._sessions.next_look_ns, self._reloading.next_look_ns]
        looks.append(self._written_ns + _WRITE_NS)
        if self._summary_s:
            looks.append(self._period_ns + round(self._summary_s * 1e9))
        if self._manager.watchdog_s:
            looks.append(self._alive_ns + self._alive_every_ns)
        if self._output.waiting:
            looks.append(self._flushed_ns + _FLUSH_NS)
        return min(look for look in looks if look is not None)

    def _look_round(self) -> None:
        """Report what is due by now."""
        now_ns = self._clock.monotonic_ns()
        self._report_reload()
        if self._news(now_ns):
            self._report()
        self._keep_record()
        self._report_whether_writable()
        self._show_observations()
        self._report_clips()
        # Stages that have stopped are restarted by the sessions, or end this process; this thread is left to watch.
        if self._manager.watchdog_s and now_ns - self._alive_ns >= self._alive_every_ns:
            self._alive_ns = now_ns
            self._manager.tell(WATCHDOG="1")
        self._flushed_ns = now_ns
        self._output.flush()
        if self._summary_s and now_ns - self._period_ns >= self._summary_s * 1e9:
            self._sum_up(now_ns)

    def _look_after_left_behind(self) -> None:
        """End where a model that was left behind computes without end, if a process that knows of it follows."""
        if not self._sessions.left_behind.finds_one_that_computes():
            return
        what = "was left inside a call that computes without end"
        starts_over = self._manager.is_there and self._files.kept
        what_now = "a new process follows" if starts_over else "it has a core until this process ends"
        self._output.status(messages.stage_failed("inference", what, what_now, self._clock))
        if starts_over:
            raise StageError(f"the inference stage {what}")

    def _keep_record(self) -> None:
        """Have what runs on file for the next process."""
        record = record_of(self._sessions.running, self._sessions.proven_before, self._reloading.failed)
        if record != self._record:
            self._record = record
            self._files.write(RECORD, record)

    def _report_reload(self) -> None:
        if self._reloading.busy and not self._reload_reported:
            self._reload_reported = True
            now_us = self._clock.monotonic_ns() // 1000
            self._manager.tell(RELOADING="1", MONOTONIC_USEC=str(now_us))
        elif self._reload_reported and not self._reloading.busy:
            self._reload_reported = False
            self._report(READY="1")

    def _news(self, now_ns: int) -> bool:
        written, health = self._written, self._sessions.health
        if written is None or now_ns - self._written_ns >= _WRITE_NS or self._sessions.running is not self._reported:
            return True
        return (written.health, written.reason, written.refused) != (
            health.state,
            health.reason,
            self._reloading.problem,
        )

    def _report(self, **lines: str) -> None:
        """Send systemd the status line, besides these lines, and write the snapshot for ``audiomon status``."""
        before, self._written = self._written, self._snapshot()
        self._written_ns = self._clock.monotonic_ns()
        self._reported = self._sessions.running
        if lines:
            self._manager.tell(**lines)  # alone: it must arrive whatever the status line quotes
        if lines or before is None or before.line != self._written.line:
            self._manager.tell(STATUS=self._written.line)
        self._files.write(FILE, self._written)
        self._output.observe(self._written)

    def _snapshot(self) -> Snapshot:
        sessions, now_ns = self._sessions, self._clock.monotonic_ns()
        health, tally = sessions.health, sessions.counting.total
        last = sessions.last if health.hears else None
        before, before_ns = self._counted
        if now_ns - before_ns >= _WRITE_NS:
            self._counted = (tally.predictions, now_ns)
        lag_ms = tally.lag_ms.percentiles()
        return Snapshot(
            pid=os.getpid(),
            version=__version__,
            at_s=now_ns / 1e9,
            up_s=round((now_ns - self._began_ns) / 1e9, 1),
            health=health.state,
            health_s=round((now_ns - health.since_ns) / 1e9, 1),
            reason=health.reason,
            microphone=sessions.source_name,
            model=sessions.running.model,
            model_sha256=sessions.running.classifier.package.fingerprint,
            config=sessions.running.settings.source,
            refused=self._reloading.problem,
            label=last.label if last else "",
            score=round(last.score, 3) if last else 0.0,
            per_s=round((tally.predictions - before) / max(1e-9, (now_ns - before_ns) / 1e9), 2),
            predictions=tally.predictions,
            inference_us=round(tally.inference_us.percentiles().p50, 1),
            lag_ms=round(lag_ms.p50, 1),
            lag_ms_p99=round(lag_ms.p99, 1),
            peak_dbfs=sessions.span.peak_dbfs,
            classified=tally.classified,
            shed=tally.shed,
            lost=tally.lost,
            left_over=tally.left_over,
            windows_shed=tally.windows_shed,
            gated=tally.gated,
            undelivered=tally.undelivered,
            away=tally.away,
            reopened=tally.reopened,
            entries_waiting=self._output.waiting,
            entries_lost=self._output.lost,
            stage_failures=sessions.failures.count,
            clips=None if self._clips is None else self._clips.counts,
        )

    def _show_observations(self) -> None:
        """Show the outputs what they do not hear of otherwise, when it has changed."""
        (running, span), now = self._shown, (self._sessions.running, self._sessions.span)
        self._shown = now
        if now[0] is not running:
            package = now[0].classifier.package
            self._output.observe(ModelInForce(now[0].model, package.fingerprint, now[0].rules.thresholds))
        rms_dbfs, peak_dbfs = now[1].rms_dbfs, now[1].peak_dbfs
        if now[1] is not span and rms_dbfs is not None and peak_dbfs is not None:
            self._output.observe(Level(rms_dbfs, peak_dbfs))

    def _report_clips(self) -> None:
        for status in self._clips.take_statuses() if self._clips is not None else ():
            self._output.status(status)

    def _report_whether_writable(self) -> None:
        problem = self._files.problem
        if problem == self._unwritable:
            return
        self._unwritable = problem
        message = f"{problem}. Listening goes on; `audiomon status` and `audiomon reload` cannot see it."
        self._output.status(
            Status(StatusKind.UNWRITABLE, message, self._clock.time_ns(), {"reason": problem}, "warning")
            if problem
            else Status(StatusKind.WRITABLE, "The runtime folder can be written again", self._clock.time_ns())
        )

    def _sum_up(self, now_ns: int) -> None:
        period_s = (now_ns - self._period_ns) / 1e9
        self._period_ns = now_ns
        heard_s, self._summed_up_s = self._sessions.heard_s - self._summed_up_s, self._sessions.heard_s
        period = self._sessions.counting.take_period()
        status = period_summary(period, heard_s, period_s, self._sessions.level.take_dbfs(), self._clock)
        package = self._sessions.running.classifier.package
        facts = {
            **status.facts,
            "health": self._sessions.health.state,
            "model": package.manifest.name,
            "model_sha256": package.fingerprint,
        }
        self._output.status(msgspec.structs.replace(status, facts=facts, audience=Audience.LOG))

    def _apply(self, settings: Settings) -> None:
        """Take over what concerns neither the microphone nor the model."""
        self._summary_s = settings.config.journal.summary_s
        self._output.configure(settings.config)
        no_clips = messages.clips_off(self._sessions.running.clip_rules, self._clips is not None, self._clock)
        if no_clips is not None:
            self._output.status(no_clips)

    def _end(self, ended_by: str) -> None:
        self._reloading.end()
        self._sessions.end()
        if self._clips is not None:
            self._clips.close()
            self._report_clips()
        now_ns = self._clock.monotonic_ns()
        elapsed_s = (now_ns - self._began_ns) / 1e9
        total = summary(self._sessions.counting.total, self._sessions.heard_s, elapsed_s, self._clock)
        self._output.status(msgspec.structs.replace(total, audience=Audience.SCREEN))
        self._sum_up(now_ns)
        message, facts = f"Stopped by {ended_by}: {total.message}", {"by": ended_by, **total.facts}
        stopped = Status(StatusKind.STOPPED, message, self._clock.time_ns(), facts, audience=Audience.LOG)
        self._output.status(stopped)
        self._output.flush()
        self._files.remove(FILE)
        self._wakeups.close()
