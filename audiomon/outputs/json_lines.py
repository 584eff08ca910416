"""One JSON object a line, for programs. The keys are stable."""

import time
from functools import lru_cache
from typing import Any

import msgspec

from audiomon.outputs.selection import SCORES_WRITTEN
from audiomon.outputs.unwaiting import LineStream
from audiomon.pipeline.prediction import Event, Prediction, Status

encode = msgspec.json.Encoder().encode


class JsonLines:
    """Writes predictions, events and statuses as JSON lines.

    Args:
        stream: where to.
        scores: of each prediction at most; the highest ones.
    """

    def __init__(self, stream: LineStream, scores: int = SCORES_WRITTEN) -> None:
        self._stream = stream
        self._scores = scores

    def prediction(self, prediction: Prediction) -> None:
        """See `Output.prediction`."""
        self._write({"type": "prediction", **prediction_fields(prediction, self._scores)})

    def event(self, event: Event) -> None:
        """See `Output.event`."""
        self._write({"type": "event", **event_fields(event)})

    def status(self, status: Status) -> None:
        """See `Output.status`."""
        self._write(
            {
                "type": "status",
                "time": iso_time(status.time_ns),
                "kind": status.kind,
                "severity": status.severity,
                "message": status.message,
                **status.facts,
            }
        )

    def _write(self, fields: dict[str, Any]) -> None:
        self._stream.write(encode(fields).decode() + "\n")
        self._stream.flush()


def prediction_fields(prediction: Prediction, scores: int) -> dict[str, Any]:
    """Return a prediction's keys and values as they are written.

    Args:
        prediction: of any number of labels.
        scores: how many of them at most: all in the labels' order, or of more labels the highest, falling. To 9 digits,
            which keep a float32 whole.
    """
    labels, all_scores = prediction.labels, prediction.scores.tolist()
    written = range(len(labels)) if len(labels) <= scores else prediction.highest(scores)
    return {
        "time": iso_time(prediction.time_ns),
        "label": prediction.label,
        "score": _score(prediction.score),
        "scores": {labels[index]: _score(all_scores[index]) for index in written},
        # Not with a number of digits: that goes by way of a string, in twice the time.
        "position_s": round(prediction.position_s * 1e6) / 1e6,
        "features_us": round(prediction.features_us * 10) / 10,
        "inference_us": round(prediction.inference_us * 10) / 10,
        "lag_ms": round(prediction.lag_ms * 1000) / 1000,
        "lost": prediction.lost,
        "model": prediction.model,
    }


def event_fields(event: Event) -> dict[str, Any]:
    """Return an event's keys and values as they are written."""
    return {
        "time": iso_time(event.time_ns),
        "label": event.label,
        "state": event.state,
        "score": round(event.score, 6),
        "position_s": round(event.position_s, 6),
        "duration_s": round(event.duration_s, 6),
    }


def iso_time(time_ns: int) -> str:
    """Write nanoseconds since 1970 as ``2026-01-31T12:00:00.123456+00:00``."""
    microseconds = round(time_ns / 1000)
    at_s, part = divmod(microseconds, 1_000_000)
    return f"{_iso_second(at_s)}.{part:06}+00:00"


@lru_cache(maxsize=4)  # several windows and events fall into one second
def _iso_second(at_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_s))


def _score(score: float) -> float:
    # 9 significant digits name every float32 exactly; shorter lines than float64's 17.
    return float(f"{score:.9g}")
