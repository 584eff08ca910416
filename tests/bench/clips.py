"""What clips cost the listener: ``python -m tests.bench.clips``.

A window while clips are wanted and nothing happens; encoding a second of a clip; a second of a clip cut.
"""

import os
import time
from collections.abc import Callable

import numpy as np

from audiomon.config import Clips
from audiomon.outputs.clip_handover import flac_in_memory
from audiomon.pipeline.clip_cutter import ClipCutter
from audiomon.pipeline.clips import Clip, ClipEvent, NoClip, clip_rules
from audiomon.pipeline.prediction import Event
from tests.pipeline.fakes import ArraySource

RATE = 22_050
HOP = RATE // 2
WINDOW = RATE


class _Nobody:
    def admit(self, _per_hour: int) -> None:
        return None

    def offer(self, _clip: Clip) -> None:
        pass

    def refuse(self, _refused: NoClip) -> None:
        pass


def _took_us(call: Callable[[], object], times: int, rounds: int = 5) -> float:
    """Return the best of some rounds, in microseconds of this thread's processor time a call.

    What else a machine does makes rounds longer, never shorter.
    """
    took_ns = []
    for _ in range(rounds):
        began_ns = time.thread_time_ns()
        for _ in range(times):
            call()
        took_ns.append(time.thread_time_ns() - began_ns)
    return min(took_ns) / times / 1e3


def _room(rate: int, seconds: int) -> np.ndarray:
    """What a quiet room sounds like to a microphone: much at low frequencies, and its own hiss."""
    rng = np.random.default_rng(1)
    rumble = np.cumsum(rng.normal(0, 1, seconds * rate))
    rumble -= np.convolve(rumble, np.ones(rate // 20) / (rate // 20), "same")
    return (rumble * (200 / rumble.std()) + rng.normal(0, 20, len(rumble))).astype(np.int16)


def _cutter(labels: tuple[str, ...], sound: np.ndarray) -> tuple[ClipCutter, Callable[..., None]]:
    source = ArraySource(sound, RATE)
    source.read(len(sound))
    cutter = ClipCutter(source, "mix", _Nobody())
    cutter.take_over(clip_rules(labels, Clips(labels=("dog_bark",), longest_s=30)), recut=False)
    scores = np.linspace(0, 0.1, len(labels), dtype=np.float32)
    position = [WINDOW]

    def window(*events: Event) -> None:
        position[0] += HOP
        cutter.expect()
        cutter.heard(position[0] - WINDOW, position[0], scores, events, lost=False)

    return cutter, window


def main() -> None:
    noise = np.random.default_rng(1).normal(0, 1000, (40 * RATE, 1)).astype(np.int16)
    for number in (4, 521):
        labels = ("dog_bark", "speech", *(f"label {one}" for one in range(number - 2)))
        _, window = _cutter(labels, noise)
        print(f"a window, nothing happens, {number:>3} labels   {_took_us(window, 2000):8.1f} µs")

    def cut_30_s() -> None:
        _, window = _cutter(("dog_bark", "speech"), noise)
        for _ in range(6):
            window()
        window(Event("dog_bark", "on", 0.9, 4.0, 0, 0.0))
        for _ in range(62):
            window()

    print(f"cutting and judging, a second of clip     {_took_us(cut_30_s, 5) / 30:8.1f} µs")
    for rate in (16_000, RATE, 48_000):
        for what, samples in (("white noise", np.resize(noise[:, 0], 10 * rate)), ("a quiet room", _room(rate, 10))):
            clip = Clip(samples, rate, 0, 0, (ClipEvent("x", 0, 0.9),), "", "", "", 0.0, "")
            took_us = _took_us(lambda clip=clip: os.close(flac_in_memory(clip)), 1, 100)  # type: ignore[misc]
            print(f"FLAC, a second of {what} at {rate:>5} Hz {took_us / 10 / 1e3:8.3f} ms")


if __name__ == "__main__":
    main()
