"""Plays labelled recordings to a model as the daemon hears them: the same windows, interpreter and decision stage.

Each is played in a quiet room, so that events can begin and end. Nothing here judges.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiomon.audio.file import FileSource
from audiomon.audio.level import LevelMeter
from audiomon.audio.source import Block, Source
from audiomon.clock import SystemClock
from audiomon.config import DecisionRules, Decisions, Document, decision_rules
from audiomon.errors import InputError
from audiomon.lab.train.dataset import Sound
from audiomon.models.classifier import Classifier
from audiomon.models.interpreter import choose_backend
from audiomon.models.manifest import Manifest
from audiomon.models.package import ModelPackage
from audiomon.pipeline.listener import Listener

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

# As often as the daemon predicts by default.
DEFAULT_HOP_S = 0.5
ROOM_S = 3.0
ROOM_DBFS = -70.0
# A window this far below the recording's loudest holds nothing of what the recording is named for.
COUNTED_BELOW_LOUDEST_DB = 25.0
# Part of a window (or of a recording shorter than one) that must lie within the recording.
_INSIDE = 0.95


@dataclass(frozen=True, slots=True)
class HeardEvent:
    """A label that turned on: which, and when, in seconds from the recording's start."""

    label: str
    at_s: float


@dataclass(frozen=True, slots=True)
class HeardSound:
    """One recording, and what a model said.

    Attributes:
        sound: which, with its true label (a model's, not a folder's, where they differ).
        duration_s: of the recording.
        heard_s: time that it was listened to, the room included.
        end_s: end of each window, in seconds from the recording's start, shape (n,).
        scores: shape (n, labels).
        counted: windows that lie within the recording and hold its sound, shape (n,).
        events: labels that turned on.
        window_s: length of a window.
    """

    sound: Sound
    duration_s: float
    heard_s: float
    end_s: Float64
    scores: Float32
    counted: Bool
    events: tuple[HeardEvent, ...]
    window_s: float

    @property
    def clip_scores(self) -> Float32:
        """The mean of the counted windows' scores: shape (labels,)."""
        return np.asarray(self.scores[self.counted].mean(axis=0), dtype=np.float32)


class _Room:
    """A recording with a quiet room before and after it; see `Source`."""

    def __init__(self, inner: FileSource) -> None:
        self._inner: Source = inner
        self.name = inner.name
        self.sample_rate = inner.sample_rate
        self.channels = inner.channels
        self.live = False
        self._rng = np.random.default_rng(5)
        self._left = [round(ROOM_S * self.sample_rate)] * 2
        self._position = 0

    def read(self, frames: int) -> Block | None:
        """See `Source.read`."""
        if self._left[0]:
            return self._noise(0, frames)
        block = self._inner.read(frames)
        if block is None:
            return self._noise(1, frames) if self._left[1] else None
        moved = Block(self._position, block.samples, 0, block.captured_ns)
        self._position += len(block.samples)
        return moved

    @property
    def captured_end(self) -> int:
        """See `Source`."""
        return self._position

    def rewind(self, frames: int) -> int:  # noqa: ARG002  # Source's signature
        """See `Source.rewind`. Never back."""
        return 0

    def close(self) -> None:
        """See `Source.close`."""
        self._inner.close()

    def _noise(self, side: int, frames: int) -> Block:
        frames = min(frames, self._left[side])
        self._left[side] -= frames
        noise = self._rng.standard_normal((frames, 1)).astype(np.float32) * np.float32(10 ** (ROOM_DBFS / 20))
        block = Block(self._position, np.repeat(noise, self.channels, axis=1), 0, 0)
        self._position += frames
        return block


def unwritten(manifest: Manifest, content: bytes) -> Classifier:
    """Load a model that is in no folder yet, such as that of one fold."""
    package = ModelPackage(Path(manifest.name), manifest, Document(Path(manifest.name), {}, {}), content)
    return Classifier(package, choose_backend("auto"))


def hear(
    sound: Sound, classifier: Classifier, rules: DecisionRules | None = None, hop_s: float = DEFAULT_HOP_S
) -> HeardSound:
    """Play one recording.

    Args:
        sound: labelled with one of the model's labels.
        classifier: the model.
        rules: when scores become events; the package's own if None.
        hop_s: wanted seconds between windows.

    Raises:
        InputError: the recording is damaged or empty.
    """
    manifest = classifier.package.manifest
    rules = rules or decision_rules(manifest.labels, manifest.decisions, Decisions())
    file = FileSource(sound.path)
    meter = LevelMeter()
    listener = Listener(_Room(file), classifier, rules, hop_s=hop_s, channel="mix", clock=SystemClock(), level=meter)
    ends, scores, levels, events = [], [], [], []
    try:
        while not listener.ended:
            heard = listener.next()
            if heard is None or heard.prediction is None:
                continue
            ends.append(heard.prediction.position_s - ROOM_S)
            scores.append(heard.prediction.scores)
            levels.append(meter.take_dbfs() or -120.0)
            events += [HeardEvent(one.label, one.position_s - ROOM_S) for one in heard.events if one.state == "on"]
    finally:
        file.close()
    duration_s = file.duration_s
    if not duration_s:
        raise InputError(f"{sound.path}: is empty")
    end_s = np.array(ends)
    counted = _counted(end_s, np.array(levels), classifier.spec.window_s, listener.windows.hop_s, duration_s)
    return HeardSound(
        sound,
        duration_s,
        duration_s + 2 * ROOM_S,
        end_s,
        np.array(scores, dtype=np.float32),
        counted,
        tuple(events),
        classifier.spec.window_s,
    )


def _counted(end_s: Float64, hop_dbfs: Float64, window_s: float, hop_s: float, duration_s: float) -> Bool:
    """Choose the windows that lie within a recording and are not silent beside its loudest.

    Args:
        end_s: of the windows, from the recording's start.
        hop_dbfs: level of what each window has that the one before had not.
        window_s: length of a window.
        hop_s: between windows.
        duration_s: of the recording.
    """
    overlap = np.minimum(end_s, duration_s) - np.maximum(end_s - window_s, 0)
    inside = overlap >= min(_INSIDE * min(window_s, duration_s), overlap.max() - 1e-9)
    hops = max(1, round(window_s / hop_s))
    power = np.convolve(10 ** (hop_dbfs / 10), np.ones(hops) / hops)[: len(end_s)]
    loud = power >= power[inside].max() * 10 ** (-COUNTED_BELOW_LOUDEST_DB / 10)
    return np.asarray(inside & loud)
