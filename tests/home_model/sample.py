"""The sample recording that ships with ``models/home``, made from nothing: a person, a dog and a baby, all synthetic.

    python -m tests.home_model.sample models/home/sample.flac

For machines without a microphone, and for tests. No recording of anybody goes into it.
"""

from pathlib import Path

import click
import numpy as np
import soundfile
from numpy.typing import NDArray

from tests.home_model.sounds import coloured_noise, espeak

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

SAMPLE_RATE_HZ = 22_050
DURATION_S = 21.0
# What is heard when: label, first and last second. All else is background.
SPANS = (("speech", 3.0, 8.1), ("dog_bark", 10.5, 12.7), ("baby_cry", 15.2, 18.8))
_TEXT = "Hello, this is audiomon. I am listening to the room, and I write down what I hear."
# Steady noise of a quiet room, low enough that the file stays small.
_NOISE_RMS = 10 ** (-66 / 20)
_PEAK = 0.35


def voiced(frequency_hz: Float64, formants_hz: list[tuple[float, float, float]], tilt_db: float) -> Float32:
    """Return a voice: harmonics of a moving pitch, shaped by resonances.

    Args:
        frequency_hz: the pitch at each sample, shape (n,).
        formants_hz: centre, width and strength of each resonance.
        tilt_db: loss for every octave above the pitch.
    """
    phase = 2 * np.pi * np.cumsum(frequency_hz) / SAMPLE_RATE_HZ
    sound = np.zeros(len(phase))
    for number in range(1, 40):
        at = number * frequency_hz
        shape = 0.03 + sum(strength / (1 + ((at - centre) / width) ** 2) for centre, width, strength in formants_hz)
        gain = shape * 10 ** (-tilt_db * np.log2(number) / 20) * (at < SAMPLE_RATE_HZ / 2)
        sound += gain * np.sin(number * phase)
    return np.asarray(sound, dtype=np.float32)


def bark(rng: np.random.Generator) -> Float32:
    """Return one bark: 0.25 s, the pitch up and down again, as much breath as voice, both shaped by the same throat."""
    time = np.linspace(0, 1, int(0.25 * SAMPLE_RATE_HZ))
    throat = [(1070.0, 360.0, 1.0), (2000.0, 390.0, 0.8), (3130.0, 370.0, 0.12)]
    pitch = (645 + 290 * np.sin(np.pi * time**0.6)) * (1 + 0.02 * coloured_noise(len(time), 1.5, rng))
    sound = voiced(pitch, throat, 2.5) * (1 + 0.1 * coloured_noise(len(time), 0.5, rng))
    spectrum = np.fft.rfft(coloured_noise(len(time), 0.3, rng))
    at = np.fft.rfftfreq(len(time), 1 / SAMPLE_RATE_HZ)
    shape = 0.05 + sum(strength / (1 + ((at - centre) / width) ** 2) for centre, width, strength in throat)
    breath = np.fft.irfft(spectrum * shape, len(time))
    sound = sound / np.abs(sound).max() + 0.93 * breath / np.abs(breath).max()
    envelope = np.minimum(1, time * 0.25 / 0.03) * np.exp(-3.5 * time) * np.minimum(1, (1 - time) / 0.15)
    return _scaled(sound * envelope)


def cry(duration_s: float, rng: np.random.Generator) -> Float32:
    """Return one cry of a baby: the pitch rises, wavers and falls."""
    time = np.linspace(0, 1, int(duration_s * SAMPLE_RATE_HZ))
    waver = 1 + 0.012 * np.sin(2 * np.pi * 7 * duration_s * time)
    pitch = (390 + 140 * np.sin(np.pi * time**0.6)) * waver
    sound = voiced(pitch, [(1100, 350, 1.0), (3200, 600, 0.8), (5200, 800, 0.3)], 1)
    sound = sound + 0.03 * np.abs(sound).max() * coloured_noise(len(time), 0.5, rng)
    envelope = np.minimum(1, time / 0.12) * np.minimum(1, (1 - time) / 0.25)
    return _scaled(sound * envelope)


def make_sample() -> Float32:
    """Make the whole recording: float32, shape (DURATION_S · SAMPLE_RATE_HZ,).

    Raises:
        UserError: espeak-ng is not installed.
    """
    rng = np.random.default_rng(22)
    recording = _NOISE_RMS * coloured_noise(int(DURATION_S * SAMPLE_RATE_HZ), 1.2, rng)
    starts = {label: start for label, start, _ in SPANS}
    _add(recording, _scaled(espeak(_TEXT, SAMPLE_RATE_HZ, "en-us", 165)), starts["speech"])
    for after_s in (0.0, 0.45, 1.2, 1.65, 2.0):
        _add(recording, bark(rng), starts["dog_bark"] + after_s)
    for after_s, duration_s in ((0.0, 1.0), (1.25, 1.1), (2.6, 1.0)):
        _add(recording, 0.7 * cry(duration_s, rng), starts["baby_cry"] + after_s)
    return recording


def _scaled(sound: Float32 | Float64) -> Float32:
    return np.asarray(_PEAK * sound / np.abs(sound).max(), dtype=np.float32)


def _add(recording: Float32, sound: Float32, at_s: float) -> None:
    first = int(at_s * SAMPLE_RATE_HZ)
    recording[first : first + len(sound)] += sound


@click.command()
@click.argument("output", type=click.Path(path_type=Path, dir_okay=False))
def main(output: Path) -> None:
    """Write the sample recording to OUTPUT (.flac)."""
    soundfile.write(output, make_sample(), SAMPLE_RATE_HZ, subtype="PCM_16")
    click.echo(f"{output}: {DURATION_S:g} s, {output.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
