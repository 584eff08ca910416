"""What differs between two configurations, and what it takes to apply it."""

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin

import msgspec

from audiomon.config.key import Reload


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A key whose value is another one now.

    Attributes:
        key: dotted, as in ``microphone.device``.
        old: the value before.
        new: the value now.
        reload: what it takes; see `audiomon.config.key`.
    """

    key: str
    old: Any
    new: Any
    reload: Reload

    def __str__(self) -> str:
        """Write it as ``hop_s 0.5 → 0.25``, and say if it does not hold at once."""
        later = " (after a restart)" if self.reload == "restart" else ""
        return f"{self.key} {_shown(self.old)} → {_shown(self.new)}{later}"


def changed_keys(old: msgspec.Struct, new: msgspec.Struct) -> list[KeyChange]:
    """Compare two configurations of the same type, key by key, in the schema's order."""
    changes: list[KeyChange] = []
    for name, hint in typing.get_type_hints(type(old), include_extras=True).items():
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        if isinstance(before, msgspec.Struct):
            inner = changed_keys(before, after)
            changes.extend(KeyChange(f"{name}.{change.key}", change.old, change.new, change.reload) for change in inner)
        else:
            changes.append(KeyChange(name, before, after, _reload_class(hint)))
    return changes


def _reload_class(hint: Any) -> Reload:
    return next(extra["x-reload"] for extra in _extras(hint) if "x-reload" in extra)


def _extras(hint: Any) -> Iterator[dict[str, Any]]:
    if get_origin(hint) in (typing.Union, types.UnionType):
        for part in get_args(hint):
            yield from _extras(part)
    for meta in get_args(hint)[1:]:
        if isinstance(meta, msgspec.Meta) and meta.extra_json_schema:
            yield meta.extra_json_schema


def _shown(value: Any) -> str:
    if value is msgspec.UNSET:
        return "unset"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:59] + "…"
