"""What ``audiomon.yaml`` may say: every key with its unit, range, default and one sentence.

The JSON schema that editors complete by, ``config/audiomon.schema.json``, is made from these definitions.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from audiomon.config.decisions import Decisions
from audiomon.config.key import key
from audiomon.errors import FieldError

# The ring keeps this much more than a clip may begin before its event, for a listener that falls behind.
_BEHIND_S = 2.0

# Two ways to say the same: a file may have one of them.
ALTERNATIVES = ("hop_s", "hop_fraction")


class Microphone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which microphone, and how it is read."""

    device: Annotated[
        Annotated[str, Meta(min_length=1)] | Annotated[int, Meta(ge=0)],
        key("Name, part of a name, or number, as `audiomon devices` lists them; or stream:NAME.", "reopen"),
    ] = "default"
    accept_other: Annotated[
        bool, key("Whether another microphone that matches the name may replace one that was unplugged.", "reopen")
    ] = False
    channel: Annotated[
        Literal["mix"] | Annotated[int, Meta(ge=0)],
        key("Number of a channel, from 0, or `mix` for the mean of all.", "reopen"),
    ] = "mix"
    stream_rate: Annotated[
        Annotated[int, Meta(ge=1000, le=192_000)] | None,
        key("Sample rate of a stream of raw samples, in Hz; none for a stream that tells.", "reopen"),
    ] = None
    block_ms: Annotated[
        float,
        key("Milliseconds read at a time; more costs less processor time and adds delay.", "reopen", ge=5, le=100),
    ] = 100.0
    ring_s: Annotated[float, key("Seconds of audio kept for predictions that fall behind.", "reopen", ge=2, le=120)] = (
        10.0
    )


class Journal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the service writes to the journal."""

    predictions: Annotated[
        Literal["every", "changes", "events"],
        key("Write every prediction, only changes of label, or only events.", "live"),
    ] = "every"
    scores: Annotated[int, key("How many of the highest scores an entry holds.", "live", ge=1, le=10_000)] = 20
    summary_s: Annotated[float, key("Seconds from one summary to the next; 0 for none.", "live", ge=0, le=86_400)] = (
        60.0
    )


class Feed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What programs that follow the feed may have."""

    spectrogram: Annotated[
        bool, key("Whether they may have columns of a spectrogram, from which words may be guessed.", "live")
    ] = False


class Clips(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which events the keeper gets the sound of, and what is never kept."""

    labels: Annotated[
        tuple[str, ...], key("Labels whose events are kept as clips; wildcards as in decisions.", "live")
    ] = ()
    never: Annotated[
        tuple[str, ...], key("Labels that must not be heard in a clip; wildcards, in small or capital letters.", "live")
    ] = (
        "speech",
        "*speech*",
        "*conversation*",
        "*whisper*",
        "*narration*",
        "*speak*",
        "*talk*",
        "*shout*",
        "*chatter*",
    )
    never_above: Annotated[
        float,
        key(
            "Score of such a label, in any window that touches a clip, from which on it is dropped.", "live", ge=0, le=1
        ),
    ] = 0.015  # low: fewer words for fewer clips
    before_s: Annotated[
        float, key("Seconds that a clip begins before its label turns on, at most ring_s - 2.", "live", ge=0, le=60)
    ] = 3.0
    after_s: Annotated[float, key("Seconds that a clip goes on after its label turns off.", "live", ge=0, le=30)] = 2.0
    longest_s: Annotated[float, key("Seconds that a clip lasts at most.", "live", ge=1, le=120)] = 30.0
    per_hour: Annotated[int, key("Clips that are begun within an hour, at most.", "live", ge=1, le=3600)] = 20

    def __post_init__(self) -> None:
        """Refuse clips that would end before their events begin."""
        if self.longest_s <= self.before_s:
            raise FieldError(("longest_s",), f"is {self.longest_s:g}, must be more than before_s, {self.before_s:g}")


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of ``audiomon.yaml``."""

    model: Annotated[str, key("Name of a model package, or the path of its folder.", "live", min_length=1)] = "home"
    interpreter: Annotated[
        Literal["auto", "litert", "tflite-runtime"], key("What runs the model; auto takes what is installed.", "live")
    ] = "auto"
    threads: Annotated[
        int, key("Threads for the interpreter; small models are fastest with 1.", "live", ge=1, le=8)
    ] = 1
    hop_s: Annotated[
        float, key("Seconds from one prediction to the next, rounded to whole frames.", "live", ge=0.01, le=60)
    ] = 0.5
    hop_fraction: Annotated[
        Annotated[float, Meta(ge=0.01, le=1)] | None,
        key("Instead of hop_s, as a fraction of the model's window: 0.5 overlaps windows by half.", "live"),
    ] = None
    gate_dbfs: Annotated[
        Annotated[float, Meta(ge=-120, le=0)] | None,
        key("Level below which the model does not run, in dB of full scale; none to run it always.", "live"),
    ] = None
    microphone: Annotated[Microphone, key("The microphone.", "reopen")] = Microphone()
    decisions: Annotated[Decisions, key("When scores become events; the model has defaults.", "live")] = Decisions()
    journal: Annotated[Journal, key("What the service writes to the journal.", "live")] = Journal()
    feed: Annotated[Feed, key("What programs that follow the feed may have.", "live")] = Feed()
    clips: Annotated[Clips, key("The sound of which events is kept; none unless labels are named.", "live")] = Clips()

    def __post_init__(self) -> None:
        """Refuse clips that begin before what the ring keeps."""
        max_before_s = self.microphone.ring_s - _BEHIND_S
        if self.clips.labels and self.clips.before_s > max_before_s:
            reason = f"is {self.clips.before_s:g}, must be at most {max_before_s:g}: microphone.ring_s - {_BEHIND_S:g}"
            raise FieldError(("clips", "before_s"), reason)

    def asked_hop_s(self, window_s: float) -> float:
        """Seconds from one prediction to the next, as asked for, with a model whose windows last ``window_s``."""
        return self.hop_s if self.hop_fraction is None else self.hop_fraction * window_s


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of ``audiomon.yaml``, for editors; ``python -m audiomon.config`` prints it."""
    schema = settings_schema(Config, "audiomon.yaml")
    both = {"required": list(ALTERNATIVES), "properties": {key: {"type": "number"} for key in ALTERNATIVES}}
    schema["$defs"]["Config"]["not"] = both
    return schema


def settings_schema(model: type[msgspec.Struct], title: str) -> dict[str, Any]:
    """Return the JSON schema of a settings file, for editors.

    Args:
        model: whose fields are its keys.
        title: name of the file.
    """
    schema = msgspec.json.schema(model)
    for group in schema["$defs"].values():
        for name, described in group.get("properties", {}).items():
            group["properties"][name] = _empty_group_allowed(described)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **schema}


def _empty_group_allowed(described: dict[str, Any]) -> dict[str, Any]:
    """Let ``decisions:`` with everything under it commented out pass, as `validate` does."""
    if "$ref" not in described and described.get("type") != "object":
        return described
    notes = {name: value for name, value in described.items() if name in ("description", "default", "x-reload")}
    kind = {name: value for name, value in described.items() if name not in notes}
    return {"anyOf": [kind, {"type": "null"}], **notes}
