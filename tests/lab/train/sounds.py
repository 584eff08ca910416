"""Small data sets of sounds that are easily told apart, and of sounds that nobody should train on."""

from pathlib import Path

import numpy as np
import soundfile

RATE = 8000
FEATURES = ("sample_rate=8000", "n_fft=256", "hop_length=128", "n_mels=16", "frames=20")


def hum(seconds: float, number: int) -> np.ndarray:
    """A low tone with a little noise; another one for every number."""
    rng = np.random.default_rng(number)
    at = np.arange(int(seconds * RATE)) / RATE
    return 0.2 * np.sin(2 * np.pi * (200 + 15 * number) * at) + 0.001 * rng.standard_normal(len(at))


def hiss(seconds: float, number: int) -> np.ndarray:
    """Noise."""
    return 0.1 * np.random.default_rng(100 + number).standard_normal(int(seconds * RATE))


def beeps(seconds: float, number: int) -> np.ndarray:
    """A high tone that comes and goes."""
    rng = np.random.default_rng(200 + number)
    at = np.arange(int(seconds * RATE)) / RATE
    on = (at * 8) % 1 < 0.5
    return 0.2 * on * np.sin(2 * np.pi * (2500 + 20 * number) * at) + 0.001 * rng.standard_normal(len(at))


CLASSES = {"beeps": beeps, "hiss": hiss, "hum": hum}


def write_dataset(folder: Path, count: int = 6, seconds: float = 1.0) -> Path:
    """Three classes, files ``CLASS/FOLD-NUMBER.wav`` in two folds."""
    for label, make in CLASSES.items():
        (folder / label).mkdir(parents=True)
        for number in range(count):
            write(folder / label / f"{1 + number % 2}-{number}.wav", make(seconds, number))
    return folder


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path
