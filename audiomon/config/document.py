"""YAML text to plain data, remembering the line of every key. Knows nothing of what the keys mean.

YAML 1.2's core types only: ``on`` and ``off`` are words (thresholds are called that), ``1e-10`` is a number, nothing is
ever a date. Anchors, tags and repeated keys are refused: configuration that does not say what it seems to say.
"""

import math
import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from audiomon.config.text import as_text, read_bytes
from audiomon.errors import ConfigError, KeyPath, dotted
from audiomon.foreign import shown

MAX_DEPTH = 20
_TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep"
_MAX_QUOTED = 40

# ``model:home``, perhaps as a list's item, but not ``http://``.
_NO_SPACE = re.compile(r"\s*+(?:- ++)*+([A-Za-z_]\w*+:(?![\s/:])\S+)")
_KEY = re.compile(r"\s*+(?:- ++)*+[^\s#].*?:(?:\s|$)")


class Document(msgspec.Struct, frozen=True):
    """A YAML file, read.

    Attributes:
        path: of the file.
        data: mappings, lists, str, int, float, bool and None.
        lines: line number, from 1, of every key and list item, by its path from the top.
        blank: whether it is a plain file with nothing in it but white space: an editor that empties a file before it
            writes leaves one for a moment.
    """

    path: Path
    data: Any
    lines: dict[KeyPath, int]
    blank: bool = False

    def error(self, keys: KeyPath, reason: str) -> ConfigError:
        """Make the error for the place that ``keys`` leads to, or for the nearest above it that the file has."""
        known = keys
        while known and known not in self.lines:
            known = known[:-1]
        return ConfigError(reason, path=self.path, line=self.lines.get(known, 1), key=dotted(keys))


def read_document(path: Path, content: bytes | None = None) -> Document:
    """Read a YAML file, once.

    Args:
        path: of the file.
        content: of it, where the caller has read it already.

    Raises:
        ConfigError: it does not exist, may not be read, is not UTF-8 text, is not YAML, or uses more of YAML than
            configuration needs.
    """
    content, plain = (content, True) if content is not None else read_bytes(path)
    text = as_text(content, path)
    loader = _Loader(text)
    try:
        data, lines = _Reading(path, loader).document()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(path, text, error) from None
    finally:
        loader.dispose()
    return Document(path, data, lines, blank=plain and not text.strip())


def missing_space(text: str) -> str:
    """Say so if a text is a key and its value with no space between them, as ``model:home``; else return nothing."""
    match = _NO_SPACE.match(text)
    return f"{shown(match.group(1), _MAX_QUOTED)} needs a space after its colon" if match else ""


def _syntax_error(path: Path, text: str, error: yaml.MarkedYAMLError) -> ConfigError:
    """Say what is wrong: the two commonest mistakes in our words, the rest in libyaml's."""
    marks = [mark for mark in (error.problem_mark, error.context_mark) if mark]
    lines = text.splitlines()
    for mark in marks:
        line = lines[mark.line] if mark.line < len(lines) else ""
        if "\t" in line[: len(line) - len(line.lstrip())] or line[mark.column : mark.column + 1] == "\t":
            return ConfigError("has a tab where YAML takes spaces only", path=path, line=mark.line + 1)
    number = marks[0].line if marks else 0
    # A value that seems to go on over several lines is found wrong on the last of them.
    for above in range(min(number, len(lines) - 1), -1, -1):
        if problem := missing_space(lines[above]):
            return ConfigError(problem, path=path, line=above + 1)
        if above < number and _KEY.match(lines[above]):
            break
    problem = " ".join(str(part) for part in (error.context, error.problem) if part)
    # libyaml gives up by itself at a thousand levels, which it may look ahead to before it hands over the first. Only
    # its wording tells (tests/config/test_document.py holds it to that).
    reason = _TOO_DEEP if "nesting" in problem else f"is not valid YAML: {problem}"
    return ConfigError(reason, path=path, line=number + 1)


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]  # its base is chosen at run time
    """libyaml's parser where PyYAML has it (30 times faster), with YAML 1.2's core types."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # as PyYAML declares it


for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", ["n", "~", ""]),
    ("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))


class _Reading:
    """Turns one file's parser events into data, noting lines.

    Events, not PyYAML's nodes: its composer recurses without a limit and crashes the process on deep nesting, and its
    nodes no longer tell which tags and anchors were written out.
    """

    def __init__(self, path: Path, loader: Any) -> None:
        self._path = path
        self._loader = loader
        self._lines: dict[KeyPath, int] = {}

    def document(self) -> tuple[Any, dict[KeyPath, int]]:
        """Return the data, and the line of every key."""
        self._loader.get_event()
        data = None
        if not self._loader.check_event(yaml.StreamEndEvent):
            self._loader.get_event()
            data = self._value(())
            self._loader.get_event()
            if not self._loader.check_event(yaml.StreamEndEvent):
                raise self._error(self._loader.peek_event(), (), "is a second document; a settings file holds one")
        return data, self._lines

    def _value(self, keys: KeyPath) -> Any:
        event = self._event(keys)
        self._lines.setdefault(keys, event.start_mark.line + 1)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, keys)
        if len(keys) >= MAX_DEPTH:
            raise self._error(event, (), _TOO_DEEP)
        return self._mapping(keys) if isinstance(event, yaml.MappingStartEvent) else self._sequence(keys)

    def _mapping(self, keys: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not self._loader.check_event(yaml.MappingEndEvent):
            event = self._event(keys)
            key = event.value if isinstance(event, yaml.ScalarEvent) else ""
            # Control characters and backticks would make an error message say something else than it means.
            if not key or not key.isprintable() or "`" in key:
                raise self._error(event, keys, "a key must be plain text")
            if key in mapping:
                first = self._lines[(*keys, key)]
                raise self._error(event, (*keys, key), f"is given twice (first on line {first})")
            self._lines[(*keys, key)] = event.start_mark.line + 1
            mapping[key] = self._value((*keys, key))
        self._loader.get_event()
        return mapping

    def _sequence(self, keys: KeyPath) -> list[Any]:
        items: list[Any] = []
        while not self._loader.check_event(yaml.SequenceEndEvent):
            items.append(self._value((*keys, len(items))))
        self._loader.get_event()
        return items

    def _event(self, keys: KeyPath) -> Any:
        event = self._loader.get_event()
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise self._error(event, keys, "anchors (&) and aliases (*) are not used here: write the value out")
        if event.tag is not None:
            raise self._error(event, keys, f"tags such as {shown(event.tag, _MAX_QUOTED)} are not used here")
        return event

    def _scalar(self, event: yaml.ScalarEvent, keys: KeyPath) -> Any:
        text = str(event.value)
        kind = self._loader.resolve(yaml.ScalarNode, text, event.implicit).removeprefix("tag:yaml.org,2002:")
        match kind:
            case "int" | "float":
                number = _number(text, kind)
                if number is None:
                    raise self._error(event, keys, f"{shown(text, _MAX_QUOTED)} is out of the range of numbers")
                return number
            case "bool":
                return text == "true"
            case "null":
                return None
        return text

    def _error(self, event: Any, keys: KeyPath, reason: str) -> ConfigError:
        return ConfigError(reason, path=self._path, line=event.start_mark.line + 1, key=dotted(keys))


def _number(text: str, kind: str) -> int | float | None:
    """Read a number that the resolver's pattern has recognised; None if it is too large for any use."""
    if kind == "float":
        real = float(text)
        return real if math.isfinite(real) else None
    if len(text) > 40:
        return None
    whole = int(text, 16 if text.startswith("0x") else 10)
    return whole if -(2**63) <= whole < 2**63 else None
