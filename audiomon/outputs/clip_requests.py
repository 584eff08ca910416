"""What a person asks the keeper for, by ``audiomon clips`` or another program: one JSON object a line, and one answer.

The answer to `Fetch` has the clip's file beside it, opened for reading.
"""

from pathlib import Path
from typing import Literal

import msgspec

# Where systemd puts the socket that root and the group audiomon-review may connect to.
KEEPER_SOCKET = Path("/run/audiomon-review/keeper.sock")

MAX_LISTED = 1000
MAX_AT_ONCE = 1000

Review = Literal["", "right", "wrong", "label"]
Only = Literal["all", "clips", "unreviewed", "reviewed", "locked"]


class List(msgspec.Struct, frozen=True, tag_field="do", tag="list"):
    """Ask for events, the newest first.

    Attributes:
        labels: of them; all if there are none.
        only: all events; or those with a clip, or with one that nobody has reviewed, that was reviewed or locked.
        since_ns: wall-clock time of the first, nanoseconds since 1970-01-01 UTC.
        before: time and number of the event that the last answer ended with; None for the newest.
        limit: how many at most.
    """

    labels: tuple[str, ...] = ()
    only: Only = "all"
    since_ns: int = 0
    before: tuple[int, int] | None = None
    limit: int = 100


class Fetch(msgspec.Struct, frozen=True, tag_field="do", tag="fetch"):
    """Ask for a clip's sound."""

    clip: str


class Mark(msgspec.Struct, frozen=True, tag_field="do", tag="mark"):
    """Say what clips are.

    Attributes:
        clips: which.
        review: what a person heard: the label is right or wrong, or it should be another; empty to forget that.
        label: the other one.
    """

    clips: tuple[str, ...]
    review: Review
    label: str = ""


class Lock(msgspec.Struct, frozen=True, tag_field="do", tag="lock"):
    """Lock clips, or unlock them: what is locked is the last to be deleted, and never for its age."""

    clips: tuple[str, ...]
    locked: bool


class Delete(msgspec.Struct, frozen=True, tag_field="do", tag="delete"):
    """Delete clips."""

    clips: tuple[str, ...]


class Exports(msgspec.Struct, frozen=True, tag_field="do", tag="exports"):
    """Ask for reviewed clips that were not exported yet, the oldest first.

    Attributes:
        after: the last one of the answer before; empty for the first.
        again: whether those that were exported are asked for as well.
    """

    after: str = ""
    again: bool = False


class Exported(msgspec.Struct, frozen=True, tag_field="do", tag="exported"):
    """Say that clips were exported."""

    clips: tuple[str, ...]


Request = List | Fetch | Mark | Lock | Delete | Exports | Exported


class ClipInfo(msgspec.Struct, frozen=True):
    """A clip, as far as it can be said in words.

    Attributes:
        id: what it is called.
        labels: of its events, the first one first.
        began_ns: wall-clock time of its first sample, nanoseconds since 1970-01-01 UTC.
        seconds: how long it is.
        sample_rate: in Hz.
        samples: how many.
        position: of the first one in the listener's stream.
        bytes: of its file.
        never_score: the highest score of a label that is never kept.
        never_label: whose that was.
        instance: name of the listener.
        source: name of its microphone.
        model: name of the package that heard it.
        review: what a person heard; empty if nobody has said yet.
        label: what it should be called, if not as it is.
        locked: whether it is the last to be deleted.
        exported: whether it is among the recordings.
    """

    id: str
    labels: tuple[str, ...]
    began_ns: int
    seconds: float
    sample_rate: int
    samples: int
    position: int
    bytes: int
    never_score: float
    never_label: str
    instance: str
    source: str
    model: str
    review: Review
    label: str
    locked: bool
    exported: bool


class ListedEvent(msgspec.Struct, frozen=True):
    """An event.

    Attributes:
        number: of it, in the index.
        time_ns: wall-clock time at which it turned on, nanoseconds since 1970-01-01 UTC.
        label: which.
        score: smoothed, when it turned on.
        duration_s: how long it was on; None if that is not known.
        instance: name of the listener.
        model: name of the package that heard it.
        clip: its sound; None if there is none.
        outcome: kept, refused; or removed, deleted or missing since.
        reason: why it was refused, removed or deleted.
    """

    number: int
    time_ns: int
    label: str
    score: float
    duration_s: float | None
    instance: str
    model: str
    clip: ClipInfo | None
    outcome: str
    reason: str


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """The keeper's answer to any of them.

    Attributes:
        error: what is wrong with the request; empty if nothing is.
        events: in answer to `List`.
        more: whether there are further ones.
        clips: in answer to `Fetch` and `Exports`.
        changed: in answer to the others, how many clips it held for.
    """

    error: str = ""
    events: tuple[ListedEvent, ...] = ()
    more: bool = False
    clips: tuple[ClipInfo, ...] = ()
    changed: int = 0
