"""The main thread of the daemon: waits for signals, saved files and the other threads, and tells systemd how it goes.

It never waits for audio, for a model or for a device.
"""

import os
import signal
from collections.abc import Callable

from audiomon.audio.source import Source
from audiomon.clock import Clock
from audiomon.config.settings import Settings
from audiomon.outputs.journal import Journal
from audiomon.pipeline.output import Output
from audiomon.pipeline.prediction import Status
from audiomon.pipeline.statuses import period_summary, summary
from audiomon.service.hearing import Running
from audiomon.service.keeper import MicrophoneKeeper
from audiomon.service.notify import ServiceManager
from audiomon.service.reload_state import ReloadState, runtime_folder
from audiomon.service.reloading import Reloading
from audiomon.service.wakeups import Wakeups

_LOOK_ROUND_NS = 1_000_000_000
# systemd's status line; each one wakes process 1.
_STATUS_NS = 5_000_000_000
# The worker asks for samples about every second. One that has not for so long hangs in a model or an output.
_WORKER_PATIENCE_S = 10


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
        self._keeper = MicrophoneKeeper(running, output=output, clock=clock, wake=self._wakeups.wake)
        self._reloading = Reloading(
            self._keeper,
            load_settings=load_settings,
            output=output,
            state=ReloadState(os.getpid()),
            state_folder=runtime_folder(),
            clock=clock,
            on_applied=self._apply,
        )
        self._wakeups.watch(self._reloading.fd)
        self._apply(running.settings)
        self._began_ns = self._period_ns = clock.monotonic_ns()
        self._summed_up_s = 0.0
        self._told_status = ""
        self._told_status_ns = self._told_alive_ns = 0
        self._counted = (0, self._began_ns)
        self._reload_told = self._stall_told = False

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
            self._manager.tell(READY="1", STATUS=self._status_line())
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
        if now_ns - self._told_status_ns >= _STATUS_NS or self._reloading.problem not in self._told_status:
            self._tell_status(now_ns)
        watchdog_s = self._manager.watchdog_s
        if self._all_move(now_ns) and watchdog_s and now_ns - self._told_alive_ns >= watchdog_s * 1e9 / 4:
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
            self._manager.tell(READY="1", STATUS=self._status_line())

    def _tell_status(self, now_ns: int) -> None:
        self._told_status_ns = now_ns
        line = self._status_line()
        if line != self._told_status:
            self._told_status = line
            self._manager.tell(STATUS=line)

    def _status_line(self) -> str:
        """Write the one line that ``systemctl status`` shows."""
        refused = f"refused: {self._reloading.problem} · goes on as before · " if self._reloading.problem else ""
        return refused + (f"no microphone: {self._keeper.absence}" if self._keeper.absence else self._heard_line())

    def _heard_line(self) -> str:
        tally, last = self._keeper.counting.total, self._keeper.last
        gated = f" · {tally.gated} windows below the gate" if tally.gated else ""
        if last is None:
            return "listening" + gated
        before, before_ns = self._counted
        now_ns = self._clock.monotonic_ns()
        per_second = (tally.predictions - before) / max(1e-9, (now_ns - before_ns) / 1e9)
        if now_ns - before_ns >= _STATUS_NS:
            self._counted = (tally.predictions, now_ns)
        call_us = tally.inference_us.percentiles().p50
        return (
            f"{last.label} {last.score:.2f} · {per_second:.1f} predictions/s · {call_us:.0f} µs a call · "
            f"{tally.lost} samples lost{gated}"
        )

    def _all_move(self, now_ns: int) -> bool:
        """Say whether every stage does its work, or is known not to and being looked after; complain once if not."""
        worker_ns = self._keeper.worker_ns
        stalled = worker_ns is not None and now_ns - worker_ns > _WORKER_PATIENCE_S * 1e9
        if stalled and not self._stall_told:
            message = f"The inference worker has not moved for {_WORKER_PATIENCE_S} s; the watchdog is no longer fed"
            self._output.status(Status("stage-stalled", message, self._clock.time_ns(), severity="error"))
        self._stall_told = stalled
        return not stalled

    def _sum_up(self, journal: Journal, now_ns: int) -> None:
        period_s = (now_ns - self._period_ns) / 1e9
        self._period_ns = now_ns
        heard_s, self._summed_up_s = self._keeper.heard_s - self._summed_up_s, self._keeper.heard_s
        period = self._keeper.counting.take_period()
        journal.status(period_summary(period, heard_s, period_s, self._keeper.level.take_dbfs(), self._clock))

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
        self._wakeups.close()
