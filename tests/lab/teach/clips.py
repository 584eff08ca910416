"""A few clips of sounds that any network tells apart, and a background of hiss."""

from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000


def hum(seconds: float, number: int) -> np.ndarray:
    """A low tone, another one for every number."""
    return _tone(200 + 10 * number, seconds, number)


def whistle(seconds: float, number: int) -> np.ndarray:
    """A high one."""
    return _tone(3000 + 50 * number, seconds, number)


def hiss(seconds: float, number: int) -> np.ndarray:
    """Noise."""
    return 0.1 * np.random.default_rng(number).standard_normal(int(seconds * RATE))


def _tone(hertz: float, seconds: float, number: int) -> np.ndarray:
    at = np.arange(int(seconds * RATE)) / RATE
    return 0.2 * np.sin(2 * np.pi * hertz * at) + 0.001 * np.random.default_rng(number).standard_normal(len(at))


CLASSES = {"hum": hum, "whistle": whistle}


def write_clips(folder: Path, count: int = 6, seconds: float = 1.2, sessions: int = 2) -> Path:
    """``CLASS/SESSION-NUMBER.wav``, named as `audiomon record` names them."""
    for label, make in CLASSES.items():
        for number in range(count):
            session = f"2026010{1 + number % sessions}-10000{list(CLASSES).index(label)}"
            write(folder / label / f"{session}-{number:03}.wav", make(seconds, number))
    return folder


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path
