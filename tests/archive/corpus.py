"""An archive to classify: sites of recorders, and everything that real cards hold besides good recordings."""

import os
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import soundfile

BEGAN = datetime(2026, 3, 1, 4)
_BAD_KINDS = 4


def write_corpus(root: Path, files: int, *, seconds: float = 30.0, hours: int = 0) -> int:
    """Write ``files`` recordings, of which one in 50 is bad, one in 36 silent, and ``hours`` an hour long.

    Half are WAV at 48 kHz named as AudioMoth does, the others FLAC at 32 kHz, WAV at 22.05 kHz, Ogg, and one has a name
    that is not Unicode.

    Returns:
        How many were written.
    """
    random = np.random.default_rng(7)
    good = files - hours - files // 50 - 1
    for index in range(good):
        kind = index % 8
        at = BEGAN + timedelta(minutes=10 * index)
        if kind < 4:
            name, rate, length = f"site={index % 5:02d}/{at:%Y%m%d_%H%M%S}.WAV", 48_000, seconds
        elif kind < 6:
            name, rate, length = f"site=05/{at:%Y%m%d_%H%M%S}.flac", 32_000, seconds
        elif kind == 6:
            name, rate, length = f"site=06/deep/er/{at:%Y%m%d_%H%M%S}.wav", 22_050, seconds / 2
        else:
            name, rate, length = f"site=07/clip{index}.ogg", 44_100, seconds / 6
        samples = np.zeros(int(rate * length), np.int16) if index % 36 == 35 else sound(random, rate, length)
        write_recording(root / name, samples, rate)
    unnamed = os.fsdecode(os.fsencode(root) + b"/site=08/caf\xe9.wav")
    write_recording(Path(unnamed), sound(random, 48_000, seconds / 3), 48_000)
    for index in range(files // 50):
        _write_bad(root / "site=09", index, random)
    for index in range(hours):
        path = root / f"site=10/{BEGAN + timedelta(hours=index):%Y%m%d_%H%M%S}.WAV"
        path.parent.mkdir(parents=True, exist_ok=True)
        with soundfile.SoundFile(path, "w", 48_000, 1, "PCM_16") as file:
            for _ in range(60):
                file.write(sound(random, 48_000, 60.0))
    (root / "site=00").mkdir(parents=True, exist_ok=True)
    (root / "site=00/._20260301_040000.WAV").write_bytes(b"a Mac was here")
    (root / "CONFIG.TXT").write_text("no recording", encoding="utf-8")
    return good + 1 + files // 50 + hours


def sound(random: np.random.Generator, rate: int, seconds: float) -> np.ndarray:
    """Noise, with tones and clicks in it now and then: labels are to change."""
    count = int(rate * seconds)
    samples = random.standard_normal(count).astype(np.float32) * 200
    for _ in range(max(1, int(seconds / 4))):
        at, length = int(random.integers(0, count)), int(rate * random.uniform(0.2, 1.5))
        times = np.arange(min(length, count - at), dtype=np.float32) / rate
        tone = np.sin(2 * np.pi * random.uniform(200, 6000) * times) * np.exp(-times * random.uniform(0.5, 8))
        samples[at : at + len(times)] += tone.astype(np.float32) * 12_000
    return np.clip(samples, -32_768, 32_767).astype(np.int16)


def write_recording(path: Path, samples: np.ndarray, rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    form = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG"}[path.suffix.lower()]
    # By its bytes, which are not always Unicode.
    soundfile.write(os.fsencode(path), samples, rate, format=form)


def _write_bad(folder: Path, index: int, random: np.random.Generator) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if index % _BAD_KINDS == 0:
        (folder / f"empty{index}.wav").write_bytes(b"")
    elif index % _BAD_KINDS == 1:
        write_recording(folder / f"truncated{index}.wav", sound(random, 48_000, 12.0), 48_000)
        os.truncate(folder / f"truncated{index}.wav", 400_000)
    elif index % _BAD_KINDS == 2:
        (folder / f"noise{index}.wav").write_bytes(random.bytes(100_000))
    else:
        path = folder / f"flipped{index}.flac"
        write_recording(path, sound(random, 32_000, 12.0), 32_000)
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 4000] = random.bytes(4000)
        path.write_bytes(content)
