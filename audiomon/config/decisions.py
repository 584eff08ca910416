"""When scores become events: the settings. A model's manifest gives defaults, the configuration overrides them."""

import difflib
import fnmatch
import re
from collections.abc import Collection, Iterable
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from audiomon.config.key import key
from audiomon.errors import FieldError, KeyPath
from audiomon.foreign import shown

# More are not listed in an error.
_MAX_LISTED = 12
# Longer ones, and more of them, are not compared to find one that was meant: that takes seconds.
_MAX_COMPARED = 1000
_MAX_COMPARED_LENGTH = 50
# How much work wildcards may make, in characters of patterns times characters of labels, and in patterns to compile.
# A desktop takes a second for the worst that a stranger could write, and a tenth of that for ordinary words.
_MAX_EFFORT = 300_000_000
_MAX_WILDCARDS = 500
# Matching one pattern against one label costs about as much as this many characters of each.
_CHARACTERS_A_MATCH = 20

On = Annotated[float, key("A label turns on when its smoothed score reaches this.", "live", ge=0, le=1)]
Off = Annotated[float, key("It turns off when its smoothed score falls below this.", "live", ge=0, le=1)]
MinOn = Annotated[float, key("Seconds that the score must stay there first.", "live", ge=0, le=3600)]
MinOff = Annotated[
    float, key("Seconds that the score must stay below `off` before the label turns off.", "live", ge=0, le=3600)
]


class LabelDecisions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One label's thresholds; what is left out is as for all labels."""

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
        Annotated[tuple[str, ...], key("The only labels that make events; Dog* is all that begin with Dog.", "live")]
        | UnsetType
    ) = UNSET
    deny: (
        Annotated[tuple[str, ...], key("Labels that never make events; wildcards as in allow.", "live")] | UnsetType
    ) = UNSET
    labels: Annotated[dict[str, LabelDecisions], key("Thresholds of single labels; wildcards as in allow.", "live")] = (
        msgspec.field(default_factory=dict)
    )


class Threshold(msgspec.Struct, frozen=True):
    """What one label needs to turn on and off: scores from 0 to 1, durations in seconds."""

    on: float = 0.6
    off: float = 0.4
    min_on_s: float = 0.0
    min_off_s: float = 0.5


class DecisionRules(msgspec.Struct, frozen=True):
    """The settings that apply to one model, nothing left out.

    Attributes:
        smoothing_s: time constant of the exponential smoothing, in seconds; 0 for none.
        thresholds: by label, for the labels that make events.
    """

    smoothing_s: float
    thresholds: dict[str, Threshold]


def decision_rules(labels: tuple[str, ...], defaults: Decisions, overrides: Decisions) -> DecisionRules:
    """Put a configuration's decisions on top of a manifest's.

    A label's own entry wins over one with wildcards, that over the general one, and the configuration over the
    manifest. What a configuration allows, it allows whatever the manifest denies.

    Raises:
        FieldError: a label that the model does not have, an `off` above its `on`, or more wildcards than can be matched
            in good time; its keys start below ``decisions``.
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
        # Most of a thousand labels share theirs.
        if places not in known:
            known[places] = _threshold(label, layers, own)
        thresholds[label] = known[places]
    return DecisionRules(smoothing_s, thresholds)


class LabelPatterns:
    """Labels and wildcards: ``*`` is any text, ``?`` any character."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._labels = frozenset(patterns)
        self._wildcards = [_compiled(pattern) for pattern in self._labels if _is_wildcard(pattern)]

    def match(self, label: str) -> bool:
        """Say whether any of them means this label."""
        return label in self._labels or any(wildcard.match(label) for wildcard in self._wildcards)


def _is_wildcard(pattern: str) -> bool:
    """Say whether a pattern may mean several labels."""
    return "*" in pattern or "?" in pattern


def _compiled(pattern: str) -> re.Pattern[str]:
    """Make a regular expression of a wildcard; it matches without backtracking from one ``*`` into the one before."""
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))


class _Entries:
    """One layer's thresholds of single labels."""

    def __init__(self, layer: Decisions) -> None:
        self._layer = layer
        self._wildcards = {pattern: _compiled(pattern) for pattern in layer.labels if _is_wildcard(pattern)}

    def of(self, label: str) -> list[tuple[KeyPath, LabelDecisions]]:
        """Return those that apply to a label, the one that wins last."""
        names = [name for name, wildcard in self._wildcards.items() if name != label and wildcard.match(label)]
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
    allowed = None if allow is UNSET else LabelPatterns(allow)
    denied = LabelPatterns(deny)
    return [label for label in labels if (allowed is None or allowed.match(label)) and not denied.match(label)]


def _check_labels(layer: Decisions, labels: tuple[str, ...]) -> None:
    patterns: list[tuple[KeyPath, str]] = [(("labels", pattern), pattern) for pattern in layer.labels]
    for name, listed in (("allow", layer.allow), ("deny", layer.deny)):
        patterns += [((name, index), pattern) for index, pattern in enumerate(listed or ())]
    check_labels(patterns, labels)


def check_labels(patterns: Collection[tuple[KeyPath, str]], labels: tuple[str, ...]) -> None:
    """Check that each label or wildcard means a label of a model.

    Args:
        patterns: with the keys that they stand under.
        labels: of the model.

    Raises:
        FieldError: one means none of them, or there are more wildcards than can be matched in good time.
    """
    _check_effort([pattern for _, pattern in patterns if _is_wildcard(pattern)], labels)
    known = set(labels)
    for keys, pattern in patterns:
        if pattern not in known and not (_is_wildcard(pattern) and any(map(_compiled(pattern).match, labels))):
            raise FieldError(keys, _no_such_label(pattern, labels))


def _check_effort(wildcards: list[str], labels: tuple[str, ...]) -> None:
    characters, label_characters = (
        sum(len(text) + _CHARACTERS_A_MATCH for text in texts) for texts in (wildcards, labels)
    )
    if len(wildcards) > _MAX_WILDCARDS or characters * label_characters > _MAX_EFFORT:
        raise FieldError((), f"more or longer wildcards than can be matched with {len(labels)} labels")


def _no_such_label(pattern: str, labels: tuple[str, ...]) -> str:
    quoted = f"'{shown(pattern, 60)}'"
    wild = _is_wildcard(pattern)
    problem = f"no label of the model matches {quoted}" if wild else f"the model has no label {quoted}"
    if len(labels) <= _MAX_LISTED:
        return f"{problem}; it has {', '.join(shown(label, 40) for label in labels)}"
    meant = pattern.replace("*", "")[:_MAX_COMPARED_LENGTH]
    short = (label for label in labels if len(label) <= _MAX_COMPARED_LENGTH)
    likely_first = sorted(short, key=lambda label: label[:1].casefold() != meant[:1].casefold())
    near = difflib.get_close_matches(meant, likely_first[:_MAX_COMPARED], n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"`audiomon models show` lists its {len(labels)} labels"
    return f"{problem}; {hint}"


def _threshold(label: str, layers: tuple[Decisions, ...], own: list[tuple[KeyPath, LabelDecisions]]) -> Threshold:
    chosen: dict[str, float] = {}
    deciding: KeyPath = ()  # the last key that set on or off: the one to name if they cross
    general: list[tuple[KeyPath, Decisions]] = [((), layer) for layer in layers]
    for keys, source in (*general, *own):
        for name in Threshold.__struct_fields__:
            value = getattr(source, name)
            if value is not UNSET:
                chosen[name] = value
                deciding = (*keys, name) if name in ("on", "off") else deciding
    threshold = Threshold(**chosen)
    if threshold.off > threshold.on:
        raise FieldError(
            deciding,
            f"{shown(label, 60)} would turn on at {threshold.on:g} and off at {threshold.off:g}; "
            f"off must be at most on",
        )
    return threshold
