"""Mel powers of whole recordings, computed once by the front end that serves the model, and cached on disk.

A recording is read in pieces and its frames are written as they come, so one of ten hours needs no more memory than one
of five seconds.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.audio.file import FileSource
from audiomon.audio.mono import MonoStream
from audiomon.errors import AudiomonError, InputError
from audiomon.features import LogMel, LogMelSpec
from audiomon.lab.train.dataset import Sound, named

Float32 = NDArray[np.float32]

# Raised when what is cached changes its meaning.
_FORMAT = 1
_SAMPLES_AT_ONCE = 1 << 17
# Below a sixteenth of the smallest step of 16 bits, nothing was recorded.
_SILENT_PEAK = 2e-6
# Files up to this size are read whole; larger ones are mapped.
_MAPPED_FROM_BYTES = 16 << 20


class _Measured(msgspec.Struct, frozen=True):
    """What is kept beside the frames."""

    digest: str
    samples: int
    peak: float


@dataclass(frozen=True, slots=True)
class Frames:
    """A recording's mel powers, on disk.

    Attributes:
        path: raw float32, frame by frame.
        n_mels: bands.
        digest: of the samples: equal for equal sound, whatever the file format.
        duration_s: of the recording as it is played.
        peak: largest magnitude of a sample.
    """

    path: Path
    n_mels: int
    digest: str
    duration_s: float
    peak: float

    @property
    def count(self) -> int:
        """How many frames there are."""
        return self.path.stat().st_size // (4 * self.n_mels)

    def open(self) -> Float32:
        """Return the frames: float32, shape (count, n_mels); not to be written to."""
        if self.count * self.n_mels * 4 < _MAPPED_FROM_BYTES:
            return np.fromfile(self.path, dtype=np.float32).reshape(-1, self.n_mels)
        return np.memmap(self.path, dtype=np.float32, mode="r", shape=(self.count, self.n_mels))


def powers_spec(spec: LogMelSpec) -> LogMelSpec:
    """Return the spec of the mel powers behind a log-mel spec, which add where sounds are mixed.

    The same for windows of any length, so that they share what is cached.
    """
    return msgspec.structs.replace(spec, power=2, log="none", ref=1.0, top_db=None, normalization=None, frames=1)


def check_spec(spec: LogMelSpec) -> None:
    """Refuse windows that mixing powers cannot make.

    Raises:
        InputError: the spec sums magnitudes or takes no logarithm.
    """
    if spec.power != 2 or spec.log != "db":
        raise InputError("training mixes sounds as powers: the features must have power=2 and log=db")
    if spec.layout != "frames-bands":
        raise InputError("the networks that are trained here read frames by bands: the features must have that layout")


def finish_windows(powers: Float32, spec: LogMelSpec) -> Float32:
    """Turn windows of mel powers into what the model reads, many at once: as `LogMel.finish` does for one.

    Args:
        powers: shape (n, frames, n_mels).
        spec: of the model's input.

    Returns:
        float32, same shape.
    """
    front_end = LogMel(spec)
    reference = 1.0 if spec.ref == "max" else max(spec.amin, spec.ref)
    decibels = 10 * np.log10(np.maximum(powers, np.float32(spec.amin))) - np.float32(10 * np.log10(reference))
    return np.stack([front_end.finish(window) for window in decibels.astype(np.float32)])


def cache_folder() -> Path:
    """Return where features and unfinished trainings are kept: ``$XDG_CACHE_HOME/audiomon``, else ``~/.cache/…``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "audiomon"


def compute_frames(
    sounds: list[Sound], spec: LogMelSpec, speed: float, progress: Callable[[int], None]
) -> tuple[list[Frames | None], dict[str, str]]:
    """Compute the mel powers of recordings, or find them in the cache.

    Args:
        sounds: the recordings.
        spec: of the model's input.
        speed: 1.0 as recorded; 1.1 played a tenth faster.
        progress: called with 1 after each.

    Returns:
        Each one's frames, None for those that cannot be used; and why, by name.

    Raises:
        AudiomonError: the cache cannot be written.
    """
    folder = cache_folder() / "features"
    found: list[Frames | None] = []
    refused: dict[str, str] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for sound in sounds:
            try:
                frames = _frames(sound.path, powers_spec(spec), speed, folder)
            except InputError as error:
                found.append(None)
                refused[sound.name] = str(error)
            else:
                found.append(frames)
                if frames.peak <= _SILENT_PEAK:
                    refused[sound.name] = f"{sound.path}: is silent"
            progress(1)
    except OSError as error:
        raise AudiomonError(
            f"{folder}: the cache of features cannot be written: {error.strerror}; XDG_CACHE_HOME names another place"
        ) from None
    return found, refused


def duplicates(sounds: list[Sound], frames: list[Frames | None]) -> list[tuple[Sound, Sound]]:
    """Return pairs of recordings of the same sound that a split, or their labels, would keep apart."""
    first: dict[str, Sound] = {}
    pairs = []
    for sound, one in zip(sounds, frames, strict=True):
        if one is None:
            continue
        other = first.setdefault(one.digest, sound)
        if other.fold != sound.fold or other.label != sound.label:
            pairs.append((other, sound))
    return pairs


def refuse(folder: Path, refused: dict[str, str], pairs: list[tuple[Sound, Sound]]) -> None:
    """Refuse a data set with recordings that cannot be used.

    Raises:
        InputError: there are any; the message names them.
    """
    reasons = list(refused.values()) + [
        f"{one.path} and {other.name} are the same recording, of {_apart(one, other)}" for one, other in pairs
    ]
    if reasons:
        count = f"{len(reasons)} recordings" if len(reasons) > 1 else "a recording"
        raise InputError(
            f"{folder}: {count} cannot be used: {'; '.join(reasons[:8])}{' …' if len(reasons) > 8 else ''}; "
            f"delete or fix {'them' if len(reasons) > 1 else 'it'}, or --skip-bad to train without"
        )


def _apart(one: Sound, other: Sound) -> str:
    return named(f"{sound.label} in fold {sound.fold}" for sound in (one, other))


def _frames(path: Path, spec: LogMelSpec, speed: float, folder: Path) -> Frames:
    status = path.stat()
    key = msgspec.json.encode([_FORMAT, str(path.resolve()), status.st_size, status.st_mtime_ns, spec, speed])
    stem = folder / hashlib.blake2b(key, digest_size=16).hexdigest()
    frames, notes = stem.with_suffix(".f32"), stem.with_suffix(".json")
    if not notes.exists() or not frames.exists():
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as draft:
            try:
                measured = _write_frames(path, spec, speed, draft)
                draft.flush()
                os.replace(draft.name, frames)
            except BaseException:
                os.unlink(draft.name)
                raise
        # Last, and at once: what has notes is whole, also to another training that reads them now.
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as written:
            written.write(msgspec.json.encode(measured))
        os.replace(written.name, notes)
    else:
        measured = msgspec.json.decode(notes.read_bytes(), type=_Measured)
    return Frames(frames, spec.n_mels, measured.digest, measured.samples / spec.sample_rate, measured.peak)


def _write_frames(
    path: Path, spec: LogMelSpec, speed: float, draft: "tempfile._TemporaryFileWrapper[bytes]"
) -> _Measured:
    source = FileSource(path)
    # Read at another rate and taken for the spec's, a sound is slower or faster.
    stream = MonoStream(source, round(spec.sample_rate / speed))
    log_mel = LogMel(spec)
    digest = hashlib.blake2b(digest_size=16)
    waiting = np.empty(0, dtype=np.float32)
    total, peak = 0, 0.0
    try:
        while (stretch := stream.read(_SAMPLES_AT_ONCE)) is not None:
            samples = stretch.samples
            digest.update(samples.tobytes())
            total += len(samples)
            peak = max(peak, float(np.abs(samples).max(initial=0.0)))
            waiting = np.concatenate([waiting, samples])
            frames = log_mel.frames(waiting)
            draft.write(frames.tobytes())
            waiting = waiting[len(frames) * spec.hop_length :]
    finally:
        source.close()
    if total == 0:
        raise InputError(f"{path}: is empty")
    if total < spec.n_fft:
        draft.write(log_mel.frames(np.pad(waiting, (0, spec.n_fft - total))).tobytes())
    return _Measured(digest.hexdigest(), total, peak)
