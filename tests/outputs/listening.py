"""What a listener would say, made up; and a client of its feed."""

import socket
from pathlib import Path

import numpy as np

from audiomon.config import Threshold
from audiomon.outputs.feed import Feed
from audiomon.outputs.feed_protocol import Line, Want, decode, encode
from audiomon.outputs.observations import ModelInForce
from audiomon.outputs.snapshot import Snapshot
from audiomon.pipeline.prediction import Event, Prediction

LABELS = ("background", "dog_bark", "speech")
NOON_NS = 1_700_000_000_000_000_000


def snapshot(**changes) -> Snapshot:
    plain = {
        "pid": 1, "version": "0.1.0", "at_s": 1.0, "up_s": 1.0, "health": "listening", "health_s": 1.0, "reason": "",
        "microphone": "mic", "model": "home", "config": "audiomon.yaml", "refused": "", "label": "speech", "score": 0.5,
        "per_s": 2.0, "predictions": 1, "inference_us": 300.0, "lag_ms": 50.0, "lag_ms_p99": 60.0, "peak_dbfs": -20.0,
        "classified": 1, "shed": 0, "lost": 0, "left_over": 0, "windows_shed": 0, "gated": 0, "undelivered": 0,
        "away": 0, "reopened": 0,
        "entries_waiting": 0, "entries_lost": 0, "stage_failures": 0,
    }  # fmt: skip
    return Snapshot(**{**plain, **changes})


def model(name: str = "home", labels: tuple[str, ...] = ("dog_bark", "speech")) -> ModelInForce:
    return ModelInForce(name, f"fingerprint of {name}", {label: Threshold() for label in labels})


def prediction(label: str = "speech", number: int = 0) -> Prediction:
    scores = np.array([0.1, 0.2, 0.7], dtype=np.float32)
    return Prediction(label, 0.7, scores, LABELS, number, number / 2, NOON_NS, 500.0, 300.0, 50.0, 0, "home")


def event(label: str = "speech", state: str = "on", duration_s: float = 0.0, time_ns: int = NOON_NS) -> Event:
    return Event(label, state, 0.8, 1.0, time_ns, duration_s)


class Client:
    """A client of a feed that lives in this process, in the same thread: what it reads is there already."""

    def __init__(self, feed: Feed, path: Path, *wanted: str) -> None:
        self._feed = feed
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(str(path))
        self.socket.setblocking(False)
        self._received = b""
        feed.flush()
        self.want(*wanted)

    def want(self, *wanted: str) -> None:
        self.send(encode(Want(wanted)) + b"\n")

    def send(self, data: bytes) -> None:
        self.socket.send(data)
        self._feed.flush()

    def lines(self) -> list[Line]:
        """All whole lines that have come since the last call."""
        try:
            while part := self.socket.recv(1 << 20):
                self._received += part
        except (BlockingIOError, ConnectionResetError):
            pass
        *lines, self._received = self._received.split(b"\n")
        return [decode(line) for line in lines]

    @property
    def ended(self) -> bool:
        self.lines()
        try:
            return self.socket.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()
