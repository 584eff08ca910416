"""Stands in for the module ``sounddevice``: a microphone by a simulated clock, which a real one cannot be had for.

It fails as real ones were seen to: an error when it is unplugged, silence without one when its server stands still,
and the oldest samples gone when nobody has read for long.
"""

import itertools
from typing import Any

import numpy as np

from tests.soak.simulated_clock import SimulatedClock

RATE = 4000
# A sound server keeps so much for a reader that does not come.
_BUFFER_S = 12
_OVERFLOWED = -9981


class PortAudioError(Exception):
    """As sounddevice raises it: a text, and PortAudio's number for it."""


class _Default:
    device = {"input": 0, "output": -1}  # noqa: RUF012  # as sounddevice has it


class SimulatedPortAudio:
    """See the module.

    Args:
        clock: that its samples come by.

    Attributes:
        read: sample frames that have been read from all streams.
        overflowed: sample frames that were gone before they were read.
        opened: how many streams.
        unplugged: how often the microphone was; streams from before are dead even when it is back.
    """

    PortAudioError = PortAudioError
    default = _Default

    def __init__(self, clock: SimulatedClock) -> None:
        self.clock = clock
        self.read = self.overflowed = self.opened = 0
        self.plugged = True
        self.unplugged = 0
        self.stalled_ns: int | None = None
        self.sound = memoryview(np.random.default_rng(2).integers(-9000, 9000, 1 << 20).astype("<i2").tobytes())

    def query_hostapis(self) -> list[dict[str, Any]]:
        return [{"name": "ALSA", "devices": [0] if self.plugged else []}]

    def query_devices(self, index: int) -> dict[str, Any]:
        return {"index": index, "name": "mic", "max_input_channels": 1, "default_samplerate": float(RATE)}

    def unplug(self) -> None:
        self.plugged = False
        self.unplugged += 1

    def plug(self) -> None:
        self.plugged = True

    def stall(self) -> None:
        self.stalled_ns = self.clock.monotonic_ns()

    def go_on(self) -> None:
        self.stalled_ns = None

    def _terminate(self) -> None:
        pass

    def _initialize(self) -> None:
        pass

    def RawInputStream(self, **asked: Any) -> "_Stream":  # noqa: N802  # as sounddevice has it
        if not self.plugged:
            raise PortAudioError("Error opening RawInputStream: Device unavailable", -9985)
        assert (asked["samplerate"], asked["channels"], asked["dtype"]) == (RATE, 1, "int16")
        self.opened += 1
        return _Stream(self)


class _Stream:
    samplerate = float(RATE)
    channels = 1
    latency = 2.0
    _numbers = itertools.count()

    def __init__(self, portaudio: SimulatedPortAudio) -> None:
        self._portaudio = portaudio
        self._unplugged = portaudio.unplugged
        self._began_ns = 0
        self._taken = 0
        self._silent_ns = 0

    def start(self) -> None:
        self._began_ns = self._portaudio.clock.monotonic_ns()

    @property
    def read_available(self) -> int:
        self._check()
        available = self._made() - self._taken
        if available > _BUFFER_S * RATE:
            self._portaudio.overflowed += available
            self._taken += available
            raise PortAudioError("Input overflowed", _OVERFLOWED)
        return available

    def read(self, frames: int) -> tuple[memoryview, bool]:
        self._check()
        first = self._taken % ((len(self._portaudio.sound) // 2) - frames)
        self._taken += frames
        self._portaudio.read += frames
        return self._portaudio.sound[2 * first : 2 * (first + frames)], False

    def abort(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _check(self) -> None:
        if self._portaudio.unplugged > self._unplugged:
            raise PortAudioError("Unanticipated host error", -9999, (8, -5, "Input/output error"))

    def _made(self) -> int:
        now_ns = self._portaudio.clock.monotonic_ns()
        until_ns = now_ns if self._portaudio.stalled_ns is None else self._portaudio.stalled_ns
        return max(self._taken, (until_ns - self._began_ns) * RATE // 1_000_000_000)
