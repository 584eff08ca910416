"""What the pipeline says: a prediction for every window, an event when a label turns on or off, a status now and then.

All immutable once handed on.
"""

from enum import StrEnum
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

# What a status is about, by name: a program reads these.
Facts = dict[str, str | int | float | dict[str, int]]


class Prediction(msgspec.Struct, frozen=True, gc=False):
    """What a model said about one window.

    Attributes:
        label: of the highest score.
        score: from 0 to 1.
        scores: float32, shape (labels,).
        labels: in the scores' order.
        position: of the window's end in the source's sample frames, from the start of the stream.
        position_s: the same in seconds.
        time_ns: wall-clock time of the window's end, nanoseconds since 1970-01-01 UTC.
        features_us: computing the window, in microseconds.
        inference_us: running the model, in microseconds.
        lag_ms: from the capture of the window's last sample to now that the prediction goes out, in milliseconds.
        lost: sample frames lost since the window before.
        model: name of the package that said it.
    """

    label: str
    score: float
    scores: NDArray[np.float32]
    labels: tuple[str, ...]
    position: int
    position_s: float
    time_ns: int
    features_us: float
    inference_us: float
    lag_ms: float
    lost: int
    model: str = ""

    def highest(self, count: int) -> list[int]:
        """Return the numbers of the labels with the highest scores, ``count`` of them at most, the highest first."""
        scores = self.scores
        if len(scores) <= count:
            return [int(index) for index in scores.argsort()[::-1]]
        # Of ten thousand scores, sorting all takes ten times as long.
        some = np.argpartition(scores, -count)[-count:]
        return [int(index) for index in some[scores[some].argsort()[::-1]]]


class Event(msgspec.Struct, frozen=True, gc=False):
    """A label turned on or off.

    Attributes:
        label: which.
        state: what it is now.
        score: its smoothed score, from 0 to 1.
        position_s: of the window that decided it, in seconds from the start of the stream.
        time_ns: wall-clock time of that window's end, nanoseconds since 1970-01-01 UTC.
        duration_s: how long it was on, when it turned off; else 0.
    """

    label: str
    state: Literal["on", "off"]
    score: float
    position_s: float
    time_ns: int
    duration_s: float


class StatusKind(StrEnum):
    """What a status is about. The values are stable: programs and journal filters match them."""

    LISTENING = "listening"
    DEVICE_ABSENT = "device-absent"
    DEVICE_LOST = "device-lost"
    DEVICE_OTHER = "device-other"
    DEVICE_BACK = "device-back"
    SOUND_DOUBTFUL = "sound-doubtful"
    SOUND_PLAUSIBLE = "sound-plausible"
    AUDIO_LOST = "audio-lost"
    UNDELIVERED = "undelivered"
    TOO_SLOW = "too-slow"
    KEEPS_UP = "keeps-up"
    FILES_EXPOSED = "files-exposed"
    CLIP_KEPT = "clip-kept"
    CLIP_REFUSED = "clip-refused"
    CLIP_DROPPED = "clip-dropped"
    CLIPS_OFF = "clips-off"
    SUMMARY = "summary"
    MODEL_SWAPPED = "model-swapped"
    CONFIG_APPLIED = "config-applied"
    MODEL_REVERTED = "model-reverted"
    SWAP_REFUSED = "swap-refused"
    STAGE_FAILED = "stage-failed"
    OUTPUT_FAILED = "output-failed"
    OUTPUT_LOST = "output-lost"
    UNWRITABLE = "unwritable"
    WRITABLE = "writable"
    WAITING = "waiting"
    FAILED = "failed"
    STOPPED = "stopped"


class Audience(StrEnum):
    """Which outputs a status is for."""

    ALL = "all"
    LOG = "log"  # kept for days: periodic summaries, why the service ended
    SCREEN = "screen"  # followed by someone who started the program: the summary of the whole run


class Status(msgspec.Struct, frozen=True):
    """Something to know about the listener itself.

    Attributes:
        kind: what it is about.
        message: one line for people.
        time_ns: wall-clock time, nanoseconds since 1970-01-01 UTC.
        facts: numbers and names behind the message.
        severity: how much it matters.
        audience: which outputs it is for.
    """

    kind: StatusKind
    message: str
    time_ns: int
    facts: Facts = {}
    severity: Literal["info", "warning", "error"] = "info"
    audience: Audience = Audience.ALL
