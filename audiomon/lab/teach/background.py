"""Sounds of nothing in particular, generated: what a head learns that its labels are not.

A few hundred recordings of a house would do better, and have to be kept and licensed; these come from a seed. No two
are alike, each is one window long, and none imitates a sound that people ask for.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]

# From a room at night to beside the microphone.
_PEAK_DBFS = (-50.0, -3.0)
_SEED = 20
# Part of the sounds that do not fill their window.
_CUT = 0.4


def generated_sounds(count: int, samples: int, sample_rate: int) -> Iterator[Float32]:
    """Generate sounds, the same ones every time.

    Args:
        count: how many; kinds take turns.
        samples: in each.
        sample_rate: in Hz.

    Yields:
        float32 in [-1, 1], shape (samples,).
    """
    for number in range(count):
        rng = np.random.default_rng([_SEED, number])
        at = np.arange(samples) / sample_rate
        sound = _KINDS[number % len(_KINDS)](at, rng)
        if rng.random() < 0.5:
            sound = _in_a_room(sound, sample_rate, rng)
        sound = _coloured(sound, sample_rate, rng)
        if rng.random() < _CUT:
            sound = _cut_off(sound, rng)
        sound /= np.abs(sound).max() + 1e-12
        behind = _noise(samples, rng.uniform(0, 2), rng) * 10 ** (-rng.uniform(20, 60) / 20)
        mixed = (sound + 0.3 * behind) * 10 ** (rng.uniform(*_PEAK_DBFS) / 20)
        yield np.clip(mixed, -1, 1).astype(np.float32)


def _cut_off(sound: Float64, rng: np.random.Generator) -> Float64:
    """Let a sound begin or end somewhere in the window: at once, as a gate does, or gently."""
    edge, length = rng.uniform(0.05, 0.95), 10 ** rng.uniform(-4, -1)
    ramp = np.clip((np.linspace(0, 1, len(sound)) - edge) / length, 0, 1)
    return np.asarray(sound * (ramp if rng.random() < 0.6 else 1 - ramp))


def _noise(samples: int, slope: float, rng: np.random.Generator) -> Float64:
    """Noise of RMS 1 whose power falls with frequency: slope 0 is white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    spectrum *= np.arange(1, len(spectrum) + 1) ** (-slope / 2)
    noise = np.fft.irfft(spectrum, samples)
    return np.asarray(noise / (noise.std() + 1e-12))


def _coloured(sound: Float64, sample_rate: int, rng: np.random.Generator) -> Float64:
    """Weigh a sound's frequencies by a smooth random response, within about ±9 dB."""
    spectrum = np.fft.rfft(sound)
    octaves = np.log2(np.linspace(20, sample_rate / 2, len(spectrum)))
    knots = np.linspace(octaves[0], octaves[-1], 7)
    spectrum *= 10 ** (np.interp(octaves, knots, rng.normal(0, 4.5, 7)) / 20)
    return np.asarray(np.fft.irfft(spectrum, len(sound)))


def _in_a_room(sound: Float64, sample_rate: int, rng: np.random.Generator) -> Float64:
    """Add a tail of 0.1 to 1 s."""
    length = round(rng.uniform(0.1, 1.0) * sample_rate)
    tail = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / length) * rng.uniform(0.005, 0.05)
    size = 1 << (len(sound) + length).bit_length()
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail, size), size)[: len(sound)]
    return np.asarray(sound + wet)


def _envelope(at: Float64, rng: np.random.Generator, knots: int = 12) -> Float64:
    """A level that wanders: between 0 and 1."""
    places = np.linspace(0, at[-1], knots)
    return np.asarray(np.interp(at, places, rng.uniform(0, 1, knots) ** rng.uniform(0.5, 4)))


def _steady(at: Float64, rng: np.random.Generator) -> Float64:
    """Fans, rain, taps, traffic: noise of any colour."""
    return _noise(len(at), rng.uniform(-1, 3), rng)


def _wandering(at: Float64, rng: np.random.Generator) -> Float64:
    """Wind, waves, cloth: noise that swells and fades."""
    return np.asarray(_noise(len(at), rng.uniform(0, 3), rng) * _envelope(at, rng, int(rng.integers(3, 20))))


def _hum(at: Float64, rng: np.random.Generator) -> Float64:
    """Mains, motors: harmonics of a low tone that hardly moves."""
    base = rng.choice([50.0, 60.0, 100.0, 120.0, rng.uniform(25, 300)])
    drift = 1 + 0.01 * rng.uniform(-1, 1) * np.sin(2 * np.pi * rng.uniform(0.2, 6) * at)
    phase = 2 * np.pi * base * np.cumsum(drift) * (at[1] - at[0])
    count = int(rng.integers(1, 25))
    weights = rng.uniform(0, 1, count) * np.arange(1, count + 1) ** -rng.uniform(0, 1.5)
    tones = sum(weights[n] * np.sin((n + 1) * phase + rng.uniform(0, 7)) for n in range(count))
    return np.asarray(np.asarray(tones) + rng.uniform(0, 0.5) * _noise(len(at), 1, rng))


def _impacts(at: Float64, rng: np.random.Generator) -> Float64:
    """Knocks, cups, steps, doors: a few blows on things that ring."""
    out = np.zeros(len(at))
    thing = rng.uniform(np.log(60), np.log(6000), int(rng.integers(2, 9)))
    decay_s = 10 ** rng.uniform(-2.5, -0.5)
    for _ in range(int(rng.integers(1, 8))):
        since = at - rng.uniform(0, at[-1])
        struck = np.where(since >= 0, np.exp(-np.maximum(since, 0) / decay_s), 0) * rng.uniform(0.2, 1)
        modes = sum(rng.uniform(0.2, 1) * np.sin(2 * np.pi * np.exp(mode) * since) for mode in thing)
        out += struck * (np.asarray(modes) + rng.uniform(0, 3) * rng.standard_normal(len(at)))
    return out


def _clicks(at: Float64, rng: np.random.Generator) -> Float64:
    """Switches, latches, mouths, static: one or a few short blows, and nothing else."""
    out = np.zeros(len(at))
    for _ in range(int(rng.integers(1, 5))):
        length = int(rng.integers(1, 400))
        grain = (
            rng.standard_normal(length) if rng.random() < 0.5 else np.sin(np.arange(length) * rng.uniform(0.05, 2.5))
        )
        start = int(rng.integers(0, len(at) - length))
        out[start : start + length] += grain * np.exp(-rng.uniform(1, 8) * np.arange(length) / length)
    return out


def _crackle(at: Float64, rng: np.random.Generator) -> Float64:
    """Paper, frying, gravel: many small blows by chance."""
    blows = (rng.random(len(at)) < 10 ** rng.uniform(-4, -1.5)) * rng.exponential(1, len(at))
    length = int(rng.integers(4, 200))
    grain = rng.standard_normal(length) * np.exp(-5 * np.arange(length) / length)
    return np.asarray(np.convolve(blows, grain)[: len(at)] + 0.01 * _noise(len(at), 1, rng))


def _beeps(at: Float64, rng: np.random.Generator) -> Float64:
    """Appliances: tones with some harmonics, on and off."""
    out = np.zeros(len(at))
    for _ in range(int(rng.integers(1, 4))):
        tone = np.sin(2 * np.pi * np.exp(rng.uniform(np.log(200), np.log(5000))) * at)
        out += tone if rng.random() < 0.6 else np.sign(tone)
    if rng.random() < 0.7:
        out *= ((at * rng.uniform(0.7, 8) + rng.random()) % 1) < rng.uniform(0.2, 0.9)
    return out


def _glides(at: Float64, rng: np.random.Generator) -> Float64:
    """Birds, squeaks, sirens: tones that slide."""
    out = np.zeros(len(at))
    for _ in range(int(rng.integers(1, 6))):
        middle, length = rng.uniform(0, at[-1]), 10 ** rng.uniform(-1.5, 0)
        low, high = np.exp(rng.uniform(np.log(300), np.log(6000), 2))
        part = np.clip((at - middle) / length + 0.5, 0, 1)
        hertz = low * (high / low) ** part * (1 + 0.05 * np.sin(2 * np.pi * rng.uniform(5, 40) * at))
        out += np.sin(2 * np.pi * np.cumsum(hertz) * (at[1] - at[0])) * np.sin(np.pi * part) * rng.uniform(0.3, 1)
    return out


def _babble(at: Float64, rng: np.random.Generator) -> Float64:
    """Talk without words: a buzzing pitch through resonances that move, in syllables."""
    voices = int(rng.integers(1, 5))
    return np.asarray(sum(_voice(at, rng) for _ in range(voices)))


def _voice(at: Float64, rng: np.random.Generator) -> Float64:
    step = at[1] - at[0]
    pitch = rng.uniform(80, 320) * (1 + 0.15 * (_envelope(at, rng, 6) - 0.5))
    phase = 2 * np.pi * np.cumsum(pitch) * step
    formants = [rng.uniform(250, 900), rng.uniform(800, 2400), rng.uniform(2200, 3600)]
    moves = [1 + 0.5 * (_envelope(at, rng, 8) - 0.5) for _ in formants]
    out = np.zeros(len(at))
    for n in range(1, min(40, int(0.45 / step / pitch.max())) + 1):
        weight = sum(
            np.exp(-(((n * pitch - formant * move) / (80 + 0.1 * formant)) ** 2)) / (order + 1)
            for order, (formant, move) in enumerate(zip(formants, moves, strict=True))
        )
        out += (np.asarray(weight) + 0.02) / n**0.5 * np.sin(n * phase)
    hiss = _noise(len(at), -0.5, rng) * _envelope(at, rng, 10) * rng.uniform(0, 0.3)
    syllables = np.sin(np.pi * (at * rng.uniform(2, 6) + rng.random())) ** 2
    return np.asarray(out * syllables + hiss)


def _strings(at: Float64, rng: np.random.Generator) -> Float64:
    """Music: plucked and bowed chords."""
    out = np.zeros(len(at))
    root = np.exp(rng.uniform(np.log(60), np.log(600)))
    steps = rng.choice([0, 3, 4, 7, 10, 12, 16, 19], int(rng.integers(1, 5)), replace=False)
    for step in steps:
        since = at - (rng.uniform(0, at[-1]) if rng.random() < 0.7 else 0)
        hertz = root * 2 ** (step / 12)
        decay_s = 10 ** rng.uniform(-1.3, 0.5)
        for n in range(1, 13):
            if n * hertz * (at[1] - at[0]) > 0.45:
                break
            fading = np.where(since >= 0, np.exp(-np.maximum(since, 0) * n**0.5 / decay_s), 0)
            out += fading * np.sin(2 * np.pi * n * hertz * since) * n ** -rng.uniform(0.5, 2)
    return out


def _motor(at: Float64, rng: np.random.Generator) -> Float64:
    """Engines, tools: noise and harmonics that beat fast."""
    rate = rng.uniform(8, 120)
    beat = np.maximum(0, np.sin(2 * np.pi * rate * at + rng.uniform(0, 7))) ** rng.uniform(0.5, 6)
    sound = _noise(len(at), rng.uniform(0, 2), rng) + rng.uniform(0, 1) * _hum(at, rng)
    return np.asarray(sound * (beat + rng.uniform(0, 0.5)))


_KINDS: tuple[Callable[[Float64, np.random.Generator], Float64], ...] = (
    _steady, _wandering, _hum, _impacts, _clicks, _crackle, _beeps, _glides, _babble, _strings, _motor,
)  # fmt: skip
