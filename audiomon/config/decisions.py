"""When scores become events: the settings. A model's manifest gives defaults, the configuration overrides them."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

Score = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=3600)]


class LabelDecisions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One label's thresholds; what is left out is as for every label."""

    on: Score | UnsetType = UNSET
    off: Score | UnsetType = UNSET
    min_on_s: Seconds | UnsetType = UNSET
    min_off_s: Seconds | UnsetType = UNSET


class Decisions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When a label's score becomes an event; what is left out is as the model's manifest says."""

    smoothing_s: (
        Annotated[float, Meta(ge=0, le=3600, description="Time constant of the smoothing of scores, in seconds.")]
        | UnsetType
    ) = UNSET
    on: (
        Annotated[float, Meta(ge=0, le=1, description="A label turns on when its smoothed score reaches this.")]
        | UnsetType
    ) = UNSET
    off: (
        Annotated[float, Meta(ge=0, le=1, description="It turns off when its smoothed score falls below this.")]
        | UnsetType
    ) = UNSET
    min_on_s: (
        Annotated[float, Meta(ge=0, le=3600, description="The score must stay there this long first, in seconds.")]
        | UnsetType
    ) = UNSET
    min_off_s: (
        Annotated[float, Meta(ge=0, le=3600, description="And this long below `off` before it turns off, in seconds.")]
        | UnsetType
    ) = UNSET
    ignore: (
        Annotated[tuple[str, ...], Meta(description="Labels that never make an event, such as background.")] | UnsetType
    ) = UNSET
    labels: Annotated[dict[str, LabelDecisions], Meta(description="Thresholds of single labels.")] = msgspec.field(
        default_factory=dict
    )


@dataclass(frozen=True, slots=True)
class Threshold:
    """What one label needs to turn on and off: scores from 0 to 1, durations in seconds."""

    on: float = 0.6
    off: float = 0.4
    min_on_s: float = 0.0
    min_off_s: float = 0.5


@dataclass(frozen=True, slots=True)
class DecisionRules:
    """The settings that apply to one model, nothing left out.

    Attributes:
        smoothing_s: time constant of the exponential smoothing, in seconds; 0 for none.
        thresholds: by label, for the labels that make events.
    """

    smoothing_s: float
    thresholds: dict[str, Threshold]


def decision_rules(labels: tuple[str, ...], defaults: Decisions, overrides: Decisions) -> DecisionRules:
    """Lay a configuration's decisions over a manifest's.

    A label's own entry wins over the general one, and the configuration over the manifest.

    Raises:
        ValueError: a label that the model does not have, or an `off` above its `on`; the message starts with the key.
    """
    for settings in (defaults, overrides):
        for name in (*settings.labels, *(settings.ignore or ())):
            if name not in labels:
                where = f"labels.{name}" if name in settings.labels else "ignore"
                raise ValueError(f"{where}: the model has no label {name!r}; it has {', '.join(labels)}")
    ignore = overrides.ignore if overrides.ignore is not UNSET else defaults.ignore or ()
    layers = (defaults, overrides)
    smoothing_s = next((layer.smoothing_s for layer in layers[::-1] if layer.smoothing_s is not UNSET), 1.0)
    thresholds = {}
    for label in labels:
        if label in ignore:
            continue
        sources = [*layers, *(layer.labels[label] for layer in layers if label in layer.labels)]
        chosen = Threshold()
        for source in sources:
            given = {
                name: value
                for name in ("on", "off", "min_on_s", "min_off_s")
                if (value := getattr(source, name)) is not UNSET
            }
            chosen = Threshold(**{**{n: getattr(chosen, n) for n in Threshold.__slots__}, **given})
        if chosen.off > chosen.on:
            raise ValueError(f"off: {chosen.off:g} is above on ({chosen.on:g}) for {label}; it must be at most that")
        thresholds[label] = chosen
    return DecisionRules(smoothing_s, thresholds)
