"""Stand-ins for what the daemon's state machine works with, so that its every edge runs on a manual clock.

A stub source delivers what a test says, a stub model answers or fails as a test says. PortAudio, TFLite and real
threads of theirs have tests of their own; here it is what follows from them that counts.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from audiomon.audio.source import Block, Missing
from audiomon.config import Config, DecisionRules, Threshold
from audiomon.config.settings import Settings
from audiomon.daemon.running import Running
from audiomon.errors import DeviceError
from audiomon.features import WaveformSpec
from audiomon.pipeline.clips import Clip, NoClip
from audiomon.pipeline.prediction import Event, Prediction, Status
from tests.manual_clock import ManualClock

PATIENCE_S = 30  # for other threads of this process; real time
RATE = 16_000
WINDOW = 1600  # 0.1 s
HOP_S = 0.1
LABELS = ("background", "speech")
RULES = DecisionRules(0.0, {"speech": Threshold(0.6, 0.4, 0.0, 0.0)})


class StubClassifier:
    """Always hears speech; a test may have it fail or take its time.

    Args:
        name: of the model.
        sample_rate: in Hz.
        on_scores: called with each window's number, from 0, before it answers.
    """

    def __init__(
        self, name: str = "A", *, sample_rate: int = RATE, on_scores: Callable[[int], None] = lambda _: None
    ) -> None:
        self.spec = WaveformSpec(sample_rate=sample_rate, samples=WINDOW)
        self.labels = LABELS
        manifest = SimpleNamespace(name=name, labels=LABELS, input=self.spec, sha256=name * 8)
        self.package = SimpleNamespace(
            manifest=manifest, files=(), fingerprint=name, digest=name, folder=Path("/nonexistent") / name
        )
        self.interpreter = SimpleNamespace(backend="litert", version="0")
        self._on_scores = on_scores
        self._calls = 0

    def scores(self, _window: np.ndarray) -> np.ndarray:
        self._calls += 1
        self._on_scores(self._calls - 1)
        return np.array([0.1, 0.9], dtype=np.float32)


def running(classifier: StubClassifier, **keys) -> Running:
    return Running(Settings(Config(hop_s=HOP_S, **keys), None), classifier, RULES)


class StubIdentity:
    def __init__(self, name: str) -> None:
        self.name = name

    def is_like(self, other: "StubIdentity") -> bool:
        return self.name == other.name


class StubSource:
    """A live source whose samples are there as soon as a test says so, by a manual clock.

    A reader waits for them in real time, so that a test can wait until all of them have been heard.

    Args:
        clock: that its samples come by.
        name: of the microphone.
        sample_rate: in Hz.

    Attributes:
        closed: whether it has been closed.
        holds_on: whether the device is not released when it has been closed.
        missing: what `take_missing` returns.
    """

    live = True
    channels = 1

    def __init__(self, clock: ManualClock, name: str = "mic", *, sample_rate: int = RATE) -> None:
        self.name = name
        self.sample_rate = sample_rate
        self.identity = StubIdentity(name)
        self.closed = self.holds_on = False
        self.failure: DeviceError | None = None
        self.captured_ns = self.captured_end = self.due_ns = 0
        self.missing: list[Missing] = []
        self._clock = clock
        self._read_end = 0
        self._waiting = False
        self._changed = threading.Condition()

    def deliver(self, seconds: float) -> None:
        """Let time pass while samples come, and wait until all of them have been heard."""
        self.send(seconds)
        self.wait_heard()

    def send(self, seconds: float) -> None:
        """Let time pass while samples come."""
        self._clock.advance(seconds)
        with self._changed:
            self.captured_end += round(seconds * self.sample_rate)
            self.captured_ns = self._clock.monotonic_ns()
            self._waiting = False
            self._changed.notify_all()

    def wait_heard(self) -> None:
        """Wait until the reader waits for more."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._waiting or self.closed, PATIENCE_S)

    def fail(self, error: DeviceError) -> None:
        """Have capturing end by itself."""
        with self._changed:
            self.failure = error
            self._changed.notify_all()

    @property
    def released(self) -> bool:
        return self.closed and not self.holds_on

    def take_missing(self) -> list[Missing]:
        taken, self.missing = self.missing, []
        return taken

    def read(self, frames: int) -> Block | None:
        with self._changed:
            while not self.closed and self._read_end == self.captured_end:
                if self.failure is not None:
                    raise self.failure
                self._waiting = True
                self._changed.notify_all()
                self._changed.wait()
            if self.closed:
                return None
            count = min(frames, self.captured_end - self._read_end)
            self._read_end += count
            later_ns = (self.captured_end - self._read_end) * 1_000_000_000 // self.sample_rate
        samples = np.zeros((count, 1), dtype=np.int16)
        return Block(self._read_end - count, samples, 0, self.captured_ns - later_ns)

    def copy(self, position: int, count: int) -> np.ndarray:
        assert 0 <= position <= position + count <= self.captured_end
        return np.arange(position, position + count).astype(np.int16).reshape(-1, 1)

    def rewind(self, frames: int) -> int:
        frames = min(frames, self._read_end)
        self._read_end -= frames
        return frames

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def __enter__(self) -> "StubSource":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class KeptClips:
    """A way to a keeper that keeps everything."""

    def __init__(self) -> None:
        self.clips: list[Clip] = []
        self.refused: list[NoClip] = []

    def admit(self, _per_hour: int) -> None:
        return None

    def offer(self, clip: Clip) -> None:
        self.clips.append(clip)

    def refuse(self, refused: NoClip) -> None:
        self.refused.append(refused)


class KeptOutput:
    """Keeps all that it gets, in order."""

    fds = ()

    def __init__(self) -> None:
        self.entries: list[Prediction | Event | Status] = []

    def prediction(self, prediction: Prediction) -> None:
        self.entries.append(prediction)

    def event(self, event: Event) -> None:
        self.entries.append(event)

    def status(self, status: Status) -> None:
        self.entries.append(status)

    def observe(self, observation: object) -> None:
        pass

    def flush(self) -> None:
        pass

    @property
    def statuses(self) -> list[Status]:
        return [entry for entry in self.entries if isinstance(entry, Status)]

    @property
    def kinds(self) -> list[str]:
        return [str(status.kind) for status in self.statuses]

    @property
    def predictions(self) -> list[Prediction]:
        return [entry for entry in self.entries if isinstance(entry, Prediction)]

    def of_kind(self, kind: str) -> list[Status]:
        return [status for status in self.statuses if status.kind == kind]
