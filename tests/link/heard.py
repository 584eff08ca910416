"""Listeners made up, as the link knows them: what their feeds would say, said straight to its state."""

import math
import random
from datetime import UTC, datetime
from typing import Any

import msgspec

from audiomon import __version__
from audiomon.link.ledger import Ledger
from audiomon.link.machine import Machine
from audiomon.link.reports import Reports
from audiomon.link.settings import LinkConfig
from audiomon.link.state import Listener, State
from audiomon.link.surroundings import Surroundings
from audiomon.link.toggle import Toggle
from audiomon.outputs.feed_protocol import (
    PROTOCOL,
    ColumnsLine,
    EventLine,
    Hello,
    LevelLine,
    Limits,
    PredictionLine,
    StateLine,
)
from audiomon.outputs.snapshot import Snapshot

LABELS = ("baby_cry", "dog_bark", "doorbell", "glass_breaking", "smoke_alarm", "water_running")
BANDS = 40

SNAPSHOT = Snapshot(
    pid=1,
    version=__version__,
    at_s=100.0,
    up_s=93_784.0,
    health="listening",
    health_s=90_000.0,
    reason="",
    microphone="USB PnP Sound Device",
    model="home",
    config="/etc/audiomon/audiomon.yaml",
    refused="",
    label="dog_bark",
    score=0.1,
    per_s=2.0,
    predictions=187_568,
    inference_us=1840.0,
    lag_ms=112.0,
    lag_ms_p99=139.0,
    peak_dbfs=-20.0,
    classified=2_067_937_200,
    shed=0,
    lost=0,
    left_over=0,
    windows_shed=0,
    gated=0,
    undelivered=0,
    entries_waiting=0,
    entries_lost=0,
    stage_failures=0,
)


class Said(Reports):
    """Reports that are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: list[str] = []
        self.failures: list[BaseException] = []

    def report(self, kind: str, message: str, severity: str = "info", **facts: Any) -> None:
        self.kinds.append(kind)

    def failure(self, part: str, error: BaseException) -> None:
        self.failures.append(error)


class Heard:
    """What a listener says.

    Attributes:
        state: of the link.
        listener: whose lines are made up.
    """

    def __init__(self, state: State, name: str = "audiomon") -> None:
        self.state = state
        self.listener: Listener = state.listener(name)

    def hello(self, labels: tuple[str, ...] = LABELS, **fields: Any) -> None:
        state = msgspec.structs.replace(SNAPSHOT, **fields.pop("state", {}))
        limits = {label: Limits(0.6, 0.4) for label in labels}
        greeting = {"model": "home", "fingerprint": "3f9c2a51be07", "labels": limits, "state": state, **fields}
        self.state.take(self.listener, Hello(PROTOCOL, __version__, self.listener.name, **greeting))

    def state_line(self, **fields: Any) -> None:
        self.state.take(self.listener, StateLine(msgspec.structs.replace(SNAPSHOT, **fields)))

    def prediction(self, scores: dict[str, float], inference_us: float = 1840.0) -> None:
        label = max(scores, key=lambda name: scores[name])
        line = PredictionLine(iso(), label, scores[label], scores, 0.0, 310.0, inference_us, 112.0, 0, "home")
        self.state.take(self.listener, line)

    def event(
        self, label: str, state: Any = "on", *, score: float = 0.87, at_s: float | None = None, duration_s: float = 0.0
    ) -> None:
        self.state.take(self.listener, EventLine(iso(at_s), label, state, score, 0.0, duration_s))

    def level(self, rms_dbfs: float = -38.2, peak_dbfs: float = -21.4) -> None:
        self.state.take(self.listener, LevelLine(rms_dbfs, peak_dbfs))

    def columns(self, data: bytes, bands: int = BANDS, duration_s: float = 0.5) -> None:
        self.state.take(self.listener, ColumnsLine(bands, duration_s, False, data))


def surroundings(config: LinkConfig) -> Surroundings:
    """Everything that a part works with."""
    reports = Said()
    return Surroundings(config, State(reports), reports, Machine("test", "0123456789ab"), Toggle(), Ledger())


def iso(at_s: float | None = None) -> str:
    at = datetime.now(UTC) if at_s is None else datetime.fromtimestamp(at_s, UTC)
    return at.isoformat(timespec="microseconds")


def picture(columns: int, start: int, rng: random.Random) -> bytes:
    """Columns of a room with a hum, footsteps and, now and then, a dog."""
    data = bytearray()
    for index in range(start, start + columns):
        barks = (index // 9) % 12 in (2, 3, 5, 6) and index % 9 < 5
        for band in range(BANDS):
            level = 44 - band * 0.4 + rng.gauss(0, 3)
            if band in (3, 4):
                level += 20
            if index % 31 < 2 and band < 14:
                level += 46 - 3 * band
            if barks:
                harmonic = max(math.exp(-(((band - place) / 1.3) ** 2)) for place in (9, 15, 20, 25, 29))
                level += (105 - 1.4 * band) * harmonic * (1 - (index % 9) / 9)
            data.append(max(0, min(255, round(level))))
    return bytes(data)
