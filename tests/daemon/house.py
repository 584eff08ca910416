"""The daemon's sessions on stubs and a manual clock, moved by hand."""

import threading
import time
from collections.abc import Callable
from queue import Queue

from audiomon.clock import Clock
from audiomon.daemon.change import Change
from audiomon.daemon.opening import Opening
from audiomon.daemon.sessions import Sessions
from audiomon.errors import DeviceError
from audiomon.pipeline.losses import Losses
from audiomon.pipeline.prediction import Prediction, Status, StatusKind
from tests.daemon.stubs import HOP_S, PATIENCE_S, KeptClips, KeptOutput, StubClassifier, StubSource, running
from tests.manual_clock import ManualClock


class House:
    """Sessions on stubs. Who opens a source waits for what `will_open` says: a source, or an error that is raised."""

    def __init__(self, classifier: StubClassifier | None = None, **keys) -> None:
        self.clock: Clock = ManualClock()
        self.clock.advance(1000)
        self.output = KeptOutput()
        self.woken = threading.Event()
        self._to_open: Queue[StubSource | Exception] = Queue()
        self.opened_for: list[tuple[str, object]] = []
        self.running = running(classifier or StubClassifier("A"), **keys)
        self.clips = KeptClips()
        self.sessions = Sessions(
            self.running,
            open_source=self._open,
            output=self.output,
            clock=self.clock,
            wake=self.woken.set,
            clips=self.clips,
        )

    def source(self, name: str = "mic", **options) -> StubSource:
        return StubSource(self.clock, name, **options)

    def _open(self, settings, _sample_rate, before):
        self.opened_for.append((settings.config.microphone.device, before and before.name))
        opened = self._to_open.get(timeout=PATIENCE_S)
        if isinstance(opened, Exception):
            raise opened
        return opened

    def begin(self, **options) -> StubSource:
        """Start with a source that has been heard for a second."""
        source = self.source(**options)
        self.sessions.begin(source, "")
        source.wait_heard()
        self.listen(source, 1.0)
        return source

    def listen(self, source: StubSource, seconds: float) -> None:
        """Let sound come, in steps that are noticed."""
        for _ in range(round(seconds / HOP_S)):
            source.deliver(HOP_S)
            self.sessions.step()

    def silence(self, seconds: float) -> None:
        """Let time pass, in looks of a tenth of a second."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            self.sessions.step()

    def until(self, holds: Callable[[], object]) -> None:
        """Step, without time passing, until what other threads report makes it so."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline_s
            self.woken.wait(0.05)
            self.woken.clear()
            self.sessions.step()

    def will_open(self, *opened: StubSource | Exception) -> None:
        """Say what is opened next, and wait for what comes of it."""
        for one in opened:
            self._to_open.put(one)
        self.until(lambda: self._to_open.empty() and not isinstance(self.sessions._held, Opening))

    def end(self) -> None:
        self.sessions.end()
        self._to_open.put(DeviceError("the end"))

    def open_next(self, opened: StubSource | Exception) -> None:
        """Wait for the next attempt to open, and let it yield this."""
        while not isinstance(self.sessions._held, Opening):
            self.clock.advance(0.05)
            self.sessions.step()
        self.will_open(opened)

    def lose(self, source: StubSource, error: DeviceError) -> None:
        """Have a source fail, and that be noticed."""
        source.fail(error)
        self.until(lambda: source.closed)

    def change(self, classifier: StubClassifier, *, reopens: bool = False, **keys) -> Change:
        def status(losses: Losses) -> Status:
            return Status(StatusKind.CONFIG_APPLIED, f"Changed, {losses.words}", 0, losses.facts)

        change = Change(running(classifier, **keys), reopens=reopens, status=status)
        self.sessions.apply(change)
        return change

    def total(self) -> int:
        total = self.sessions.counting.total
        return total.classified + total.shed + total.lost + total.left_over


def models(entries) -> list[str]:
    """Which model predicted, prediction by prediction."""
    return [entry.model for entry in entries if isinstance(entry, Prediction)]


def failing_at(*numbers: int) -> Callable[[int], None]:
    """What a classifier does on its windows: it raises on those of these numbers."""

    def fail(number: int) -> None:
        if number in numbers:
            raise RuntimeError("boom")

    return fail
