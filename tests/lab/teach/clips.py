"""A few clips of sounds that any network tells apart, and a background of hiss."""

from pathlib import Path

import numpy as np
import soundfile

from audiomon.lab.teach.teaching import Words

RATE = 16_000
WORDS = Words("audiomon train recordings -o models/home2 --from home", "Hears babies.", "CC0", "")


def hum(seconds: float, number: int) -> np.ndarray:
    """A low tone, another one for every number."""
    return _tone(200 + 10 * number, seconds, number)


def whistle(seconds: float, number: int) -> np.ndarray:
    """A high one."""
    return _tone(3000 + 50 * number, seconds, number)


def hiss(seconds: float, number: int) -> np.ndarray:
    """Noise."""
    return 0.1 * np.random.default_rng(number).standard_normal(int(seconds * RATE))


def baby(seconds: float, number: int) -> np.ndarray:
    """Cries: a harmonic tone that rises and falls, again and again."""
    at = np.arange(int(seconds * RATE)) / RATE
    pitch = (420 + 6 * number) * (1 + 0.12 * np.sin(2 * np.pi * 1.1 * at + number))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(np.sin(n * phase) / n for n in range(1, 9))
    return 0.1 * voice + 0.001 * hiss(seconds, number)


def blender(seconds: float, number: int) -> np.ndarray:
    """A motor: a harmonic tone that flutters, and some noise."""
    at = np.arange(int(seconds * RATE)) / RATE
    pitch = (300 + number) * (1 + 0.02 * np.sin(2 * np.pi * 9 * at))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    tones = sum(np.sin(n * phase + n) / n for n in range(1, 14))
    return 0.08 * tones + 0.02 * hiss(seconds, 100 + number)


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


def recordings(folder: Path, numbers: range, **sounds) -> Path:
    """A data set: ``LABEL/SESSION-NUMBER.wav``, of five days."""
    for label, make in sounds.items():
        for number in numbers:
            write(folder / label / f"2026010{1 + number % 5}-120000-{number:03}.wav", make(1.5, number))
    return folder
