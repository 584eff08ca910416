"""Runs one loop over sound in memory and says what that cost: ``python measuring.py LOOP.py SOUND.wav OPTIONS``.

Says ``{"ready": true}`` after the first answer; then, for every line on standard input, works off that many seconds of
sound and says what they took. Imports the standard library alone, so that memory and start-up are the loop's own.
"""

import importlib.util
import json
import os
import sys
import time
import wave
from typing import Any


class Sound:
    """A recording heard over and over.

    Args:
        path: WAV file, 16 bits, one channel.

    Attributes:
        rate: in Hz.
        heard: samples read so far.
    """

    def __init__(self, path: str) -> None:
        with wave.open(path) as file:
            self.rate = file.getframerate()
            self._samples: bytes = file.readframes(file.getnframes())
        self._at = 0
        self.heard = 0

    def read(self, count: int) -> bytes:
        """Return the next ``count`` samples, 16-bit little-endian."""
        if self._at + 2 * count > len(self._samples):
            self._at = 0
        samples = self._samples[self._at : self._at + 2 * count]
        self._at += 2 * count
        self.heard += count
        return samples


def main() -> None:
    """Run the loop that the command line names until standard input ends."""
    path, sound_path, options = sys.argv[1:]
    # Libraries greet on standard output.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sound = Sound(sound_path)
    answers = _loaded(path).answers(sound.read, **json.loads(options))
    next(answers)
    print(json.dumps({"ready": True}), file=answer, flush=True)
    for line in sys.stdin:
        until = sound.heard + float(line) * sound.rate
        began, windows, wall_s, cpu_s = sound.heard, 0, time.perf_counter(), time.process_time()
        while sound.heard < until:
            next(answers)
            windows += 1
        cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
        cost = {
            "cpu_s": cpu_s,
            "wall_s": wall_s,
            "audio_s": (sound.heard - began) / sound.rate,
            "windows": windows,
            "peak_rss_mb": _peak_rss_mb(),
        }
        print(json.dumps(cost), file=answer, flush=True)
    os._exit(0)  # runtimes with threads of their own can take seconds to part from them


def _loaded(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("loop", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _peak_rss_mb() -> float:
    with open("/proc/self/status", encoding="ascii") as file:
        (kib,) = (line.split()[1] for line in file if line.startswith("VmHWM:"))
    return int(kib) * 1024 / 1e6


if __name__ == "__main__":
    main()
