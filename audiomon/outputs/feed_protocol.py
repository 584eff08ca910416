"""What goes over the feed: one JSON object a line, as typed structs that both of its sides import.

The feed is a Unix stream socket of the listener's. ``audiomon/link/FEED.md`` describes it for programs in other
languages. Sound never goes over it.
"""

from pathlib import Path
from typing import Any, Literal

import msgspec

from audiomon.outputs.listening_sockets import SOCKET_SUFFIX
from audiomon.outputs.snapshot import Snapshot

# Where systemd puts the sockets: audiomon.sock is audiomon.service's, NAME.sock is audiomon@NAME.service's.
FEED_FOLDER = Path("/run/audiomon-feed")

# Goes up when a reader of an older version would misread what is sent. Keys and types of lines may be added without.
PROTOCOL = 1

Kind = Literal["event", "status", "state", "prediction", "level", "columns"]
KINDS: tuple[Kind, ...] = ("event", "status", "state", "prediction", "level", "columns")

# A line of a client's; it has nothing longer to say.
MAX_WANT_BYTES = 4096
# A line of the listener's: the greeting of a model with 10 000 labels is shorter.
MAX_LINE_BYTES = 4 << 20


class Want(msgspec.Struct, frozen=True):
    """What a client sends, at any time: the kinds of lines that it wants from then on.

    Attributes:
        want: kinds; those that are unknown are ignored, so that a newer client can ask an older listener.
    """

    want: tuple[str, ...]


class Limits(msgspec.Struct, frozen=True):
    """Smoothed scores at which a label turns on, and below which it turns off again."""

    on: float
    off: float


class On(msgspec.Struct, frozen=True):
    """A label that is on.

    Attributes:
        since: ISO 8601, UTC.
        score: smoothed, when it turned on.
    """

    since: str
    score: float


class Hello(msgspec.Struct, frozen=True, tag_field="type", tag="hello"):
    """Everything that a client needs to be right at once.

    The first line, whatever the client wants; sent again when the model or its thresholds have changed, and after lines
    were dropped.

    Attributes:
        protocol: `PROTOCOL` of the listener.
        version: of audiomon.
        instance: name of this listener among several on this machine.
        model: name of the package that listens; empty before it does.
        fingerprint: of that package.
        labels: those that make events, with their thresholds, in the model's order.
        on: labels that are on.
        state: at this moment; None before the first.
        spectrogram: whether ``columns`` are to be had.
    """

    protocol: int
    version: str
    instance: str
    model: str = ""
    fingerprint: str = ""
    labels: dict[str, Limits] = {}
    on: dict[str, On] = {}
    state: Snapshot | None = None
    spectrogram: bool = False


class PredictionLine(msgspec.Struct, frozen=True, tag_field="type", tag="prediction"):
    """One window's prediction; the keys are those of ``audiomon run --json``.

    Attributes:
        time: of the window's end, ISO 8601, UTC.
        label: of the highest score.
        score: from 0 to 1.
        scores: the 20 highest at most.
        position_s: of the window's end, in seconds from the start of the stream.
        features_us: computing the window, in microseconds.
        inference_us: running the model, in microseconds.
        lag_ms: from the capture of the window's last sample to the prediction, in milliseconds.
        lost: sample frames lost since the window before.
        model: name of the package.
    """

    time: str
    label: str
    score: float
    scores: dict[str, float]
    position_s: float
    features_us: float
    inference_us: float
    lag_ms: float
    lost: int
    model: str


class EventLine(msgspec.Struct, frozen=True, tag_field="type", tag="event"):
    """A label turned on or off.

    Attributes:
        time: of the end of the window that decided it, ISO 8601, UTC.
        label: which.
        state: what it is now.
        score: smoothed, from 0 to 1.
        position_s: of that window, in seconds from the start of the stream.
        duration_s: how long it was on, when it turned off; else 0.
    """

    time: str
    label: str
    state: Literal["on", "off"]
    score: float
    position_s: float
    duration_s: float


class StatusLine(msgspec.Struct, frozen=True, tag_field="type", tag="status"):
    """Something about the listener itself.

    Attributes:
        time: ISO 8601, UTC.
        kind: what it is about; see `audiomon.pipeline.prediction.StatusKind`.
        severity: how much it matters.
        message: one line for people.
        facts: numbers and names behind the message.
    """

    time: str
    kind: str
    severity: Literal["info", "warning", "error"]
    message: str
    facts: dict[str, Any] = {}


class StateLine(msgspec.Struct, frozen=True, tag_field="type", tag="state"):
    """How the listener stands; every 5 s, and when its health changes."""

    state: Snapshot


class LevelLine(msgspec.Struct, frozen=True, tag_field="type", tag="level"):
    """How loud about the last second was.

    Attributes:
        rms_dbfs: root mean square, in dB against full scale; -120 at the least.
        peak_dbfs: highest magnitude, the same way.
    """

    rms_dbfs: float
    peak_dbfs: float


class ColumnsLine(msgspec.Struct, frozen=True, tag_field="type", tag="columns"):
    """New columns of the spectrogram: about 20 a second, a byte for each band.

    Attributes:
        bands: of a column; the lowest first.
        duration_s: of all columns in this line.
        gap: whether they do not follow on the columns before.
        data: in base64; column after column. 0 is `MIN_COLUMN_DB` or less, 255 is `MAX_COLUMN_DB` or more.
    """

    bands: int
    duration_s: float
    gap: bool
    data: bytes


class Dropped(msgspec.Struct, frozen=True, tag_field="type", tag="dropped"):
    """Lines that this client did not take in time; a `Hello` follows.

    Attributes:
        lines: how many, since the line before this one.
    """

    lines: int


class Goodbye(msgspec.Struct, frozen=True, tag_field="type", tag="goodbye"):
    """The last line.

    Attributes:
        reason: why the listener hangs up, in one line.
    """

    reason: str


Line = Hello | PredictionLine | EventLine | StatusLine | StateLine | LevelLine | ColumnsLine | Dropped | Goodbye


def socket_of(instance: str, folder: Path = FEED_FOLDER) -> Path:
    """Return the feed's socket of one listener."""
    return folder / f"{instance}{SOCKET_SUFFIX}"


def decode(line: bytes) -> Line:
    """Read a line of the listener's.

    Raises:
        msgspec.DecodeError: it is none, or of a type that this version does not know.
    """
    read: Line = _decoder.decode(line)
    return read


def decode_want(line: bytes) -> Want:
    """Read a line of a client's.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return _want_decoder.decode(line)


encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Line)
_want_decoder = msgspec.json.Decoder(Want)
