"""Plain data to typed structs; and what is wrong with data that does not fit, in words: the key, what is allowed.

msgspec decides and converts. Its messages name the place in a text of their own, so the mistake is looked for again
here, along the types, where the key is known. Nothing here reads a file.
"""

import contextlib
import difflib
import functools
import math
import types
import typing
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec

from audiomon.config.document import Document, missing_space
from audiomon.errors import FieldError, KeyPath
from audiomon.foreign import shown

Model = TypeVar("Model", bound=msgspec.Struct)

_MAX_QUOTED = 40
_GROUP = "`key: value` lines"


def validate(document: Document, model: type[Model]) -> Model:
    """Convert a document to a struct, strictly.

    Raises:
        ConfigError: with the file, the line, the key, what is wrong and what is allowed.
    """
    try:
        return convert({} if document.data is None else document.data, model)
    except FieldError as error:
        raise document.error(error.keys, error.reason) from None


def convert(data: Any, model: type[Model]) -> Model:
    """Convert plain data to a struct, strictly.

    Groups such as ``decisions:`` with nothing under them are as if they were not there: all of it is commented out.

    Raises:
        FieldError: it does not fit, or holds a number that is not finite.
    """
    if not isinstance(data, dict):
        raise FieldError((), (missing_space(data) if isinstance(data, str) else "") or f"must be {_GROUP}")
    data = _without_empty_groups(data, model)
    # msgspec takes NaN for a number within any range.
    if _is_finite(data):
        with contextlib.suppress(msgspec.ValidationError):
            return msgspec.convert(data, model)
    raise _mistake(data, model, ())


def allowed(hint: Any) -> str:
    """Say in a few words what a type hint allows: ``a number from 0 to 1``."""
    if get_origin(hint) is Annotated:
        base, *metas = get_args(hint)
        bounds = " and ".join(_bounds(meta) for meta in metas if isinstance(meta, msgspec.Meta) and _bounds(meta))
        return f"{allowed(base)} {bounds}".strip()
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, get_args(hint)))
    if get_origin(hint) in (typing.Union, types.UnionType):
        given = [part for part in get_args(hint) if part not in (type(None), msgspec.UnsetType)]
        return " or ".join(dict.fromkeys(allowed(part) for part in given))
    if get_origin(hint) in (list, tuple):
        return f"a list of {allowed(get_args(hint)[0])}"
    words: dict[Any, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return words.get(hint, _GROUP)


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


def _without_empty_groups(data: dict[str, Any], struct: Any) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in data.items():
        parts = _parts(_members(struct).get(key))
        if value is None and type(None) not in parts and any(map(_is_group, parts)):
            continue
        group = next((part for part in parts if _is_struct(part)), None)
        kept[key] = _without_empty_groups(value, group) if group and isinstance(value, dict) else value
    return kept


def _is_finite(data: Any) -> bool:
    if isinstance(data, float):
        return math.isfinite(data)
    children = data.values() if isinstance(data, dict) else data if isinstance(data, list | tuple) else ()
    return all(map(_is_finite, children))


def _fits(value: Any, hint: Any) -> bool:
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError:
        return False
    return _is_finite(value)


def _mistake(value: Any, hint: Any, keys: KeyPath) -> FieldError:
    """Find what is wrong with a value that does not fit: the first mistake in the order of the file."""
    parts = _parts(hint)
    structs = [part for part in parts if _is_struct(part)]
    if structs and isinstance(value, dict):
        return _mistake_in_group(value, structs, keys)
    container = next((part for part in parts if _can_hold(part, value)), None)
    if container is not None:
        item = get_args(container)[-1 if isinstance(value, dict) else 0]
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if not _fits(inner, item):
                return _mistake(inner, item, (*keys, key))
    # Where a group is due, ``device:usb`` under its key has become a text.
    problem = missing_space(value) if isinstance(value, str) and any(map(_is_group, parts)) else ""
    return FieldError(keys, problem or f"is {_quoted(value)}, must be {allowed(hint)}")


def _mistake_in_group(group: dict[str, Any], structs: list[Any], keys: KeyPath) -> FieldError:
    tag_field = structs[0].__struct_config__.tag_field
    if tag_field is not None and (tag_field in group or len(structs) > 1):
        tags = [struct.__struct_config__.tag for struct in structs]
        if tag_field not in group:
            return FieldError(keys, f"{tag_field} is missing")
        if group[tag_field] not in tags:
            return _mistake(group[tag_field], Literal[tuple(tags)], (*keys, tag_field))
        structs = [structs[tags.index(group[tag_field])]]
    return _mistake_in_fields(group, structs[0], keys)


def _mistake_in_fields(group: dict[str, Any], struct: Any, keys: KeyPath) -> FieldError:
    hints = _members(struct)
    tag_field = struct.__struct_config__.tag_field
    fields = {key: value for key, value in group.items() if key != tag_field}
    for key, value in fields.items():
        if key not in hints:
            return FieldError((*keys, key), _unknown(key, [*([tag_field] if tag_field else []), *hints]))
        if not _fits(value, hints[key]):
            return _mistake(value, hints[key], (*keys, key))
    for field in msgspec.structs.fields(struct):
        if field.required and field.name not in fields:
            return FieldError(keys, f"{field.name} is missing")
    # Each value fits by itself: what is wrong is what the struct itself checks.
    try:
        struct(**{key: msgspec.convert(value, hints[key]) for key, value in fields.items()})
    except ValueError as error:
        about = error if isinstance(error, FieldError) else FieldError((), str(error))
        return FieldError((*keys, *about.keys), about.reason)
    raise AssertionError(f"msgspec refuses a {struct.__name__} in which nothing is wrong")


def _unknown(key: str, known: list[str]) -> str:
    if missing_space(key):
        return "needs a space after its colon"
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(known))}"
    return f"is not a key that is known here; {hint}"


def _quoted(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a group of keys"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if isinstance(value, str):
        return f"'{shown(value, _MAX_QUOTED)}'"
    return shown(str(value).lower(), _MAX_QUOTED)


@functools.cache  # working them out takes longer than all the rest of reading a file
def _members(struct: type[msgspec.Struct]) -> dict[str, Any]:
    hints = typing.get_type_hints(struct, include_extras=True)
    return {name: hints[name] for name in struct.__struct_fields__}


def _parts(hint: Any) -> list[Any]:
    """Take ``Annotated`` and unions apart."""
    if get_origin(hint) is Annotated:
        return _parts(get_args(hint)[0])
    if get_origin(hint) in (typing.Union, types.UnionType):
        return [piece for part in get_args(hint) for piece in _parts(part)]
    return [hint]


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _is_group(hint: Any) -> bool:
    return _is_struct(hint) or get_origin(hint) is dict


def _can_hold(hint: Any, value: Any) -> bool:
    if isinstance(value, dict):
        return get_origin(hint) is dict
    return isinstance(value, list | tuple) and get_origin(hint) in (list, tuple)
