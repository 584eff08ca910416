"""Sound to measure with: no silence, no two windows alike, the same on every machine."""

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def varied_sound(seconds: float, sample_rate: int) -> NDArray[np.int16]:
    """Make noise whose level wanders, with rising tones in it.

    Args:
        seconds: how long.
        sample_rate: in Hz.

    Returns:
        int16, shape (round(seconds · sample_rate),).
    """
    count = round(seconds * sample_rate)
    time_s = np.arange(count) / sample_rate
    level = 0.02 + 0.1 * np.sin(2 * np.pi * time_s / 7) ** 2
    tone = 0.2 * np.sin(2 * np.pi * (200 + 150 * (time_s % 3)) * time_s)
    sound = level * np.random.default_rng(1).standard_normal(count) + tone
    return np.asarray(np.rint(32767 * np.clip(sound, -1, 1)), dtype=np.int16)


def write_wav(path: Path, sound: NDArray[np.int16], sample_rate: int) -> None:
    """Write int16 samples of shape (n,) as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(sound.astype("<i2").tobytes())
