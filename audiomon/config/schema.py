"""What ``audiomon.yaml`` may say: every key with its unit, range, default and one sentence.

The JSON schema that editors complete by, ``config/audiomon.schema.json``, is made from these definitions.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from audiomon.config.decisions import Decisions

Reload = Literal["live", "reopen", "restart"]


def _meta(description: str, reload: Reload, **bounds: Any) -> Meta:
    """Describe a key, and say what a change of it takes: nothing, reopening the microphone, or a restart."""
    return Meta(description=description, extra_json_schema={"x-reload": reload}, **bounds)


class Microphone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which microphone, and how it is read."""

    device: Annotated[
        str | int, _meta("Name, part of a name, or number, as `audiomon devices` lists them.", "reopen")
    ] = "default"
    channel: Annotated[
        Literal["mix"] | int, _meta("One channel, counted from 0, or `mix` for the mean of all.", "reopen")
    ] = "mix"
    block_ms: Annotated[
        float, _meta("Milliseconds read at a time; larger costs less and adds delay.", "reopen", ge=5, le=100)
    ] = 93.0
    ring_s: Annotated[float, _meta("Seconds of audio kept for a reader that falls behind.", "reopen", ge=2, le=120)] = (
        10.0
    )


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is written of all that is heard."""

    predictions: Annotated[
        Literal["every", "changes", "events"],
        _meta("Write every prediction, only those whose label is new, or events alone.", "live"),
    ] = "every"
    summary_s: Annotated[
        float, _meta("Seconds between summary lines in the journal; 0 for none.", "live", ge=0, le=86_400)
    ] = 60.0


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of ``audiomon.yaml``."""

    model: Annotated[str, _meta("Name of a model package, or the path of its folder.", "live")] = "home"
    interpreter: Annotated[
        Literal["auto", "litert", "tflite-runtime"], _meta("What runs the model; auto takes what is there.", "live")
    ] = "auto"
    threads: Annotated[int, _meta("Threads for the model; small ones are fastest with 1.", "live", ge=1, le=8)] = 1
    hop_s: Annotated[
        float, _meta("Seconds from one prediction to the next, rounded to whole frames.", "live", ge=0.01, le=60)
    ] = 0.5
    microphone: Annotated[Microphone, _meta("The microphone.", "reopen")] = Microphone()
    decisions: Annotated[Decisions, _meta("When scores become events; the model has defaults.", "live")] = Decisions()
    output: Annotated[Output, _meta("What is written.", "live")] = Output()


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of ``audiomon.yaml``, for editors."""
    schema = msgspec.json.schema(Config)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "audiomon.yaml", **schema}
