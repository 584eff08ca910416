"""Sounds that every machine makes the same, for a model package's self-test.

Changing one of these changes what every published package expects: add a new one instead.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Signal = Literal["silence", "noise", "chirp", "clicks"]

_AMPLITUDE = 8192  # a quarter of full scale


def make_signal(signal: Signal, samples: int, sample_rate: int) -> NDArray[np.int16]:
    """Make a self-test sound.

    Args:
        signal: ``silence``: zeros. ``noise``: white, uniform, from a 32-bit linear congruential generator. ``chirp``: a
            sine from 100 Hz to 7 kHz (or 0.45 of the sample rate), rising exponentially. ``clicks``: one full-scale
            sample every eighth of a second.
        samples: how many.
        sample_rate: in Hz.

    Returns:
        int16, shape (samples,).
    """
    out = np.zeros(samples, dtype=np.int16)
    if signal == "noise":
        state = 1
        for index in range(samples):
            state = (state * 1_664_525 + 1_013_904_223) & 0xFFFF_FFFF  # Numerical Recipes
            out[index] = (state >> 18) - _AMPLITUDE
    elif signal == "chirp":
        low, high = 100.0, min(7000.0, 0.45 * sample_rate)
        duration = samples / sample_rate
        growth = np.log(high / low)
        time = np.arange(samples) / sample_rate
        phase = 2 * np.pi * low * duration / growth * np.expm1(growth * time / duration)
        out[:] = np.rint(_AMPLITUDE * np.sin(phase))
    elif signal == "clicks":
        out[:: sample_rate // 8] = 32767
    return out
