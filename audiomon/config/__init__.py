"""``audiomon.yaml`` and every other settings file: what it may say, how it is read, and errors that name the line."""

from pathlib import Path
from typing import TypeVar

import msgspec

from audiomon.config.decisions import (
    DecisionRules,
    Decisions,
    LabelDecisions,
    LabelPatterns,
    Threshold,
    check_labels,
    decision_rules,
)
from audiomon.config.document import Document, read_document
from audiomon.config.schema import ALTERNATIVES, Clips, Config, Feed, Journal, Microphone, json_schema, settings_schema
from audiomon.config.validation import convert, validate

__all__ = [
    "Clips",
    "Config",
    "DecisionRules",
    "Decisions",
    "Document",
    "Feed",
    "Journal",
    "LabelDecisions",
    "LabelPatterns",
    "Microphone",
    "Threshold",
    "check_labels",
    "convert",
    "decision_rules",
    "json_schema",
    "load_config",
    "read_document",
    "read_settings_file",
    "settings_schema",
    "validate",
]

Model = TypeVar("Model", bound=msgspec.Struct)


def read_settings_file(path: Path, model: type[Model]) -> tuple[Model, Document]:
    """Read and check a YAML file whose keys are the fields of a struct.

    Args:
        path: of the file.
        model: with ``forbid_unknown_fields``; bounds in `msgspec.Meta`, or `audiomon.config.key.key` where a change of
            the key can be applied while running. What it checks in ``__post_init__`` it refuses by
            `audiomon.errors.FieldError`.

    Returns:
        The settings, and the document, which knows the line of every key for errors that are found later.

    Raises:
        ConfigError: it cannot be read, or does not fit: file, line, key, what is wrong, what is allowed.
    """
    document = read_document(path)
    return validate(document, model), document


def load_config(path: Path) -> tuple[Config, Document]:
    """Read and check ``audiomon.yaml``.

    Raises:
        ConfigError: as `read_settings_file`; or it gives two keys that say the same in two ways.
    """
    config, document = read_settings_file(path, Config)
    given = [key for key, value in (document.data or {}).items() if key in ALTERNATIVES and value is not None]
    if len(given) > 1:
        raise document.error((given[1],), f"says the same as {given[0]}, in another way: remove one of them")
    return config, document
