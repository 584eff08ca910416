"""Plain data to typed structs, and what msgspec refuses in words: the line, the key, what is wrong, what is allowed."""

import difflib
import functools
import re
import types
import typing
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec

from audiomon.config.document import Document, KeyPath
from audiomon.errors import ConfigError

Model = TypeVar("Model", bound=msgspec.Struct)


def validate(document: Document, model: type[Model]) -> Model:
    """Convert a document to a struct, strictly.

    Raises:
        ConfigError: ``FILE:LINE: key: what is wrong, what is allowed``.
    """
    data = {} if document.data is None else document.data
    if not isinstance(data, dict):
        raise document.error((), "must be `key: value` lines")
    data = _without_empty_groups(data, model)
    try:
        return msgspec.convert(data, model)
    except msgspec.ValidationError as error:
        raise _explain(document, data, model, str(error)) from None


def _without_empty_groups(data: dict[str, Any], struct: Any) -> dict[str, Any]:
    """Leave out groups such as ``decisions:`` that have nothing under them, because all of it is commented out."""
    kept: dict[str, Any] = {}
    for key, value in data.items():
        parts = _parts(_member(struct, key))
        if (
            value is None
            and type(None) not in parts
            and any(_is_struct(part) or get_origin(part) is dict for part in parts)
        ):
            continue
        group = next((part for part in parts if _is_struct(part)), None)
        kept[key] = _without_empty_groups(value, group) if group and isinstance(value, dict) else value
    return kept


def allowed(hint: Any) -> str:
    """Say in a few words what a type hint allows: ``a number from 0 to 1``."""
    if get_origin(hint) is Annotated:
        base, *metas = get_args(hint)
        bounds = " and ".join(_bounds(meta) for meta in metas if isinstance(meta, msgspec.Meta) and _bounds(meta))
        return f"{allowed(base)} {bounds}".strip()
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, get_args(hint)))
    if get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(allowed(part) for part in _parts_given(hint)))
    if get_origin(hint) in (list, tuple):
        return f"a list of {allowed(get_args(hint)[0])}"
    words: dict[Any, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return words.get(hint) or words.get(get_origin(hint)) or "`key: value` lines"


def _parts_given(union: Any) -> list[Any]:
    return [part for part in get_args(union) if part not in (type(None), msgspec.UnsetType)]


def _bounds(meta: msgspec.Meta) -> str:
    if meta.ge is not None and meta.le is not None:
        return f"from {meta.ge:g} to {meta.le:g}"
    named = ((meta.ge, "at least"), (meta.le, "at most"))
    bounds = [f"{word} {bound:g}" for bound, word in named if bound is not None]
    lengths = ((meta.min_length, "of length at least"), (meta.max_length, "of length at most"))
    bounds += [f"{word} {length}" for length, word in lengths if length is not None]
    if meta.pattern is not None:
        bounds.append(f"that matches {meta.pattern}")
    return " and ".join(bounds)


# What msgspec says of a value by itself; anything else comes from a struct's own __post_init__.
_WRONG_VALUE = ("Expected", "Invalid", "Number out of range", "Integer value out of range")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`")
_MISSING = re.compile(r"Object missing required field `(.*?)`")
_PLACE = re.compile(r" - at `(?:key` in `)?\$(.*)`$")


def _explain(document: Document, data: Any, model: Any, text: str) -> ConfigError:
    match = _PLACE.search(text)
    keys = _locate(data, model, match.group(1) if match else "", text)
    problem = text[: match.start()] if match else text
    if unknown := _UNKNOWN.match(problem):
        known = _fields(_hint_at(model, keys), _value_at(data, keys))
        near = difflib.get_close_matches(unknown.group(1), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(known))}"
        return document.error((*keys, unknown.group(1)), f"is not a key that is known here; {hint}")
    if missing := _MISSING.match(problem):
        return document.error(keys, f"{missing.group(1)} is missing")
    if problem.startswith(_WRONG_VALUE):
        return document.error(keys, f"is {_shown(_value_at(data, keys))}, must be {allowed(_hint_at(model, keys))}")
    # What a struct's own __post_init__ says starts with the key it is about, where there is one.
    first = re.split(r"[ :]", problem)[0]
    about = (*keys, *first.split("."))
    return (
        document.error(about, problem[len(first) :].lstrip(": "))
        if about in document.lines
        else document.error(keys, problem)
    )


def _locate(data: Any, model: Any, place: str, text: str) -> KeyPath:
    """Turn msgspec's ``.decisions.labels[...].on`` into keys; ``[...]`` stands for some key of a mapping."""
    keys: KeyPath = ()
    for part in re.findall(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]", place):
        name, index = part
        if name:
            keys = (*keys, name)
        elif index.isdigit():
            keys = (*keys, int(index))
        else:
            keys = (*keys, _guilty_key(data, keys, model, text))
    return keys


def _guilty_key(data: Any, keys: KeyPath, model: Any, text: str) -> str:
    """Find the key that msgspec means by trying each entry of the mapping alone."""
    mapping = _value_at(data, keys)
    for key in mapping:
        try:
            msgspec.convert(_replaced(data, keys, {key: mapping[key]}), model)
        except msgspec.ValidationError as error:
            if str(error) == text:
                return str(key)
    return str(next(iter(mapping)))


def _replaced(data: Any, keys: KeyPath, value: Any) -> Any:
    if not keys:
        return value
    copy = data.copy()
    copy[keys[0]] = _replaced(data[keys[0]], keys[1:], value)
    return copy


def _value_at(data: Any, keys: KeyPath) -> Any:
    for key in keys:
        data = data[key]
    return data


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a group of keys"
    if isinstance(value, list):
        return "a list"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 40 else text[:39] + "…"


def _hint_at(model: Any, keys: KeyPath) -> Any:
    """Return the type hint that applies at a path of keys."""
    hint: Any = model
    for key in keys:
        parts = _parts(hint)
        tagged = [part.__struct_config__ for part in parts if _is_struct(part) and part.__struct_config__.tag]
        if key in {config.tag_field for config in tagged}:
            hint = Literal[tuple(config.tag for config in tagged)]
        else:
            hint = next((found for part in parts if (found := _member(part, key)) is not None), None)
    return hint


def _member(hint: Any, key: str | int) -> Any:
    if _is_struct(hint):
        return _members(hint).get(str(key))
    arguments = get_args(hint)
    return arguments[-1 if get_origin(hint) is dict else 0] if arguments else None


@functools.cache  # working them out takes longer than all the rest of reading a file
def _members(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return typing.get_type_hints(struct, include_extras=True)


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _parts(hint: Any) -> list[Any]:
    """Take ``Annotated`` and unions apart."""
    if get_origin(hint) is Annotated:
        return _parts(get_args(hint)[0])
    if get_origin(hint) in (typing.Union, types.UnionType):
        return [piece for part in get_args(hint) for piece in _parts(part)]
    return [hint]


def _fields(hint: Any, value: Any) -> list[str]:
    """Return the keys that a group may have; of several kinds of group, the one that its tag names."""
    known = []
    for struct in (part for part in _parts(hint) if _is_struct(part)):
        tag_field = struct.__struct_config__.tag_field
        if tag_field is None or value.get(tag_field) in (struct.__struct_config__.tag, None):
            known += [*([tag_field] if tag_field else []), *_members(struct)]
    return known
