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
        out[:] = (_random_words(samples) >> 18).astype(np.int16) - _AMPLITUDE
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


def _random_words(count: int) -> NDArray[np.uint32]:
    """Return the generator's first states after 1: s ← 1 664 525·s + 1 013 904 223 mod 2³² (Numerical Recipes).

    By doubling: what leads from one state to the next leads, applied n times, from n states to the n after them.
    """
    words = np.empty(count, dtype=np.uint32)
    words[:1] = 1_664_525 + 1_013_904_223
    factor, term, known = 1_664_525, 1_013_904_223, 1
    while known < count:
        following = words[known : 2 * known]
        following[:] = words[: len(following)] * np.uint32(factor) + np.uint32(term)
        factor, term = factor * factor % 2**32, (factor + 1) * term % 2**32
        known *= 2
    return words
