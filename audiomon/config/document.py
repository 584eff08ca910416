"""YAML text to plain data, remembering the line of every key. Knows nothing of what the keys mean.

YAML 1.2's core types only: ``on`` and ``off`` are words (thresholds are called that), ``1e-10`` is a number, nothing is
ever a date. Anchors, tags and repeated keys are refused: configuration that does not say what it seems to say.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from audiomon.errors import ConfigError

LARGEST_BYTES = 1 << 20

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


def read_document(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        ConfigError: it does not exist, may not be read, is not UTF-8 text, is not YAML, or uses more of YAML than
            configuration needs.
    """
    text = _read_text(path)
    lines: dict[KeyPath, int] = {}
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        data = None if node is None else _Builder(path, loader, lines).build(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = " ".join(str(part) for part in (error.context, error.problem) if part)
        raise ConfigError(f"{path}:{line}: is not valid YAML: {problem}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}:1: is not valid YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ConfigError(f"{path}:1: is nested too deeply") from None
    finally:
        loader.dispose()
    return Document(path, data, lines)


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ConfigError(f"{path}:1: is larger than {LARGEST_BYTES >> 20} MiB; that is not a configuration")
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder, not a file") from None
    except PermissionError:
        raise ConfigError(f"{path}: may not be read by this user") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text") from None
    if "\0" in text:
        raise ConfigError(f"{path}:{text[: text.index(chr(0))].count(chr(10)) + 1}: is binary, not text")
    return text


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]  # its base is chosen at run time
    """libyaml's parser where PyYAML has it (30 times faster), with YAML 1.2's core types."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # as PyYAML declares it


for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", ["n", "~", ""]),
    ("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))


class _Builder:
    """Turns one document's nodes into data, noting lines."""

    def __init__(self, path: Path, loader: Any, lines: dict[KeyPath, int]) -> None:
        self._path = path
        self._loader = loader
        self._lines = lines
        self._seen: set[int] = set()

    def build(self, node: yaml.Node, keys: KeyPath) -> Any:
        self._lines.setdefault(keys, node.start_mark.line + 1)
        if id(node) in self._seen:
            raise self._error(node, keys, "anchors (&) and aliases (*) are not used here: write the value out")
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return {key: self.build(value, (*keys, key)) for key, value in self._pairs(node, keys)}
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*keys, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, keys)

    def _pairs(self, node: yaml.MappingNode, keys: KeyPath) -> list[tuple[str, yaml.Node]]:
        pairs: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(key_node, keys, "a key must be a word")
            key = str(key_node.value)
            if key in pairs:
                first = self._lines[(*keys, key)]
                raise self._error(key_node, (*keys, key), f"is given twice (first on line {first})")
            self._lines[(*keys, key)] = key_node.start_mark.line + 1
            pairs[key] = value
        return list(pairs.items())

    def _scalar(self, node: yaml.Node, keys: KeyPath) -> Any:
        kind = str(node.tag).removeprefix("tag:yaml.org,2002:")
        text = str(node.value)
        try:
            match kind:
                case "str":
                    return text
                case "int":
                    return int(text, 16 if text.lower().startswith("0x") else 10)
                case "float":
                    return float(text.replace(".inf", "inf").replace(".nan", "nan"))
                case "bool":
                    return text == "true"
                case "null":
                    return None
        except ValueError:
            raise self._error(node, keys, f"{text[:40]} is not a number that can be read") from None
        raise self._error(node, keys, f"the tag {node.tag} is not used here")

    def _error(self, node: yaml.Node, keys: KeyPath, message: str) -> ConfigError:
        place = f"{self._path}:{node.start_mark.line + 1}"
        return ConfigError(f"{place}: {dotted(keys)}: {message}" if keys else f"{place}: {message}")
