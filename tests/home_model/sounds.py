"""Sounds made here, from a seed: what a quiet room, a cable or a machine adds, and synthetic speech.

For training and for the sample that ships. Nothing is read from disk; espeak-ng makes the speech.
"""

import io
import shutil
import subprocess
from collections.abc import Iterator

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from audiomon.errors import UserError

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

# Voices for training; the sample that ships speaks with none of them.
_VOICES = (
    "en-gb", "en-gb-scotland", "en-gb-x-rp", "es", "es-419", "de", "fr-fr", "it", "nl", "pl", "pt-br", "sv", "tr", "ru",
)  # fmt: skip
_VARIANTS = ("", "+f1", "+f2", "+f3", "+f4", "+f5", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7")
# What is said hardly matters to a detector of speech; every voice reads these its own way.
_SENTENCES = (
    "Good morning, how did you sleep?",
    "Can you hear me over there?",
    "Seven, three, nine, one, zero, four.",
    "Una casa grande cerca del mar azul.",
    "Wir treffen uns morgen um halb acht.",
    "Je ne sais pas encore ce que nous allons faire.",
    "The kettle is on, would anybody like a cup of tea?",
    "Stop. Wait. Not yet.",
)


def espeak(text: str, sample_rate: int, voice: str = "en-us", speed: int = 160, pitch: int = 50) -> Float32:
    """Speak with espeak-ng.

    Args:
        text: what to say.
        sample_rate: of the result, in Hz.
        voice: as ``espeak-ng -v`` takes it, with or without a variant.
        speed: words per minute.
        pitch: 0 to 99.

    Returns:
        float32 in [-1, 1], shape (n,).

    Raises:
        UserError: espeak-ng is not installed.
    """
    if shutil.which("espeak-ng") is None:
        raise UserError("espeak-ng is not installed; on Debian: sudo apt install espeak-ng")
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text]
    said = subprocess.run(command, check=True, capture_output=True).stdout
    samples, rate = soundfile.read(io.BytesIO(said), dtype="float32")
    return np.asarray(soxr.resample(samples, rate, sample_rate), dtype=np.float32)


def synthetic_speech(count: int, sample_rate: int, rng: np.random.Generator) -> Iterator[tuple[str, Float32]]:
    """Yield utterances of many voices, speeds and pitches: (name, samples)."""
    for number in range(count):
        voice = str(rng.choice(_VOICES)) + str(rng.choice(_VARIANTS))
        text = str(rng.choice(_SENTENCES))
        speed, pitch = int(rng.integers(110, 230)), int(rng.integers(15, 90))
        yield f"espeak {number} {voice}", espeak(text, sample_rate, voice, speed, pitch)


def coloured_noise(count: int, exponent: float, rng: np.random.Generator) -> Float32:
    """Return noise of RMS 1 whose power falls as 1/f**exponent: 0 white, 1 pink, 2 brown."""
    spectrum = rng.standard_normal(count // 2 + 1) + 1j * rng.standard_normal(count // 2 + 1)
    spectrum *= np.maximum(np.arange(count // 2 + 1), 8) ** (-exponent / 2)
    noise = np.fft.irfft(spectrum, count)
    return np.asarray(noise / np.sqrt(np.mean(noise**2)), dtype=np.float32)


def machine_sounds(count: int, sample_rate: int, rng: np.random.Generator) -> Iterator[tuple[str, Float32]]:
    """Yield 5 s sounds that are nobody's voice: noise of every colour, hum, tones, beeps, sweeps, ticks, knocks."""
    makers = (_noise, _hum, _tone, _beeps, _sweep, _knocks, _knocks, _knocks)
    length = 5 * sample_rate
    for number in range(count):
        maker = makers[number % len(makers)]
        sound = maker(np.arange(length) / sample_rate, rng)
        behind = 0.1 * 10 ** rng.uniform(-3, -1) * coloured_noise(length, float(rng.uniform(0, 2)), rng)
        yield f"generated {number} {maker.__name__[1:]}", np.asarray(0.1 * sound + behind, dtype=np.float32)


def _noise(time_s: Float64, rng: np.random.Generator) -> Float64:
    swell = 1 + rng.uniform(0, 0.9) * np.sin(2 * np.pi * rng.uniform(0.1, 4) * time_s)
    return np.asarray(swell * coloured_noise(len(time_s), float(rng.uniform(-0.5, 2.5)), rng), dtype=np.float64)


def _hum(time_s: Float64, rng: np.random.Generator) -> Float64:
    overtones = list(rng.uniform(0, 1, 12) / np.arange(1, 13))
    return _steady(time_s, float(rng.choice([50.0, 60.0, 100.0, 120.0])), overtones)


def _tone(time_s: Float64, rng: np.random.Generator) -> Float64:
    return _steady(time_s, float(np.exp(rng.uniform(4.5, 8.6))), [1.0, *rng.uniform(0, 0.1, 2)])


def _beeps(time_s: Float64, rng: np.random.Generator) -> Float64:
    on = (time_s * rng.uniform(0.5, 5)) % 1 < rng.uniform(0.1, 0.7)
    return on * _steady(time_s, float(rng.uniform(600, 4500)), [1.0, 0.0, float(rng.uniform(0, 0.3))])


def _sweep(time_s: Float64, rng: np.random.Generator) -> Float64:
    low, high = np.exp(rng.uniform(4, 9, 2))
    return _harmonic(low * (high / low) ** ((time_s / rng.uniform(0.7, 5)) % 1), [1.0], 1 / time_s[1])


def _knocks(time_s: Float64, rng: np.random.Generator) -> Float64:
    """Ticks of a clock, knocks, clatter: struck things, each a few resonances that die away in 1 to 60 ms."""
    sample_rate = 1 / time_s[1]
    sound = np.zeros(len(time_s))
    ring_s = np.arange(int(0.3 * sample_rate)) / sample_rate
    if rng.random() < 0.6:
        every_s = float(rng.choice([0.2, 0.25, 0.5, 1.0])) * rng.uniform(0.8, 1.2)
        at_s = np.arange(rng.uniform(0, every_s), time_s[-1] - 0.3, every_s)
    else:
        at_s = rng.uniform(0, time_s[-1] - 0.3, int(rng.integers(2, 25)))
    things = []
    for _ in range(int(rng.integers(1, 4))):
        struck = 0.5 * rng.standard_normal(len(ring_s)) * np.exp(-ring_s / rng.uniform(0.0005, 0.01))
        for _ in range(int(rng.integers(1, 7))):
            decay = np.exp(-ring_s / np.exp(rng.uniform(-7, -2.8)))
            struck += rng.uniform(0.1, 1) * decay * np.sin(2 * np.pi * np.exp(rng.uniform(4.6, 8.9)) * ring_s)
        things.append(struck)
    for number, start_s in enumerate(at_s):
        first = int(start_s * sample_rate)
        sound[first : first + len(ring_s)] += rng.uniform(0.5, 1) * things[number % len(things)]
    return sound


def _steady(time_s: Float64, frequency_hz: float, amplitudes: list[float]) -> Float64:
    return _harmonic(np.full(len(time_s), frequency_hz), amplitudes, 1 / time_s[1])


def _harmonic(frequency_hz: Float64, amplitudes: list[float], sample_rate: float) -> Float64:
    """A tone and its overtones, following a frequency per sample; with amplitudes for harmonics 1, 2 and so on."""
    phase = 2 * np.pi * np.cumsum(frequency_hz) / sample_rate
    tone = np.zeros(len(phase))
    for number, amplitude in enumerate(amplitudes, start=1):
        tone += amplitude * np.sin(number * phase) * (number * frequency_hz < sample_rate / 2)
    return tone
