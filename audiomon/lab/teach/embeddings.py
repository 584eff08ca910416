"""A network's embedding of recordings, window by window as the daemon cuts them: computed once, and kept on disk.

The interpreter that serves computes it. Nothing here decides what is learned from.
"""

import dataclasses
import functools
import hashlib
import inspect
import io
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import soundfile
from numpy.typing import NDArray

from audiomon.audio.mono import can_resample
from audiomon.config import DecisionRules, Decisions
from audiomon.errors import AudiomonError, InputError
from audiomon.features import whole_window
from audiomon.lab.evaluate import hearing
from audiomon.lab.evaluate.hearing import DEFAULT_HOP_S, HeardSound, hear, unwritten
from audiomon.lab.teach import background
from audiomon.lab.teach.background import generated_sounds
from audiomon.lab.teach.fusing import Embedding, cut, features
from audiomon.lab.train import activity
from audiomon.lab.train.dataset import Sound
from audiomon.lab.train.features import cache_folder
from audiomon.models.classifier import Classifier
from audiomon.models.manifest import OutputSpec
from audiomon.models.package import ModelPackage

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

_BLOCK_S = 0.01
_BLOCKS_AT_ONCE = 3000
# What is quieter than any recording.
_FLOOR = 1e-12
# Within four steps of 16 bits, nothing was recorded but what the microphone adds: a constant, and its own last bits.
_SILENT_RANGE = 4 / 32768
_NO_EVENTS = DecisionRules(0.0, {})
# Which windows count and what is generated is decided here: with another text, what is cached may be wrong.
_DECIDING = (hearing, activity, background, sys.modules[__name__])
# What computes the embeddings is asked instead, with a sound: no model's rate, so that it is converted if possible.
_PROBE_RATE, _PROBE_S = 22_000, 1.0


@dataclass(frozen=True, slots=True)
class Embedded:
    """A recording, and the network's embedding of it.

    Attributes:
        heard: as it was played, its ``scores`` being embeddings, shape (n, size); it has no events.
        level_db: of the recording under each window, in dB of full scale, shape (n,).
        digest: of its samples: equal for equal sound.
        sample_rate: of the file, in Hz.
        silent: whether nothing was recorded.
    """

    heard: HeardSound
    level_db: Float64
    digest: str
    sample_rate: int
    silent: bool

    @property
    def overlap(self) -> Float64:
        """Which part of each window, or of a recording shorter than one, the recording fills: shape (n,)."""
        heard = self.heard
        filled = np.minimum(heard.end_s, heard.duration_s) - np.maximum(heard.end_s - heard.window_s, 0)
        return np.asarray(np.clip(filled / min(heard.window_s, heard.duration_s), 0, 1))


class Ear:
    """A network that answers with its embedding. Belongs to one thread.

    Args:
        package: the network's, which has passed its check.
        embedding: which of its tensors.
    """

    def __init__(self, package: ModelPackage, embedding: Embedding) -> None:
        self.embedding = embedding
        manifest = msgspec.structs.replace(
            package.manifest,
            labels=tuple(map(str, range(embedding.size))),
            output=OutputSpec(),
            decisions=Decisions(),
            self_test=(),
        )
        content = cut(package.content, embedding)
        self.classifier: Classifier = unwritten(manifest, content)
        self._network = [hashlib.sha256(content).hexdigest(), manifest.input, self.classifier.interpreter.version]

    def features(self, embeddings: Float32) -> Float32:
        """Return what a head reads; see `audiomon.lab.teach.fusing.features`."""
        return features(embeddings, self.embedding)

    def generated(self, count: int, progress: Callable[[int], None]) -> Float32:
        """Return the embeddings of generated background, shape (count, size), or find them in the cache.

        Args:
            count: how many sounds.
            progress: called with 1 after each.
        """
        path = self._cached([count])
        try:
            found = np.load(path)
        except (OSError, ValueError, EOFError):
            found = np.empty((count, self.embedding.size), dtype=np.float32)
            spec = self.classifier.spec
            for row, samples in zip(found, generated_sounds(count, spec.window_samples, spec.sample_rate), strict=True):
                row[:] = self.classifier.scores(whole_window(spec, samples))
                progress(1)
            content = io.BytesIO()
            np.save(content, found)
            _write(path, content.getvalue())
        else:
            progress(count)
        return np.asarray(found, dtype=np.float32)

    def _cached(self, key: list[Any]) -> Path:
        whole = msgspec.json.encode([*self._network, self._probed, *key])
        return cache_folder() / "embeddings" / f"{hashlib.blake2b(whole, digest_size=16).hexdigest()}.npz"

    @functools.cached_property
    def _probed(self) -> str:
        """Digest of the code that decides, and of what the code that computes makes of a known sound."""
        digest = hashlib.blake2b(digest_size=16)
        for module in _DECIDING:
            digest.update(inspect.getsource(module).encode())
        rate = _PROBE_RATE if can_resample() else self.classifier.spec.sample_rate
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "probe.wav"
            noise = 0.1 * np.random.default_rng(6).standard_normal(round(rate * _PROBE_S))
            soundfile.write(path, noise, rate, subtype="PCM_16")
            for name, value in _fields(self._embed(Sound(path, path.name, ""), DEFAULT_HOP_S)).items():
                digest.update(name.encode())
                digest.update(np.asarray(value).tobytes())
        return digest.hexdigest()

    def embedded(self, sound: Sound, hop_s: float = DEFAULT_HOP_S) -> Embedded:
        """Play a recording, or find it in the cache.

        Raises:
            InputError: it is damaged or empty.
            AudiomonError: the cache cannot be written.
        """
        status = sound.path.stat()
        path = self._cached([str(sound.path.resolve()), status.st_size, status.st_mtime_ns, hop_s])
        found = _load(path, sound)
        if found is None:
            found = self._embed(sound, hop_s)
            _save(path, found)
        return found

    def _embed(self, sound: Sound, hop_s: float) -> Embedded:
        heard = hear(sound, self.classifier, _NO_EVENTS, hop_s)
        measured = _measure(sound.path)
        return Embedded(heard, measured.levels(heard), measured.digest, measured.sample_rate, measured.silent)


@dataclass(frozen=True, slots=True)
class _Measured:
    powers: Float64  # cumulated mean squares of blocks, shape (blocks + 1,)
    digest: str
    sample_rate: int
    silent: bool

    def levels(self, heard: HeardSound) -> Float64:
        ends = np.clip(np.round(heard.end_s / _BLOCK_S), 0, len(self.powers) - 1).astype(int)
        begins = np.clip(np.round((heard.end_s - heard.window_s) / _BLOCK_S), 0, len(self.powers) - 1).astype(int)
        # Of the part that the recording fills: what is short is not for that quiet.
        mean = (self.powers[ends] - self.powers[begins]) / np.maximum(ends - begins, 1)
        return np.asarray(10 * np.log10(mean + _FLOOR))


def _measure(path: Path) -> _Measured:
    digest = hashlib.blake2b(digest_size=16)
    powers = [np.zeros(1)]
    lowest, highest = np.inf, -np.inf
    try:
        with soundfile.SoundFile(path) as file:
            size = max(1, round(file.samplerate * _BLOCK_S))
            while len(samples := file.read(size * _BLOCKS_AT_ONCE, dtype="float32", always_2d=True)):
                mono = samples.mean(axis=1)
                digest.update(mono.tobytes())
                lowest, highest = min(lowest, float(mono.min())), max(highest, float(mono.max()))
                whole = np.pad(np.square(mono, dtype=np.float64), (0, -len(mono) % size))
                powers.append(whole.reshape(-1, size).mean(axis=1))
            rate = int(file.samplerate)
    except soundfile.SoundFileError as error:
        raise InputError(f"{path}: {error}") from None
    return _Measured(np.cumsum(np.concatenate(powers)), digest.hexdigest(), rate, highest - lowest <= _SILENT_RANGE)


def _fields(embedded: Embedded) -> dict[str, Any]:
    """Return all that is cached, by name."""
    heard = {
        f"heard_{field.name}": getattr(embedded.heard, field.name)
        for field in dataclasses.fields(HeardSound)
        if field.name not in ("sound", "events")
    }
    own = {field.name: getattr(embedded, field.name) for field in dataclasses.fields(Embedded) if field.name != "heard"}
    return own | heard


def _save(path: Path, embedded: Embedded) -> None:
    content = io.BytesIO()
    np.savez_compressed(content, **_fields(embedded))
    _write(path, content.getvalue())


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as draft:
            draft.write(content)
        os.replace(draft.name, path)
    except OSError as error:
        raise AudiomonError(
            f"{path.parent}: the cache of embeddings cannot be written: {error.strerror}; XDG_CACHE_HOME names another "
            f"place"
        ) from None


def _load(path: Path, sound: Sound) -> Embedded | None:
    """Read what is cached; None if nothing is, or it is damaged."""
    try:
        with np.load(path) as stored:
            kept: dict[str, Any] = {name: stored[name] if stored[name].ndim else stored[name].item() for name in stored}
        heard = {name.removeprefix("heard_"): kept.pop(name) for name in list(kept) if name.startswith("heard_")}
        return Embedded(HeardSound(sound=sound, events=(), **heard), **kept)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def embed_all(
    sounds: list[Sound], ear: Ear, progress: Callable[[int], None]
) -> tuple[list[Embedded | None], dict[str, str]]:
    """Embed recordings.

    Args:
        sounds: which.
        ear: the network.
        progress: called with 1 after each.

    Returns:
        Each one's embeddings, None for those that cannot be read; and why, by name.
    """
    found: list[Embedded | None] = []
    unreadable: dict[str, str] = {}
    for sound in sounds:
        try:
            found.append(ear.embedded(sound))
        except InputError as error:
            found.append(None)
            unreadable[sound.name] = str(error)
        progress(1)
    return found, unreadable
