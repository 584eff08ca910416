"""The guest's side: does what is counted, and marks where it begins and ends. Runs in an emulated arm64 Python.

``python workload.py imports`` imports what `audiomon run` starts with; ``python workload.py window MODEL HOP_S`` hears
some windows of that model, as the service does, and captures as much sound. ``python workload.py train …`` is
`audiomon train …`.
"""

import contextlib
import os
import sys
from collections import deque
from pathlib import Path
from typing import Any

_FIRST_MARK = 0x5EED0000  # counter.c has it too
WARM_UP, COUNTED = 4, 16


def mark(number: int) -> None:
    """Have the count so far written."""
    with contextlib.suppress(OSError):
        os.getpgid(_FIRST_MARK + number)


def imports() -> None:
    """Import what a service imports before it opens its microphone."""
    mark(0)
    import audiomon.cli.run
    import audiomon.daemon.startup
    import audiomon.daemon.supervisor  # noqa: F401  # that it is imported is what is counted

    mark(1)


def window(model: str, hop_s: float) -> None:
    """Hear windows: samples, frames, scores, decisions, a line of JSON; then move as many samples as one needs."""
    from audiomon.audio.level import LevelMeter
    from audiomon.audio.pump import Opened, Pump
    from audiomon.audio.ring import Ring
    from audiomon.clock import SystemClock
    from audiomon.config import Decisions, decision_rules
    from audiomon.lab.bench.pipeline.contender import EndlessSource
    from audiomon.lab.bench.pipeline.sounds import varied_sound
    from audiomon.models.classifier import Classifier
    from audiomon.models.package import find_package, read_package
    from audiomon.outputs.json_lines import JsonLines
    from audiomon.outputs.live import Fanout
    from audiomon.outputs.queued import Queued
    from audiomon.outputs.unwaiting import UnwaitingStream
    from audiomon.pipeline.listener import Listener
    from audiomon.pipeline.worker import InferenceWorker
    from tests.manual_clock import ManualClock

    package = read_package(find_package(model, Path()))
    spec, manifest, clock = package.manifest.input, package.manifest, SystemClock()
    sound = varied_sound(30, spec.sample_rate)
    stream = UnwaitingStream(Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  # open to the end
    output = Fanout([Queued(JsonLines(stream), "nowhere", clock, stream=stream)], clock)
    listener = Listener(
        EndlessSource(sound, spec.sample_rate),
        Classifier(package, "litert"),
        decision_rules(manifest.labels, manifest.decisions, Decisions()),
        hop_s=hop_s,
        channel="mix",
        clock=clock,
        level=LevelMeter(),
    )
    worker = InferenceWorker(listener, output, clock)
    for _ in range(WARM_UP):
        worker._step()
    mark(0)
    for _ in range(COUNTED):
        worker._step()
    mark(1)
    hop = round(listener.windows.hop_s * spec.sample_rate)
    manual = ManualClock()
    ring = Ring(10 * spec.sample_rate, 1, spec.sample_rate, manual)
    device = _Stream(sound.tobytes(), spec.sample_rate, manual)
    pump = Pump(Opened(device, ring, spec.sample_rate // 10), deque(), manual, lambda: None)
    due_ns, wanted = 0, 0
    for number in range(-WARM_UP, COUNTED):
        if number == 0:
            mark(2)
        wanted += hop
        ring._set_waiting(((wanted, hop if hop > spec.sample_rate // 10 else 0),))
        while ring.end < wanted:
            manual.advance(max(0, due_ns - manual.monotonic_ns()) / 1e9)
            due_ns = pump.look()
    mark(3)


def train(*arguments: str) -> None:
    """Train, from the imports to the written package."""
    # What the emulator runs has no path that a new process could be started by.
    sys.executable = os.environ["EMULATED_PYTHON"]
    mark(0)
    from audiomon.cli import cli

    cli.main(["train", *arguments], standalone_mode=False)
    mark(1)


class _Stream:
    """A device whose samples come in chunks of 50 ms; see `audiomon.audio.pump.InputStream`."""

    kept_s = 2.0
    channels = 1
    ending = False
    identity: Any = None

    def __init__(self, sound: bytes, sample_rate: int, clock: Any) -> None:
        self.sample_rate = sample_rate
        self._sound, self._clock, self._read = sound, clock, 0

    def available(self) -> int:
        chunk = self.sample_rate // 20
        return self._clock.monotonic_ns() * self.sample_rate // 1_000_000_000 // chunk * chunk - self._read

    def read(self, count: int) -> bytes:
        self._read += count
        return self._sound[: 2 * count]

    def close(self) -> None:
        """Nothing is held."""


def main() -> None:
    what, *arguments = sys.argv[1:]
    if what == "imports":
        imports()
    elif what == "train":
        train(*arguments)
    else:
        window(arguments[0], float(arguments[1]))


if __name__ == "__main__":
    main()
