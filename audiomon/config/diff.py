"""What differs between two configurations, and what it takes to apply it."""

import types
import typing
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import msgspec

from audiomon.config.key import Reload
from audiomon.foreign import shown

_MAX_VALUE = 60


class KeyChange(msgspec.Struct, frozen=True):
    """A key whose value differs.

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
        """Write it as ``hop_s 0.5 → 0.25``, and say if it takes a restart."""
        later = " (after a restart)" if self.reload == "restart" else ""
        return f"{self.key} {_in_short(self.old)} → {_in_short(self.new)}{later}"


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
    """Yield what the `msgspec.Meta` of a hint, or of the members of a union, add to the JSON schema."""
    for part in get_args(hint):
        if isinstance(part, msgspec.Meta):
            if part.extra_json_schema:
                yield part.extra_json_schema
        elif get_origin(hint) in (typing.Union, types.UnionType):
            yield from _extras(part)


def _in_short(value: Any) -> str:
    if value is msgspec.UNSET:
        return "unset"
    return shown(value if isinstance(value, str) else msgspec.json.encode(value).decode(), _MAX_VALUE)
