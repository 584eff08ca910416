"""When scores become events: the settings. A model's manifest gives defaults, the configuration overrides them."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from audiomon.config.document import dotted
from audiomon.config.key import key

On = Annotated[float, key("A label turns on when its smoothed score reaches this.", "live", ge=0, le=1)]
Off = Annotated[float, key("It turns off when its smoothed score falls below this.", "live", ge=0, le=1)]
MinOn = Annotated[float, key("The score must stay there this long first, in seconds.", "live", ge=0, le=3600)]
MinOff = Annotated[float, key("And this long below `off` before it turns off, in seconds.", "live", ge=0, le=3600)]


class LabelDecisions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One label's thresholds; what is left out is as for every label."""

    on: On | UnsetType = UNSET
    off: Off | UnsetType = UNSET
    min_on_s: MinOn | UnsetType = UNSET
    min_off_s: MinOff | UnsetType = UNSET


class Decisions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When a label's score becomes an event; what is left out is as the model's manifest says."""

    smoothing_s: (
        Annotated[
            float, key("Time constant of the smoothing of scores, in seconds; 0 for none.", "live", ge=0, le=3600)
        ]
        | UnsetType
    ) = UNSET
    on: On | UnsetType = UNSET
    off: Off | UnsetType = UNSET
    min_on_s: MinOn | UnsetType = UNSET
    min_off_s: MinOff | UnsetType = UNSET
    ignore: Annotated[tuple[str, ...], key("Labels that never make an event.", "live")] | UnsetType = UNSET
    labels: Annotated[dict[str, LabelDecisions], key("Thresholds of single labels.", "live")] = msgspec.field(
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


class RulesError(ValueError):
    """Decisions that a model cannot follow; its text is ``key: what is wrong``.

    Attributes:
        keys: path of the key that is wrong, from ``decisions`` down.
        problem: what is wrong with it.
    """

    def __init__(self, keys: tuple[str, ...], problem: str) -> None:
        super().__init__(f"{dotted(keys)}: {problem}")
        self.keys = keys
        self.problem = problem


def decision_rules(labels: tuple[str, ...], defaults: Decisions, overrides: Decisions) -> DecisionRules:
    """Lay a configuration's decisions over a manifest's.

    A label's own entry wins over the general one, and the configuration over the manifest.

    Raises:
        RulesError: a label that the model does not have, or an `off` above its `on`.
    """
    layers = (defaults, overrides)
    for layer in layers:
        _check_labels(layer, labels)
    ignored = next((layer.ignore for layer in reversed(layers) if layer.ignore is not UNSET), ())
    smoothing_s = next((layer.smoothing_s for layer in reversed(layers) if layer.smoothing_s is not UNSET), 1.0)
    thresholds = {label: _threshold(label, layers) for label in labels if label not in ignored}
    return DecisionRules(smoothing_s, thresholds)


def _check_labels(layer: Decisions, labels: tuple[str, ...]) -> None:
    for label in layer.labels:
        if label not in labels:
            raise RulesError(("labels", label), f"the model has no label {label!r}; it has {', '.join(labels)}")
    for label in layer.ignore or ():
        if label not in labels:
            raise RulesError(("ignore",), f"the model has no label {label!r}; it has {', '.join(labels)}")


def _threshold(label: str, layers: tuple[Decisions, ...]) -> Threshold:
    chosen: dict[str, float] = {}
    deciding: tuple[str, ...] = ()  # the last key that moved on or off: the one to name if they cross
    general = [((), layer) for layer in layers]
    own = [(("labels", label), layer.labels[label]) for layer in layers if label in layer.labels]
    for keys, source in (*general, *own):
        for name in Threshold.__slots__:
            value = getattr(source, name)
            if value is not UNSET:
                chosen[name] = value
                deciding = (*keys, name) if name in ("on", "off") else deciding
    threshold = Threshold(**chosen)
    if threshold.off > threshold.on:
        raise RulesError(
            deciding,
            f"{label} would turn on at {threshold.on:g} and off at {threshold.off:g}; off must be at most on",
        )
    return threshold
