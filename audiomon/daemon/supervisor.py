"""The main thread of the daemon: waits for signals, saved files and the other threads, and tells systemd how it goes.

It never waits for audio, for a model or for a device.
"""

import dataclasses
import os
import signal
from collections.abc import Callable

from audiomon import __version__
from audiomon.audio.source import Source
from audiomon.clock import Clock
from audiomon.config.settings import Settings
from audiomon.daemon.hearing import Running
from audiomon.daemon.keeper import MicrophoneKeeper
from audiomon.daemon.reload import Reloading
from audiomon.daemon.reload_request import ReloadState
from audiomon.daemon.runtime_files import RuntimeFiles, runtime_folder
from audiomon.daemon.status_file import FILE, TELL_S, Standing
from audiomon.daemon.systemd import ServiceManager
from audiomon.daemon.wakeups import Wakeups
from audiomon.outputs.journal import Journal
from audiomon.pipeline.output import Output
from audiomon.pipeline.prediction import Status
from audiomon.pipeline.statuses import period_summary, summary

_LOOK_ROUND_NS = 1_000_000_000


class Supervisor:
    """See the module.

    Args:
        running: the settings and the model to begin with.
        load_settings: reads the configuration anew.
        output: gets everything.
        journal: the same, if it is the journal.
        reload_on_hangup: whether SIGHUP reloads; it ends the program otherwise.
        clock: times everything.
    """

    def __init__(
        self,
        running: Running,
        *,
        load_settings: Callable[[], Settings],
        output: Output,
        journal: Journal | None,
        reload_on_hangup: bool,
        clock: Clock,
    ) -> None:
        self._output = output
        self._journal = journal
        self._manager = ServiceManager()
        self._clock = clock
        self._reload_on_hangup = reload_on_hangup
        self._wakeups = Wakeups(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        self._files = RuntimeFiles(runtime_folder())
        self._keeper = MicrophoneKeeper(running, output=output, clock=clock, wake=self._wakeups.wake)
        self._reloading = Reloading(
            self._keeper,
            load_settings=load_settings,
            output=output,
            state=ReloadState(os.getpid()),
            files=self._files,
            clock=clock,
            on_applied=self._apply,
        )
        self._wakeups.watch(self._reloading.fd)
        self._apply(running.settings)
        self._began_ns = self._period_ns = clock.monotonic_ns()
        self._summed_up_s = 0.0
        self._told: Standing | None = None
        self._told_alive_ns = 0
        self._counted = (0, self._began_ns)
        self._reload_told = False
        self._unwritable_told = ""

    def run(self, source: Source | None, absence: str) -> None:
        """Listen until a signal says stop.

        Args:
            source: an open microphone, or None.
            absence: why there is none.

        Raises:
            AudiomonError: only a new process can go on.
        """
        ended_by = "an error"
        try:
            self._keeper.begin(source, absence)
            self._tell(READY="1")
            ended_by = self._loop()
        finally:
            self._manager.tell(STOPPING="1", STATUS="stopping")
            self._end(ended_by)

    def _loop(self) -> str:
        while True:
            signals = self._wakeups.wait((self._next_look_ns() - self._clock.monotonic_ns()) / 1e9)
            if signal.SIGHUP in signals and self._reload_on_hangup:
                self._reloading.ask()
                signals -= {signal.SIGHUP}
            if signals:
                return signal.Signals(min(signals)).name
            self._keeper.step()
            self._reloading.step()
            self._look_round()

    def _next_look_ns(self) -> int:
        looks = [self._clock.monotonic_ns() + _LOOK_ROUND_NS]
        looks += [look for look in (self._keeper.next_look_ns, self._reloading.next_look_ns) if look is not None]
        return min(looks)

    def _look_round(self) -> None:
        """Tell what is to be told by now."""
        now_ns = self._clock.monotonic_ns()
        self._tell_reload()
        if self._news(now_ns):
            self._tell()
        self._tell_whether_writable()
        # Stages that stand still the keeper starts again, or ends this process; only this thread is left to watch.
        watchdog_s = self._manager.watchdog_s
        if watchdog_s and now_ns - self._told_alive_ns >= watchdog_s * 1e9 / 4:
            self._told_alive_ns = now_ns
            self._manager.tell(WATCHDOG="1")
        if self._journal is not None:
            self._journal.flush()
            if self._summary_s and now_ns - self._period_ns >= self._summary_s * 1e9:
                self._sum_up(self._journal, now_ns)

    def _tell_reload(self) -> None:
        if self._reloading.busy and not self._reload_told:
            self._reload_told = True
            now_us = self._clock.monotonic_ns() // 1000
            self._manager.tell(RELOADING="1", MONOTONIC_USEC=str(now_us))
        elif self._reload_told and not self._reloading.busy:
            self._reload_told = False
            self._tell(READY="1")

    def _news(self, now_ns: int) -> bool:
        told, health = self._told, self._keeper.health
        if told is None or now_ns / 1e9 - told.at_s >= TELL_S:
            return True
        return (told.health, told.reason, told.refused) != (health.state, health.reason, self._reloading.problem)

    def _tell(self, **lines: str) -> None:
        """Tell systemd how it goes, besides these lines, and write it down for ``audiomon status``."""
        told, self._told = self._told, self._standing()
        if lines or told is None or told.line != self._told.line:
            self._manager.tell(**lines, STATUS=self._told.line)
        self._files.write(FILE, self._told)

    def _standing(self) -> Standing:
        keeper, now_ns = self._keeper, self._clock.monotonic_ns()
        health, tally, last = keeper.health, keeper.counting.total, keeper.last
        before, before_ns = self._counted
        if now_ns - before_ns >= TELL_S * 1e9:
            self._counted = (tally.predictions, now_ns)
        lag_ms, journal = tally.lag_ms.percentiles(), self._journal
        return Standing(
            pid=os.getpid(),
            version=__version__,
            at_s=now_ns / 1e9,
            up_s=round((now_ns - self._began_ns) / 1e9, 1),
            health=health.state,
            health_s=round((now_ns - health.since_ns) / 1e9, 1),
            reason=health.reason,
            microphone=keeper.microphone,
            model=keeper.running.classifier.package.manifest.name,
            config=keeper.running.settings.source,
            refused=self._reloading.problem,
            label=last.label if last else "",
            score=round(last.score, 3) if last else 0.0,
            per_s=round((tally.predictions - before) / max(1e-9, (now_ns - before_ns) / 1e9), 2),
            predictions=tally.predictions,
            inference_us=round(tally.inference_us.percentiles().p50, 1),
            lag_ms=round(lag_ms.p50, 1),
            lag_ms_p99=round(lag_ms.p99, 1),
            peak_dbfs=keeper.span.peak_dbfs,
            classified=tally.classified,
            shed=tally.shed,
            lost=tally.lost,
            left_over=tally.left_over,
            windows_shed=tally.windows_shed,
            gated=tally.gated,
            undelivered=tally.undelivered,
            entries_waiting=journal.waiting if journal else 0,
            entries_lost=journal.lost if journal else 0,
            stage_failures=keeper.failures.count,
        )

    def _tell_whether_writable(self) -> None:
        problem = self._files.problem
        if problem == self._unwritable_told:
            return
        self._unwritable_told = problem
        message = f"{problem}; it goes on, but `audiomon status` and `audiomon reload` do not see how"
        self._output.status(
            Status("unwritable", message, self._clock.time_ns(), {"reason": problem}, "warning")
            if problem
            else Status("writable", "The runtime folder can be written again", self._clock.time_ns())
        )

    def _sum_up(self, journal: Journal, now_ns: int) -> None:
        period_s = (now_ns - self._period_ns) / 1e9
        self._period_ns = now_ns
        heard_s, self._summed_up_s = self._keeper.heard_s - self._summed_up_s, self._keeper.heard_s
        period = self._keeper.counting.take_period()
        status = period_summary(period, heard_s, period_s, self._keeper.level.take_dbfs(), self._clock)
        health = self._keeper.health.state
        journal.status(dataclasses.replace(status, facts={**status.facts, "health": health}))

    def _apply(self, settings: Settings) -> None:
        """Take over what concerns neither the microphone nor the model."""
        self._summary_s = settings.config.journal.summary_s
        if self._journal is not None:
            self._journal.select(settings.config.journal.predictions, settings.config.journal.scores)

    def _end(self, ended_by: str) -> None:
        self._reloading.end()
        self._keeper.end()
        now_ns = self._clock.monotonic_ns()
        elapsed_s = (now_ns - self._began_ns) / 1e9
        total = summary(self._keeper.counting.total, self._keeper.heard_s, elapsed_s, self._clock)
        if self._journal is None:
            self._output.status(total)
        else:
            self._sum_up(self._journal, now_ns)
            message = f"Stopped by {ended_by}: {total.message}"
            self._journal.status(Status("stopped", message, self._clock.time_ns(), {"by": ended_by, **total.facts}))
            self._journal.flush()
        self._files.remove(FILE)
        self._wakeups.close()
