"""How good a home model is on recordings that it never saw: windows one by one, and events as the daemon makes them.

Runs the finished package through the interpreter that serves it. Nothing here trains.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiomon.config import DecisionRules
from audiomon.features import LogMel, LogMelSpec
from audiomon.lab.evaluate.judgement import Answers, EventFigures
from audiomon.lab.home_data import LABELS, JudgedWindows
from audiomon.lab.recordings import Recording
from audiomon.models.interpreter import Interpreter
from audiomon.pipeline.decisions import DecisionStage

Float32 = NDArray[np.float32]

# Sounds below this are not counted: a microphone's own noise is not far.
QUIETEST_DB = -50.0
# Windows of `audiomon run` by default: half a second apart.
_HOP_FRAMES = 22
# A recording is heard after this much of a quiet room, and followed by as much, so that events can start and end.
_ROOM_S = 3.0
_ROOM_RMS = 10 ** (-70 / 20)


def count_windows(scores: Float32, judged: JudgedWindows) -> Answers:
    """Choose the windows that count: background at any level, the other classes from QUIETEST_DB up."""
    counted = (judged.labels == 0) | (judged.level_db >= QUIETEST_DB)
    return Answers(LABELS, judged.labels[counted], scores[counted])


@dataclass(frozen=True, slots=True)
class HeardRecording:
    """Scores of one held-out recording, window by window, as the daemon hears it.

    Attributes:
        recording: which.
        at_s: end of each window, counted from the recording's start, shape (n,).
        scores: shape (n, labels).
    """

    recording: Recording
    at_s: NDArray[np.float64]
    scores: Float32


def hear(recordings: list[Recording], interpreter: Interpreter, spec: LogMelSpec) -> Iterator[HeardRecording]:
    """Play each recording in a quiet room, a window every half second."""
    log_mel = LogMel(spec)
    rng = np.random.default_rng(5)
    room = int(_ROOM_S * spec.sample_rate)
    for recording in recordings:
        around = _ROOM_RMS * rng.standard_normal(2 * room + len(recording.samples)).astype(np.float32)
        around[room : room + len(recording.samples)] += recording.samples
        frames = log_mel.frames(around)
        starts = np.arange(0, len(frames) - spec.frames + 1, _HOP_FRAMES)
        scores = [interpreter.run(log_mel.finish(frames[start : start + spec.frames])) for start in starts]
        ends = (starts * spec.hop_length + spec.window_samples) / spec.sample_rate - _ROOM_S
        yield HeardRecording(recording, ends, np.array(scores, dtype=np.float32))


def count_events(heard: list[HeardRecording], rules: DecisionRules) -> dict[str, EventFigures]:
    """Run each recording's scores through a fresh decision stage, and count what it says, by class."""
    return {label: _count_events([one for one in heard if _label(one) == label], label, rules) for label in LABELS}


def _label(heard: HeardRecording) -> str:
    return heard.recording.label if heard.recording.label in LABELS else "background"


def _count_events(heard: list[HeardRecording], label: str, rules: DecisionRules) -> EventFigures:
    found = false = 0
    delays_s, seconds = [], 0.0
    for one in heard:
        stage = DecisionStage(LABELS, rules)
        before_s = -_ROOM_S
        seconds += float(one.at_s[-1]) + _ROOM_S
        own = []
        for at_s, scores in zip(one.at_s, one.scores, strict=True):
            for change in stage.update(scores, float(at_s), float(at_s) - before_s):
                if change.state == "on" and change.label == label:
                    own.append(float(at_s))
                elif change.state == "on":
                    false += 1
            before_s = float(at_s)
        found += bool(own)
        delays_s += own[:1]
    delay_s = float(np.median(delays_s)) if delays_s else float("nan")
    return EventFigures(label, len(heard), found, false, seconds / 3600, delay_s, label in rules.thresholds)
