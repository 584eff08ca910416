"""When scores become events: the settings. A model's manifest gives defaults, the configuration overrides them."""

import difflib
import functools
import re
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from audiomon.config.document import dotted
from audiomon.config.key import key

# More are not listed in an error.
_LABELS_LISTED = 12

KeyPath = tuple[str, ...]

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
    allow: (
        Annotated[tuple[str, ...], key("Labels that make events, and no others; Dog* is all that begin so.", "live")]
        | UnsetType
    ) = UNSET
    deny: Annotated[tuple[str, ...], key("Labels that never make an event; * as above.", "live")] | UnsetType = UNSET
    labels: Annotated[dict[str, LabelDecisions], key("Thresholds of single labels; * as above.", "live")] = (
        msgspec.field(default_factory=dict)
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

    A label's own entry wins over one with wildcards, that over the general one, and the configuration over the
    manifest. What a configuration allows, it allows whatever the manifest denies.

    Raises:
        RulesError: a label that the model does not have, or an `off` above its `on`.
    """
    layers = (defaults, overrides)
    for layer in layers:
        _check_labels(layer, labels)
    smoothing_s = next((layer.smoothing_s for layer in reversed(layers) if layer.smoothing_s is not UNSET), 1.0)
    entries = [_Entries(layer) for layer in layers]
    known: dict[tuple[KeyPath, ...], Threshold] = {}
    thresholds: dict[str, Threshold] = {}
    for label in _chosen(labels, layers):
        own = [found for one in entries for found in one.of(label)]
        places = tuple(keys for keys, _ in own)
        # Most of a thousand labels have the same.
        if places not in known:
            known[places] = _threshold(label, layers, own)
        thresholds[label] = known[places]
    return DecisionRules(smoothing_s, thresholds)


def matches(pattern: str, label: str) -> bool:
    """Say whether a label is meant by a pattern: itself, or with ``*`` for any text and ``?`` for any character."""
    return pattern == label or _regex(pattern).fullmatch(label) is not None


@functools.lru_cache(maxsize=256)
def _regex(pattern: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(character) or re.escape(character) for character in pattern))


class _Entries:
    """One layer's thresholds of single labels."""

    def __init__(self, layer: Decisions) -> None:
        self._layer = layer
        self._patterns = [pattern for pattern in layer.labels if "*" in pattern or "?" in pattern]

    def of(self, label: str) -> list[tuple[KeyPath, LabelDecisions]]:
        """Return those that apply to a label, the one that wins last."""
        names = [pattern for pattern in self._patterns if pattern != label and matches(pattern, label)]
        if label in self._layer.labels:
            names.append(label)
        return [(("labels", name), self._layer.labels[name]) for name in names]


def _chosen(labels: tuple[str, ...], layers: tuple[Decisions, ...]) -> list[str]:
    """Return the labels that make events."""
    allow: tuple[str, ...] | UnsetType = UNSET
    deny: tuple[str, ...] = ()
    for layer in layers:
        if layer.allow is not UNSET:
            allow, deny = layer.allow, ()
        if layer.deny is not UNSET:
            deny = layer.deny
    return [
        label
        for label in labels
        if (allow is UNSET or any(matches(pattern, label) for pattern in allow))
        and not any(matches(pattern, label) for pattern in deny)
    ]


def _check_labels(layer: Decisions, labels: tuple[str, ...]) -> None:
    there = set(labels)
    for keys, patterns in (
        *(((*("labels",), pattern), (pattern,)) for pattern in layer.labels),
        (("allow",), layer.allow or ()),
        (("deny",), layer.deny or ()),
    ):
        for pattern in patterns:
            if pattern not in there and not any(matches(pattern, label) for label in labels):
                raise RulesError(keys, _no_such_label(pattern, labels))


def _no_such_label(pattern: str, labels: tuple[str, ...]) -> str:
    wild = "*" in pattern or "?" in pattern
    problem = f"no label of the model matches {pattern!r}" if wild else f"the model has no label {pattern!r}"
    if len(labels) <= _LABELS_LISTED:
        return f"{problem}; it has {', '.join(labels)}"
    near = difflib.get_close_matches(pattern.replace("*", ""), labels, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"`audiomon models show` lists its {len(labels)} labels"
    return f"{problem}; {hint}"


def _threshold(label: str, layers: tuple[Decisions, ...], own: list[tuple[KeyPath, LabelDecisions]]) -> Threshold:
    chosen: dict[str, float] = {}
    deciding: tuple[str, ...] = ()  # the last key that moved on or off: the one to name if they cross
    general: list[tuple[KeyPath, Decisions]] = [((), layer) for layer in layers]
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
