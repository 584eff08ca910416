"""A day of listening in a minute, with faults: ``python -m tests.soak --hours 24 --seed 1``.

Everything between PortAudio and journald is the daemon's own, and in threads as there: capture, ring, windows, model,
decisions, journal, and what keeps the microphone open. Simulated are the clock, the microphone, and what goes wrong.
Prints one JSON object; what must hold, `tests.soak.test_soak` says.
"""

import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any
from unittest import mock

import click
import msgspec

from audiomon.config import Config, Decisions, Microphone, decision_rules
from audiomon.config.settings import Settings
from audiomon.daemon.change import Change
from audiomon.daemon.opening import open_microphone
from audiomon.daemon.running import Running
from audiomon.daemon.sessions import Sessions
from audiomon.models.classifier import Classifier
from audiomon.models.importing.write import write_package
from audiomon.models.interpreter import installed_backends
from audiomon.models.package import read_package
from audiomon.outputs.journal import Journal
from audiomon.outputs.journal_socket import JournalSocket
from audiomon.pipeline.losses import Losses
from audiomon.pipeline.prediction import Status, StatusKind
from audiomon.pipeline.statuses import period_summary
from tests.models.tiny import LOG_MEL, content, manifest
from tests.outputs.journald import Journald
from tests.soak.schedule import Fault, Injector, schedule
from tests.soak.simulated_clock import SimulatedClock
from tests.soak.simulated_portaudio import RATE, SimulatedPortAudio

_HOP_S = 1.28
_LOOK_S = 1.0
# Less than a model is held up for at the most, so that something is lost.
_RING_S = 6.0
_SUMMARY_S = 60.0


class _DawdlingClassifier(Classifier):
    """A model that can be made to take its time."""

    clock: SimulatedClock
    dawdles_s = 0.0
    held_up_s = 0.0

    def scores(self, window: Any) -> Any:
        held_up_s, self.held_up_s = self.held_up_s, 0.0
        if held_up_s or self.dawdles_s:
            self.clock.sleep(held_up_s or self.dawdles_s)
        return super().scores(window)


class _Soak:
    def __init__(self, folder: Path, hours: float, seed: int) -> None:
        self.clock = SimulatedClock()
        self.portaudio = SimulatedPortAudio(self.clock)
        self.length_s = hours * 3600
        self._journald = Journald(folder / "journald")
        self._reads = True
        self._short_stalls = 0
        self.received: dict[str, int] = {}
        self.journal = Journal(JournalSocket(self._journald.path), "soak")
        spec = msgspec.structs.replace(LOG_MEL, sample_rate=RATE, hop_length=512)
        write_package(folder / "soak", content("float32"), msgspec.structs.replace(manifest(), input=spec), "# Soak\n")
        self._package = read_package(folder / "soak")
        self._models = [self._running(hop_s) for hop_s in (_HOP_S, _HOP_S, 2.56)]
        self._now_running = 0
        self._condition = threading.Condition()
        self._woken = False
        self.sessions = Sessions(
            self._models[0],
            open_source=lambda settings, rate, before: open_microphone(settings, rate, self.clock, before),
            output=self.journal,
            clock=self.clock,
            wake=self._wake,
        )
        self.injector = Injector(
            schedule(seed, self.length_s),
            {
                "unplugged": (lambda _: self.portaudio.unplug(), self.portaudio.plug),
                "stalled": (self._stall, self.portaudio.go_on),
                "dawdling model": (lambda _: self._dawdle(4.0), lambda: self._dawdle(0.0)),
                "held up once": (lambda fault: self._hold_up(fault.end_s - fault.begin_s), lambda: None),
                "process stopped": (lambda f: self.clock.stop_everything(f.end_s - f.begin_s), lambda: None),
                "clock set": (lambda f: self.clock.step_system_clock(f.begin_s % 7200 - 3600), lambda: None),
                "suspended": (lambda _: self._suspend(), self.portaudio.plug),
                "journald silent": (lambda _: self._read(False), lambda: self._read(True)),
                "model replaced": (lambda _: self._replace(), lambda: None),
            },
        )
        # By the machine's own clock, and not counted: it is another process in the real world.
        threading.Thread(target=self._read_journal, daemon=True).start()

    def run(self) -> dict[str, Any]:
        held: list[dict[str, int]] = []
        with mock.patch.dict(sys.modules, {"sounddevice": self.portaudio}), self.clock.for_all_threads():
            microphone = open_microphone(self._models[0].settings, RATE, self.clock)
            self.sessions.begin(microphone, "")
            summed_up_s = 0.0
            began_ns = self.clock.monotonic_ns()
            while (now_s := (self.clock.monotonic_ns() - began_ns) / 1e9) < self.length_s:
                self.injector.step(now_s)
                self.sessions.step()
                self.journal.flush()
                if now_s - summed_up_s >= _SUMMARY_S:
                    summed_up_s = now_s
                    self._sum_up()
                if now_s > len(held) * 3600 and self.sessions.health.hears and not self.injector.at_work:
                    held.append(_held())
                self._wait(min(_LOOK_S, self._next_look_s(), self.injector.due_s - now_s))
            while not self.sessions.health.hears:
                self.sessions.step()
                self._wait(_LOOK_S)
            self._wait(_LOOK_S)
            held.append(_held())
            self.sessions.end()
        self._read(True)
        return {**self._report(), "held": held}

    def _report(self) -> dict[str, Any]:
        total = self.sessions.counting.total
        while self.journal._socket.waiting:
            self.journal.flush()
        return {
            "hours": self.length_s / 3600,
            "faults": dict(self.injector.counts),
            "stalls_below_2_s": self._short_stalls,
            "opened": self.portaudio.opened,
            "captured": self.portaudio.read,
            "overflowed": self.portaudio.overflowed,
            "classified": total.classified,
            "shed": total.shed,
            "lost": total.lost,
            "left_over": total.left_over,
            "predictions": total.predictions,
            "windows_shed": total.windows_shed,
            "entries": self._entries(),
            "entries_lost": self.journal._socket.lost,
        }

    def _entries(self) -> dict[str, int]:
        before = -1
        while before != sum(self.received.values()):  # until the reader has caught up
            before = sum(self.received.values())
            threading.Event().wait(0.2)
        return dict(self.received)

    def _running(self, hop_s: float) -> Running:
        classifier = _DawdlingClassifier(self._package, installed_backends()[0])
        classifier.clock = self.clock
        classifier.warm()
        config = Config(hop_s=hop_s, microphone=Microphone(device="mic", ring_s=_RING_S))
        return Running(Settings(config, None), classifier, decision_rules(classifier.labels, Decisions(), Decisions()))

    def _classifiers(self) -> list[_DawdlingClassifier]:
        return [running.classifier for running in self._models]  # type: ignore[misc]  # made above

    def _stall(self, fault: Fault) -> None:
        self._short_stalls += fault.end_s - fault.begin_s < 2.0
        self.portaudio.stall()

    def _dawdle(self, seconds: float) -> None:
        for classifier in self._classifiers():
            classifier.dawdles_s = seconds

    def _hold_up(self, seconds: float) -> None:
        for classifier in self._classifiers():
            classifier.held_up_s = seconds

    def _suspend(self) -> None:
        """Sleep for a night: the monotonic clock stood still, the system's did not; USB comes back a little later."""
        self.clock.step_system_clock(8 * 3600)
        self.portaudio.unplug()

    def _replace(self) -> None:
        self._now_running = (self._now_running + 1) % len(self._models)
        self.sessions.apply(Change(self._models[self._now_running], reopens=False, status=self._replaced))

    def _replaced(self, losses: Losses) -> Status:
        return Status(StatusKind.CONFIG_APPLIED, f"Changed; {losses.words}", self.clock.time_ns(), losses.facts)

    def _sum_up(self) -> None:
        level = self.sessions.level.take_dbfs()
        period = self.sessions.counting.take_period()
        self.journal.status(period_summary(period, self.sessions.heard_s, _SUMMARY_S, level, self.clock))

    def _wake(self) -> None:
        with self._condition:
            self._woken = True
            self._condition.notify_all()

    def _wait(self, seconds: float) -> None:
        with self._condition:
            if not self._woken:
                self.clock.wait(self._condition, max(1e-3, seconds))
            self._woken = False

    def _next_look_s(self) -> float:
        """Seconds until the sessions have something to do, as the supervisor asks them."""
        look_ns = self.sessions.next_look_ns
        return _LOOK_S if look_ns is None else (look_ns - self.clock.monotonic_ns()) / 1e9

    def _read(self, reads: bool) -> None:
        self._reads = reads

    def _read_journal(self) -> None:
        import time

        from audiomon.outputs.message_ids import MESSAGE_IDS

        kinds = {message_id: kind for kind, message_id in MESSAGE_IDS.items()}
        while True:
            for entry in self._journald.entries() if self._reads else ():
                kind = kinds[entry["MESSAGE_ID"]]
                self.received[kind] = self.received.get(kind, 0) + 1
            time.sleep(0.001)


def _held() -> dict[str, int]:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return {
        "rss_bytes": pages * os.sysconf("SC_PAGE_SIZE"),
        "threads": threading.active_count(),
        "descriptors": len(os.listdir("/proc/self/fd")),
    }


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--hours", default=24.0, show_default=True, help="Of audio.")
@click.option("--seed", default=1, show_default=True, help="Of the faults.")
def soak(hours: float, seed: int) -> None:
    """Listen for hours of simulated time, with faults at random, and print what became of every sample."""
    with tempfile.TemporaryDirectory() as folder:
        click.echo(msgspec.json.encode(_Soak(Path(folder), hours, seed).run()).decode())


if __name__ == "__main__":
    soak()
