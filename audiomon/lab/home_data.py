"""The recordings behind ``models/home``: who is trained on, who is held out, and what each window is called.

ESC-10 in its published folds, public-domain speech by contributor, and sounds made by `generated`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiomon.errors import InputError
from audiomon.lab.generated import machine_sounds, synthetic_speech
from audiomon.lab.mixing import Clip, Kind, Mixer, window_starts
from audiomon.lab.recordings import FramePower, Recording, activity, read_mono

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

LABELS = ("background", "baby_cry", "dog_bark", "speech")
# A window holds a sound when this many of its frames do, 23 ms each: with less, nobody could name it. A bark is short.
_ENOUGH_FRAMES = {"baby_cry": 11, "dog_bark": 7, "speech": 11}
# What is most easily taken for one of the classes is drawn more often.
_HARD = {"rooster": 2.0, "person_sneeze": 3.0, "clock_tick": 3.0, "chainsaw": 1.5}
# Played slower and faster: other sizes of dog and of larynx.
_SPEEDS = {"background": (0.9, 1.0, 1.1), "baby_cry": (0.92, 1.0, 1.08), "dog_bark": (0.8, 0.9, 1.0, 1.1, 1.25)}
_SPEEDS["speech"] = (0.82, 0.9, 1.0, 1.1, 1.22)
_GENERATED_SPEECH = 120
_GENERATED_MACHINES = 200
# A pause this far below the loudest frame is the room, not a faint rest of the sound.
_PAUSE_BELOW_PEAK_DB = 30.0
_SHARES = [0.49, 0.17, 0.17, 0.17]


def load_recordings(data: Path, sample_rate: int) -> list[Recording]:
    """Read ``esc10/`` and ``speech/``; classes other than a cry and a bark are background.

    Args:
        data: a folder with ``esc10/CLASS/FOLD-ID-TAKE.ogg`` and ``speech/clips/*.wav`` beside ``speech/SOURCE.md``,
            whose lines ``folder,file,group,contributor`` say who spoke.
        sample_rate: to resample to, in Hz.

    Raises:
        InputError: the folder is not like that.
    """
    recordings = []
    for path in sorted(data.glob("esc10/*/*.ogg")):
        kind = path.parent.name
        samples = read_mono(path, sample_rate)
        recordings.append(Recording(f"{kind}/{path.name}", kind, f"fold {path.name[0]}", samples))
    for line in _lines(data / "speech" / "SOURCE.md"):
        folder, name, _, speaker = line.split(",")
        path = data / "speech" / folder / name
        if path.exists():
            label = "noise" if folder == "noise" else "speech"
            recordings.append(Recording(name, label, speaker, read_mono(path, sample_rate)))
    if not recordings:
        raise InputError(f"{data}: holds no esc10/CLASS/*.ogg and no speech/clips/*.wav")
    return recordings


def _lines(source: Path) -> list[str]:
    if not source.exists():
        raise InputError(f"{source}: is missing; it says who spoke in which file")
    lines = source.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith(("clips,", "noise,")) and line.count(",") == 3]


def generated_recordings(sample_rate: int, seed: int) -> list[Recording]:
    """Make the sounds that no recording has: machines and quiet, and synthetic voices."""
    rng = np.random.default_rng(seed)
    machines = machine_sounds(_GENERATED_MACHINES, sample_rate, rng)
    voices = synthetic_speech(_GENERATED_SPEECH, sample_rate, rng)
    return [Recording(name, "machine", "generated", samples) for name, samples in machines] + [
        Recording(name, "speech", "generated", samples) for name, samples in voices
    ]


def training_mixer(recordings: list[Recording], power: FramePower) -> Mixer:
    """Compute every recording's mel powers at every speed, once, and say what may be cut from where."""
    frames = power.spec.frames
    clips: dict[str, list[Clip]] = {label: [] for label in (*LABELS, "pauses")}
    for recording in recordings:
        label = recording.label if recording.label in LABELS else "background"
        for speed in _SPEEDS[label]:
            # Silence around a recording lets its sound stand anywhere in the window; mixing fills it.
            padding = np.zeros(0 if label == "background" else power.spec.window_samples // 2, dtype=np.float32)
            samples = np.concatenate([padding, _faster(recording.samples, speed), padding])
            powers = power.frames(samples)
            if len(powers) < frames:
                continue
            mean_square = power.mean_square(powers)
            if label == "background":
                starts = np.arange(len(powers) - frames + 1)
                scale = np.percentile(mean_square, 95)
                if scale > 1e-12:
                    weight = _HARD.get(recording.label, 1.0)
                    clips[label].append(Clip(powers / scale, starts, weight))
                continue
            inside = slice(len(padding) // power.spec.hop_length + 1, -(len(padding) // power.spec.hop_length) - 1)
            active = np.zeros(len(powers), dtype=bool)
            quiet = np.zeros(len(powers), dtype=bool)
            active[inside], quiet[inside] = activity(mean_square[inside])
            scale = mean_square[active].mean()
            clips[label].append(Clip(powers / scale, window_starts(active, frames, _ENOUGH_FRAMES[label])))
            if speed == 1.0:
                level_db = 10 * np.log10(mean_square + 1e-12)
                floor_db = np.percentile(level_db[inside], 5)
                still = quiet & (level_db < floor_db + 3) & (level_db < level_db.max() - _PAUSE_BELOW_PEAK_DB)
                clips["pauses"].append(_pause(powers[still], power, frames))
    background = [Kind(clips["background"]), Kind(clips["pauses"])]
    return Mixer([Kind(clips[label]) for label in LABELS[1:]], background, power, _SHARES)


def _faster(samples: Float32, speed: float) -> Float32:
    if speed == 1.0:
        return samples
    import soxr

    return np.asarray(soxr.resample(samples, round(10_000 * speed), 10_000), dtype=np.float32)


def _pause(quiet: Float32, power: FramePower, frames: int) -> Clip:
    """The room of a recording without its sound: its quiet frames, repeated to fill a window."""
    mean_square = power.mean_square(quiet)
    quiet = quiet[mean_square > 1e-11]
    if len(quiet) < frames // 4:
        return Clip(quiet, np.empty(0, dtype=np.int64))
    tiled = np.concatenate([quiet, quiet[::-1]] * (1 + frames // len(quiet)))
    return Clip(tiled / float(power.mean_square(tiled).mean()), np.arange(len(tiled) - frames + 1), 0.15)


@dataclass(frozen=True, slots=True)
class JudgedWindows:
    """Windows of held-out recordings, and what they are.

    Attributes:
        windows: log-mel, as a model reads them, shape (n, frames, n_mels).
        labels: class numbers, shape (n,).
        level_db: mean level within the mel bands, in dBFS, shape (n,).
        recording: index into the recordings, shape (n,).
    """

    windows: Float32
    labels: Int64
    level_db: Float32
    recording: Int64


def judged_windows(recordings: list[Recording], power: FramePower, hop_frames: int) -> JudgedWindows:
    """Cut recordings into windows and label each by what it holds.

    A window holds the recording's sound if at least 0.25 s of it do (0.16 s of a bark); one that certainly holds none
    of it is background; what lies between is left out. All of a background recording is background.
    """
    from audiomon.features import LogMel

    spec = power.spec
    log_mel = LogMel(spec)
    windows, labels, levels, owners = [], [], [], []
    for index, recording in enumerate(recordings):
        samples = recording.samples
        short = spec.window_samples - len(samples)
        if short > 0:
            samples = np.concatenate([samples, np.zeros(short, dtype=np.float32)])
        frames = log_mel.frames(samples)
        mean_square = power.mean_square(power.frames(samples))
        active, quiet = activity(mean_square)
        is_sound = recording.label in LABELS[1:]
        enough = _ENOUGH_FRAMES.get(recording.label, spec.frames)
        held = set(window_starts(active, spec.frames, enough).tolist())
        free = set(window_starts(quiet, spec.frames, spec.frames).tolist())
        for start in range(0, len(frames) - spec.frames + 1, hop_frames):
            if is_sound and start not in held and start not in free:
                continue
            here = slice(start, start + spec.frames)
            windows.append(log_mel.finish(frames[here]))
            labels.append(LABELS.index(recording.label) if is_sound and start in held else 0)
            levels.append(10 * np.log10(mean_square[here].mean() + 1e-12))
            owners.append(index)
    return JudgedWindows(
        np.array(windows, dtype=np.float32), np.array(labels), np.array(levels, dtype=np.float32), np.array(owners)
    )
