"""The state of a running listener at one moment, as ``audiomon status``, systemd's status line and the feed show it."""

import msgspec

FILE = "status.json"

# How often the daemon writes it. systemd's status line wakes process 1 each time; the file is in memory.
WRITE_S = 5.0
# State of a daemon that has no configuration or model to listen with yet.
WAITING = "waiting"


class ClipCounts(msgspec.Struct, frozen=True):
    """What has become of clips: those offered were refused, kept or dropped, or are on their way.

    Attributes:
        keeper: whether one is connected.
        offered: events, or events that overlap, whose sound was wanted.
        refused: by reason: in the listener, before sound left its memory; see `audiomon.pipeline.clips.Refusal`.
        kept: that the keeper has written.
        dropped: by reason: passed, and not kept: no keeper was there, it was slow or had no room.
        on_their_way: now.
    """

    keeper: bool = False
    offered: int = 0
    refused: dict[str, int] = {}
    kept: int = 0
    dropped: dict[str, int] = {}
    on_their_way: int = 0

    @property
    def line(self) -> str:
        """All of it in one line."""
        parts = [f"{self.offered} offered", f"{self.kept} kept"]
        for word, counts in (("refused", self.refused), ("dropped", self.dropped)):
            if total := sum(counts.values()):
                reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))
                parts.append(f"{total} {word} ({reasons})")
        if self.on_their_way:
            parts.append(f"{self.on_their_way} on their way")
        return ", ".join([*parts, *([] if self.keeper else ["no keeper is connected"])])


class Snapshot(msgspec.Struct, frozen=True):
    """Everything at one moment.

    Attributes:
        pid: of the daemon.
        version: of audiomon.
        at_s: when this was so, in seconds of the machine's monotonic clock.
        up_s: seconds that it has run for.
        health: state of capture; see `audiomon.daemon.health.Health`; or `WAITING`.
        health_s: seconds since that state began.
        reason: why nothing is heard, or what is doubtful; empty when all is well.
        microphone: name of the one that is open; empty when there is none.
        model: name of the package that listens.
        model_sha256: its fingerprint, which tells packages of the same name apart.
        config: where the settings came from.
        refused: why the configuration as it is saved now does not hold; empty when it does.
        label: of the newest prediction; empty before the first.
        score: of it, from 0 to 1.
        per_s: predictions a second, of late.
        predictions: so far.
        inference_us: median of the last 7200 predictions, in microseconds.
        lag_ms: from capture to prediction, median, in milliseconds.
        lag_ms_p99: the same, 99th percentile.
        peak_dbfs: highest sample of about the last second; None if nothing came.
        classified: samples so far; see `audiomon.pipeline.accounts.Fates`, as for the next three.
        shed: samples.
        lost: samples.
        left_over: samples.
        windows_shed: windows.
        gated: windows below the gate, for which the model was not run.
        undelivered: samples, about, that never came.
        away: samples that there would have been while no microphone was there.
        reopened: the same while it was reopened for a change.
        entries_waiting: for journald to take them.
        entries_lost: that journald did not take in time.
        stage_failures: so far.
        clips: what has become of them; None where none can be kept.
    """

    # Those without a default were there from the beginning; the others may be missing in what another version writes.
    pid: int
    version: str
    at_s: float
    up_s: float
    health: str
    health_s: float = 0.0
    reason: str = ""
    microphone: str = ""
    model: str = ""
    model_sha256: str = ""
    config: str = ""
    refused: str = ""
    label: str = ""
    score: float = 0.0
    per_s: float = 0.0
    predictions: int = 0
    inference_us: float = 0.0
    lag_ms: float = 0.0
    lag_ms_p99: float = 0.0
    peak_dbfs: float | None = None
    classified: int = 0
    shed: int = 0
    lost: int = 0
    left_over: int = 0
    windows_shed: int = 0
    gated: int = 0
    undelivered: int = 0
    away: int = 0
    reopened: int = 0
    entries_waiting: int = 0
    entries_lost: int = 0
    stage_failures: int = 0
    clips: ClipCounts | None = None

    @property
    def line(self) -> str:
        """The one line that ``systemctl status`` shows."""
        parts = [f"refused: {self.refused}", "goes on as before"] if self.refused else []
        parts.append(f"{self.health}: {self.reason}" if self.reason else self.health)
        if self.microphone and self.label:
            parts += [
                f"{self.label} {self.score:.2f}",
                f"{self.per_s:.1f} predictions/s",
                f"{self.inference_us:.0f} µs a call",
                *([f"{self.windows_shed} windows shed"] if self.windows_shed else []),
                f"{self.lost} samples lost",
            ]
        if self.gated:
            parts.append(f"{self.gated} windows below the gate")
        return " · ".join(parts)
