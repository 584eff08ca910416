"""Plays labelled recordings to a model as the daemon hears them: the same windows, interpreter and decision stage.

Each is played in a quiet room, so that events can begin and end. Nothing here judges.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.audio.file import FileSource
from audiomon.audio.mono import MonoStream, can_resample
from audiomon.audio.source import Block, Source
from audiomon.clock import SystemClock
from audiomon.config import DecisionRules, Decisions, Document, decision_rules
from audiomon.errors import InputError
from audiomon.features import LogMelSpec
from audiomon.lab.train.activity import ENOUGH, FramePower, activity
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
# Part of a window (or of a recording shorter than one) that must lie within the recording.
_INSIDE = 0.95
# Where a recording's sound is does not depend on the model that hears it: frames of 93 ms, whatever it reads.
_ACTIVITY_SPEC = LogMelSpec()
_SAMPLES_AT_ONCE = 1 << 17


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
        sound_at_s: where the recording's sound begins, in seconds from its start.
    """

    sound: Sound
    duration_s: float
    heard_s: float
    end_s: Float64
    scores: Float32
    counted: Bool
    events: tuple[HeardEvent, ...]
    window_s: float
    sound_at_s: float = 0.0

    @property
    def clip_scores(self) -> Float32:
        """The mean of the counted windows' scores: shape (labels,)."""
        return np.asarray(self.scores[self.counted].mean(axis=0), dtype=np.float32)


class _Room:
    """A source: a recording with a quiet room before and after it."""

    def __init__(self, inner: FileSource, room_s: float) -> None:
        self._inner: Source = inner
        self.name = inner.name
        self.sample_rate = inner.sample_rate
        self.channels = inner.channels
        self.live = False
        self._rng = np.random.default_rng(5)
        self._left = [round(room_s * self.sample_rate)] * 2
        self._position = 0

    def read(self, frames: int) -> Block | None:
        """Return noise, then the recording, then noise."""
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
        """How many frames have been read."""
        return self._position

    def rewind(self, frames: int) -> int:  # noqa: ARG002  # Source's signature
        """Go nowhere: what was read is gone."""
        return 0

    def close(self) -> None:
        """Close the recording."""
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


@dataclass(frozen=True, slots=True)
class Playback:
    """What a model said to a recording in a quiet room; times in seconds from the recording's start.

    Attributes:
        duration_s: of the recording.
        hop_s: between windows.
        end_s: end of each window, shape (n,).
        scores: shape (n, labels).
        events: labels that turned on.
    """

    duration_s: float
    hop_s: float
    end_s: Float64
    scores: Float32
    events: tuple[HeardEvent, ...]


def play(path: Path, classifier: Classifier, rules: DecisionRules, hop_s: float, room_s: float = ROOM_S) -> Playback:
    """Play one recording to a model.

    Args:
        path: of the recording.
        classifier: the model.
        rules: when scores become events.
        hop_s: wanted seconds between windows.
        room_s: of quiet before the recording, and after it.

    Raises:
        InputError: the recording is damaged or empty.
    """
    file = FileSource(path)
    source = _Room(file, room_s)
    listener = Listener(source, classifier, rules, hop_s=hop_s, channel="mix", clock=SystemClock())
    ends, scores, events = [], [], []
    try:
        while not listener.ended:
            heard = listener.next()
            if heard is None or heard.prediction is None:
                continue
            ends.append(heard.prediction.position_s - room_s)
            scores.append(heard.prediction.scores)
            events += [HeardEvent(one.label, one.position_s - room_s) for one in heard.events if one.state == "on"]
    finally:
        file.close()
    if not file.duration_s:
        raise InputError(f"{path}: is empty")
    return Playback(
        file.duration_s, listener.windows.hop_s, np.array(ends), np.array(scores, dtype=np.float32), tuple(events)
    )


def hear(
    sound: Sound, classifier: Classifier, rules: DecisionRules | None = None, hop_s: float = DEFAULT_HOP_S
) -> HeardSound:
    """Play one labelled recording to a model, and say which of its windows count.

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
    played = play(sound.path, classifier, rules, hop_s)
    window_s = classifier.spec.window_s
    active, spec = _active(sound.path)
    return HeardSound(
        sound,
        played.duration_s,
        played.duration_s + 2 * ROOM_S,
        played.end_s,
        played.scores,
        _counted(played, window_s, active, spec),
        played.events,
        window_s,
        float(active.argmax()) * spec.hop_length / spec.sample_rate,
    )


def _active(path: Path) -> tuple[Bool, LogMelSpec]:
    """Say in which frames a recording holds its sound, shape (frames,), and what frames these are."""
    waiting = np.empty(0, dtype=np.float32)
    levels = []
    file = FileSource(path)
    try:
        spec = _ACTIVITY_SPEC if can_resample() else _at_rate(file.sample_rate)
        power = FramePower(spec)
        stream = MonoStream(file, spec.sample_rate)
        while (stretch := stream.read(_SAMPLES_AT_ONCE)) is not None:
            waiting = np.concatenate([waiting, stretch.samples])
            levels.append(power.mean_square(power.frames(waiting)))
            waiting = waiting[len(levels[-1]) * spec.hop_length :]
    finally:
        file.close()
    mean_square = np.concatenate(levels)
    return activity(mean_square) if len(mean_square) else np.ones(1, dtype=bool), spec


def _at_rate(sample_rate: int) -> LogMelSpec:
    """Return frames as long as those of `_ACTIVITY_SPEC`, of a recording that cannot be converted."""
    ratio = sample_rate / _ACTIVITY_SPEC.sample_rate
    n_fft, hop_length = (round(ratio * length) for length in (_ACTIVITY_SPEC.n_fft, _ACTIVITY_SPEC.hop_length))
    return msgspec.structs.replace(_ACTIVITY_SPEC, sample_rate=sample_rate, n_fft=n_fft, hop_length=hop_length)


def _counted(played: Playback, window_s: float, active: Bool, spec: LogMelSpec) -> Bool:
    """Choose the windows that lie within the recording and hold its sound, as training draws them.

    Args:
        played: windows and the recording's length.
        window_s: length of a window.
        active: frames with sound.
        spec: of these frames.
    """
    end_s, duration_s = played.end_s, played.duration_s
    overlap = np.minimum(end_s, duration_s) - np.maximum(end_s - window_s, 0)
    inside = overlap >= min(_INSIDE * min(window_s, duration_s), overlap.max() - 1e-9)
    middle_s = (np.arange(len(active)) * spec.hop_length + spec.n_fft / 2) / spec.sample_rate
    until = np.concatenate([[0], np.cumsum(active)])
    held = until[np.searchsorted(middle_s, end_s)] - until[np.searchsorted(middle_s, end_s - window_s)]
    frame_s = spec.hop_length / spec.sample_rate
    enough = min(round(ENOUGH * window_s / frame_s), int(held[inside].max()))
    return np.asarray(inside & (held >= enough))
