"""The columns of an archive's three tables, and what tells one run from another. Reads and writes nothing."""

import hashlib
import re
from datetime import datetime
from typing import Literal

import msgspec
import pyarrow as pa

from audiomon import __version__
from audiomon.config import DecisionRules
from audiomon.config.settings import Settings
from audiomon.models.package import ModelPackage

_WORD = pa.dictionary(pa.int32(), pa.string())

PLAN = pa.schema(
    [
        pa.field("part", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("mtime_ns", pa.int64()),
    ]
)
DETECTIONS = pa.schema(
    [
        pa.field("file", _WORD, nullable=False),
        pa.field("start_s", pa.float64(), nullable=False),
        pa.field("end_s", pa.float64(), nullable=False),
        pa.field("rank", pa.int16(), nullable=False),
        pa.field("label", _WORD, nullable=False),
        pa.field("score", pa.float32(), nullable=False),
        pa.field("recorded_at", pa.timestamp("us")),
        pa.field("model", _WORD, nullable=False),
        pa.field("model_sha256", _WORD, nullable=False),
        pa.field("audiomon", _WORD, nullable=False),
        pa.field("part", _WORD, nullable=False),
    ]
)
FILES = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("mtime_ns", pa.int64()),
        pa.field("status", _WORD, nullable=False),
        pa.field("error", pa.string()),
        pa.field("duration_s", pa.float64()),
        pa.field("heard_s", pa.float64(), nullable=False),
        pa.field("sample_rate", pa.int32()),
        pa.field("channels", pa.int16()),
        pa.field("windows", pa.int64(), nullable=False),
        pa.field("cpu_s", pa.float32(), nullable=False),
        pa.field("run", _WORD, nullable=False),
        pa.field("part", _WORD, nullable=False),
    ]
)

# What a file's row in FILES says: all heard; heard up to the damage; nothing heard; the process that read it died.
Status = Literal["ok", "damaged", "refused", "killed"]
Rows = Literal["windows", "events"]

_EPOCH = datetime(1970, 1, 1)
_NAMED_TIME = re.compile(r"(?<!\d)(\d{8})[_T-]?(\d{6})(?!\d)")


class Run(msgspec.Struct, frozen=True):
    """Everything that decides a row: what differs in any of it is another run, beside the first.

    Attributes:
        model: name in the package's manifest.
        model_sha256: `ModelPackage.fingerprint`.
        audiomon: version.
        hop_s: seconds from one window to the next that were asked for.
        channel: of the recording, or ``mix``.
        interpreter: that runs the model.
        rows: a row for each window, or for each event.
        scores: rows of one window at most, the highest scores first.
        min_score: that the second and later ones of a window must reach.
        rules: when scores become events; None unless ``rows`` is ``events``.
    """

    model: str
    model_sha256: str
    audiomon: str
    hop_s: float
    channel: int | Literal["mix"]
    interpreter: str
    rows: Rows
    scores: int
    min_score: float
    rules: DecisionRules | None

    @property
    def key(self) -> str:
        """What its files are named after: 16 hexadecimal digits."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:16]


def make_run(
    settings: Settings,
    package: ModelPackage,
    rules: DecisionRules,
    interpreter: str,
    *,
    rows: Rows,
    scores: int,
    min_score: float,
) -> Run:
    """Describe a run of a model with a configuration."""
    return Run(
        package.manifest.name,
        package.fingerprint,
        __version__,
        settings.config.asked_hop_s(package.manifest.input.window_s),
        settings.config.microphone.channel,
        interpreter,
        rows,
        scores,
        min_score,
        rules if rows == "events" else None,
    )


def named_time_us(file: str) -> int | None:
    """Return when a recording began, by its name; None if the name has no time.

    Args:
        file: named as AudioMoth and Song Meter do, with ``YYYYMMDD_HHMMSS`` in it.

    Returns:
        Microseconds since 1970-01-01 00:00 in the recorder's own time zone, which no name tells.
    """
    found = _NAMED_TIME.search(file.rsplit("/", 1)[-1])
    if found is None:
        return None
    try:
        named = datetime.strptime("".join(found.groups()), "%Y%m%d%H%M%S")
    except ValueError:  # 14 digits that are no time
        return None
    return int((named - _EPOCH).total_seconds()) * 1_000_000
