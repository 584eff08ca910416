"""Signals as a 16-bit sound card delivers them, made by arithmetic. Each is float32 in [-1, 1], shape (n,)."""

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


def quantised(samples: NDArray[np.float64]) -> Float32:
    """Round to what int16 holds: below its steps there is nothing in real sound, and quiet bands would be rounding."""
    return (np.clip(np.round(samples * 32768), -32768, 32767) / 32768).astype(np.float32)


def noise(n: int, seed: int = 1) -> Float32:
    return quantised(0.3 * np.random.default_rng(seed).standard_normal(n))


def tone(n: int, cycles_per_sample: float = 0.0473) -> Float32:
    return quantised(0.5 * np.sin(2 * np.pi * cycles_per_sample * np.arange(n)))


def chirp(n: int) -> Float32:
    """From 0 to half the sample rate."""
    return quantised(0.7 * np.sin(np.pi * np.arange(n) ** 2 / (2 * max(n, 1))))


def clicks(n: int) -> Float32:
    samples = np.zeros(n)
    samples[:: max(1, n // 5)] = 0.9
    return quantised(samples)


def hiss(n: int) -> Float32:
    """Noise of one quantisation step, what an idle microphone gives."""
    return quantised(np.random.default_rng(2).integers(-1, 2, n) / 32768)


def silence(n: int) -> Float32:
    return np.zeros(n, dtype=np.float32)


SIGNALS = {make.__name__: make for make in (noise, tone, chirp, clicks, hiss, silence)}


def everything(n: int) -> Float32:
    """All of them, one after the other."""
    part = -(-n // len(SIGNALS))
    return np.concatenate([make(part) for make in SIGNALS.values()])[:n]
