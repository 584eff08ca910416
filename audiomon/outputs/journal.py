"""Entries in systemd's journal: a line to read, and the same in fields to query by. Never waits for journald."""

import threading

import msgspec

from audiomon.config import Config
from audiomon.outputs.journal_socket import JournalSocket
from audiomon.outputs.message_ids import MESSAGE_IDS
from audiomon.outputs.observations import Observation
from audiomon.outputs.selection import SCORES_WRITTEN, Selector
from audiomon.outputs.terminal import bar, label_width
from audiomon.pipeline.prediction import Audience, Event, Prediction, Status

_PRIORITIES = {"info": 6, "warning": 4, "error": 3}
_EVENT_PRIORITY = 5


class Journal:
    """Writes predictions, events and statuses as journal entries. A `LiveOutput`.

    Args:
        socket: where to.
        instance: name of this listener among several; ``AUDIOMON_INSTANCE``.
    """

    name = "journal"
    audience = Audience.LOG
    fd = None
    wants_columns = False
    gone = False  # a journald that has ended is started again
    error: Exception | None = None

    def __init__(self, socket: JournalSocket, instance: str) -> None:
        self._socket = socket
        self._instance = instance
        self._selector = Selector("every")
        self._scores = SCORES_WRITTEN
        # The inference worker and the supervisor write.
        self._writing = threading.Lock()
        self._lost = 0
        self._last: Prediction | None = None
        self._labels: tuple[str, ...] = ()
        self._width = 0

    @property
    def waiting(self) -> int:
        """Entries that journald has not taken yet."""
        return self._socket.waiting

    @property
    def lost(self) -> int:
        """Entries dropped so far because too many were waiting."""
        return self._socket.lost

    def configure(self, config: Config) -> None:
        """See `LiveOutput.configure`. Of a prediction the highest scores are written: all 521 would be 13 kB."""
        self._selector = Selector(config.journal.predictions)
        self._scores = config.journal.scores

    def observe(self, observation: Observation) -> None:
        """See `LiveOutput.observe`: what is so is not written."""

    def prediction(self, prediction: Prediction) -> None:
        """See `Output.prediction`."""
        self._last = prediction
        if not self._selector.wants(prediction):
            return
        if prediction.labels is not self._labels:
            self._labels, self._width = prediction.labels, label_width(prediction.labels)
        message = (
            f"{prediction.label[: self._width]:<{self._width}} {prediction.score:.2f} {bar(prediction.score)} "
            f"features {prediction.features_us:5.0f} µs  inference {prediction.inference_us:5.0f} µs"
        )
        self._write("prediction", message, _PRIORITIES["info"], self._evidence(prediction))

    def event(self, event: Event) -> None:
        """See `Output.event`. Carries the fields of the prediction that it followed from as well."""
        if event.state == "on":
            message = f"▶ {event.label} ({event.score:.2f})"
        else:
            message = f"■ {event.label} ended after {event.duration_s:.1f} s"
        fields = self._evidence(self._last) if self._last else {}
        fields |= {
            "AUDIOMON_LABEL": event.label,
            "AUDIOMON_SCORE": f"{event.score:.3f}",
            "AUDIOMON_DURATION_S": f"{event.duration_s:.3f}",
        }
        self._write(f"event-{event.state}", message, _EVENT_PRIORITY, fields)

    def status(self, status: Status) -> None:
        """See `Output.status`."""
        facts = {f"AUDIOMON_{name.upper()}": _text(value) for name, value in status.facts.items()}
        self._write(status.kind, status.message, _PRIORITIES[status.severity], facts)

    def flush(self) -> None:
        """Send what journald would not take before; call now and then."""
        with self._writing:
            self._socket.flush()
            self._admit_losses()

    def close(self) -> None:
        """See `LiveOutput.close`."""
        self.flush()
        self._socket.close()

    def _evidence(self, prediction: Prediction) -> dict[str, str]:
        # Whole microseconds and milliseconds, and three digits of a score: journald stores each value that occurs again
        # only once, so fewer digits are fewer bytes.
        labels = prediction.labels
        scores = {
            labels[index]: round(float(prediction.scores[index]), 3) for index in prediction.highest(self._scores)
        }
        return {
            "AUDIOMON_LABEL": prediction.label,
            "AUDIOMON_SCORE": f"{prediction.score:.3f}",
            "AUDIOMON_SCORES": msgspec.json.encode(scores).decode(),
            "AUDIOMON_FEATURES_US": f"{prediction.features_us:.0f}",
            "AUDIOMON_INFERENCE_US": f"{prediction.inference_us:.0f}",
            "AUDIOMON_LAG_MS": f"{prediction.lag_ms:.0f}",
            "AUDIOMON_POSITION": str(prediction.position),
            "AUDIOMON_MODEL": prediction.model,
        }

    def _write(self, kind: str, message: str, priority: int, fields: dict[str, str]) -> None:
        with self._writing:
            self._admit_losses()
            self._send(kind, message, priority, fields)

    def _admit_losses(self) -> None:
        lost = self._socket.lost - self._lost
        if lost and not self._socket.waiting:
            self._lost += lost
            message = f"{lost} entries were not written: journald did not take them in time"
            self._send("journal-lost", message, _PRIORITIES["warning"], {"AUDIOMON_ENTRIES_LOST": str(lost)})

    def _send(self, kind: str, message: str, priority: int, fields: dict[str, str]) -> None:
        entry = {
            "MESSAGE": message,
            "PRIORITY": str(priority),
            "SYSLOG_IDENTIFIER": "audiomon",
            "MESSAGE_ID": MESSAGE_IDS[kind],
            "AUDIOMON_INSTANCE": self._instance,
        }
        if self._last and "AUDIOMON_MODEL" not in fields:
            entry["AUDIOMON_MODEL"] = self._last.model
        self._socket.send(entry | fields)


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
