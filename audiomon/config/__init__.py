"""``audiomon.yaml``: what it may say, how it is read, and errors that name the line."""

from pathlib import Path

from audiomon.config.decisions import DecisionRules, Decisions, LabelDecisions, RulesError, Threshold, decision_rules
from audiomon.config.document import Document, read_document
from audiomon.config.schema import Config, Journal, Microphone, json_schema
from audiomon.config.validation import validate

__all__ = [
    "Config",
    "DecisionRules",
    "Decisions",
    "Document",
    "Journal",
    "LabelDecisions",
    "Microphone",
    "RulesError",
    "Threshold",
    "decision_rules",
    "json_schema",
    "load_config",
    "read_document",
    "validate",
]


def load_config(path: Path) -> tuple[Config, Document]:
    """Read and check a configuration; the document tells the lines of what is found wrong later.

    Raises:
        ConfigError: see `audiomon.errors.ConfigError`.
    """
    document = read_document(path)
    return validate(document, Config), document
