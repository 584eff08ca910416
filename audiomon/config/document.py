"""YAML text to plain data, remembering the line of every key. Knows nothing of what the keys mean.

YAML 1.2's core types only: ``on`` and ``off`` are words (thresholds are called that), ``1e-10`` is a number, nothing is
ever a date. Anchors, tags and repeated keys are refused: configuration that does not say what it seems to say.
"""

import math
import os
import re
import select
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import Reader

from audiomon.errors import ConfigError

LARGEST_BYTES = 1 << 20
DEEPEST = 20
_TOO_DEEP = f"is nested more than {DEEPEST} levels deep"
_PIPE_PATIENCE_S = 5.0

_Key = str | int
KeyPath = tuple[_Key, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file, read.

    Attributes:
        path: of the file.
        data: mappings, lists, str, int, float, bool and None.
        lines: line number, from 1, of every key and list item, by its path from the top.
    """

    path: Path
    data: Any
    lines: dict[KeyPath, int]

    def error(self, keys: KeyPath, message: str) -> ConfigError:
        """Make the error ``FILE:LINE: key: message`` for the place that ``keys`` leads to, or the nearest above it."""
        known = keys
        while known and known not in self.lines:
            known = known[:-1]
        place = f"{self.path}:{self.lines.get(known, 1)}"
        return ConfigError(f"{place}: {dotted(keys)}: {message}" if keys else f"{place}: {message}")


def dotted(keys: KeyPath) -> str:
    """Write a path of keys as ``decisions.labels.speech`` or ``labels[3]``."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def read_document(path: Path, content: bytes | None = None) -> Document:
    """Read a YAML file.

    Args:
        path: of the file.
        content: of it, where the caller has read it already.

    Raises:
        ConfigError: it does not exist, may not be read, is not UTF-8 text, is not YAML, or uses more of YAML than
            configuration needs.
    """
    text = _read_text(path, content)
    loader = _Loader(text)
    try:
        return _Reading(path, loader).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = " ".join(str(part) for part in (error.context, error.problem) if part)
        # libyaml gives up by itself at a thousand levels, which it may look ahead to before the first is handed over
        said = _TOO_DEEP if "nesting" in problem else f"is not valid YAML: {problem}"
        raise ConfigError(f"{path}:{line}: {said}") from None
    finally:
        loader.dispose()


def _read_text(path: Path, content: bytes | None) -> str:
    try:
        content = _read_bytes(path) if content is None else content
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder, not a file") from None
    except PermissionError:
        raise ConfigError(f"{path}: may not be read by this user") from None
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            line = error.object[: error.start].count(b"\n") + 1
            raise ConfigError(f"{path}:{line}: is not UTF-8 text") from None
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > LARGEST_BYTES:
        raise ConfigError(f"{path}:1: is larger than {LARGEST_BYTES >> 20} MiB; that is not a configuration")
    if control := Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, control.start()) + 1
        raise ConfigError(f"{path}:{line}: is not text: it holds the control character U+{ord(control.group()):04X}")
    return text


def _read_bytes(path: Path) -> bytes:
    """Read what there is, but no more than a byte too much: not by stat's size, since a device has no end.

    A pipe may be read, as in ``--config <(generate)``; for one that nobody writes into, nobody waits long.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
        awaited = not stat.S_ISFIFO(os.fstat(file.fileno()).st_mode)
        content = b""
        while len(content) <= LARGEST_BYTES:
            part = file.read(LARGEST_BYTES + 1 - len(content))
            if part:
                content += part
            elif part is None or not (content or awaited):  # a pipe, and whoever writes into it has yet to
                awaited = True
                if not select.select([file], [], [], _PIPE_PATIENCE_S)[0]:
                    raise OSError(None, f"nothing has come through this pipe for {_PIPE_PATIENCE_S:g} s")
            else:
                break
    return content


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

    def document(self) -> Document:
        self._loader.get_event()
        data = None
        if not self._loader.check_event(yaml.StreamEndEvent):
            self._loader.get_event()
            data = self._value(())
            self._loader.get_event()
            if not self._loader.check_event(yaml.StreamEndEvent):
                raise self._error(self._loader.peek_event(), (), "is a second document; one is all there can be")
        return Document(self._path, data, self._lines)

    def _value(self, keys: KeyPath) -> Any:
        event = self._event(keys)
        self._lines.setdefault(keys, event.start_mark.line + 1)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, keys)
        if len(keys) >= DEEPEST:
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
            raise self._error(event, keys, f"tags such as {_plain(event.tag)} are not used here")
        return event

    def _scalar(self, event: yaml.ScalarEvent, keys: KeyPath) -> Any:
        text = str(event.value)
        kind = self._loader.resolve(yaml.ScalarNode, text, event.implicit).removeprefix("tag:yaml.org,2002:")
        match kind:
            case "int" | "float":
                number = _number(text, kind)
                if number is None:
                    raise self._error(event, keys, f"{_plain(text)} is out of the range of numbers")
                return number
            case "bool":
                return text == "true"
            case "null":
                return None
        return text

    def _error(self, event: Any, keys: KeyPath, message: str) -> ConfigError:
        place = f"{self._path}:{event.start_mark.line + 1}"
        return ConfigError(f"{place}: {dotted(keys)}: {message}" if keys else f"{place}: {message}")


def _number(text: str, kind: str) -> int | float | None:
    """Read a number that the resolver's pattern has recognised; None if it is too large for any use."""
    if kind == "float":
        real = float(text)
        return real if math.isfinite(real) else None
    if len(text) > 40:
        return None
    whole = int(text, 16 if text.startswith("0x") else 10)
    return whole if -(2**63) <= whole < 2**63 else None


def _plain(text: str) -> str:
    """Shorten and escape what a file says, so that an error stays one readable line."""
    shown = text if text.isprintable() else repr(text)
    return shown if len(shown) <= 40 else shown[:39] + "…"
