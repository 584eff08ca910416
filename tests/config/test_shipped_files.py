"""``config/``: what a user edits, and what an editor checks it by."""

import json
import re
import subprocess
import sys
import typing
from pathlib import Path

import jsonschema
import msgspec
import pytest
import yaml

from audiomon.config import (
    Clips,
    Config,
    Decisions,
    Feed,
    Journal,
    LabelDecisions,
    Microphone,
    Threshold,
    json_schema,
    load_config,
)
from audiomon.config.validation import allowed
from audiomon.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parents[2]
SHIPPED = REPOSITORY / "config" / "audiomon.yaml"
SCHEMA = REPOSITORY / "config" / "audiomon.schema.json"

GROUPS = {
    "": Config,
    "microphone": Microphone,
    "decisions": Decisions,
    "journal": Journal,
    "feed": Feed,
    "clips": Clips,
}
# What applies where neither the configuration nor the model says anything.
LAST_RESORT = {"smoothing_s": "1", "allow": "every label", "deny": "none", "labels": "none"} | {
    field: f"{getattr(Threshold(), field):g}" for field in Threshold.__slots__
}
SINGLE_KEYS = [
    (group, field) for group, struct in GROUPS.items() for field in struct.__struct_fields__ if field not in GROUPS
]

WRONG = [
    "modle: home",
    "threads: 0",
    "threads: 1.5",
    "hop_s: 0",
    "hop_s: fast",
    "interpreter: tensorflow",
    "microphone: {channel: left}",
    "microphone: {channel: -1}",
    "microphone: {device: []}",
    "microphone: {block_ms: 500}",
    "decisions: {on: 1.1}",
    "decisions: {labels: {speech: {off: -1}}}",
    "decisions: {deny: background}",
    "journal: {predictions: all}",
    "clips: {labels: dog_bark}",
    "clips: {never_above: 2}",
    "{hop_s: 0.5, hop_fraction: 0.5}",
    "model:",
    "model: ''",
    "[model, home]",
]


def test_the_shipped_configuration_is_all_defaults():
    config, _ = load_config(SHIPPED)
    assert config == Config()


def test_with_every_commented_key_in_place_it_still_loads(tmp_path):
    commented = r"(?m)^  # ((?:  )?\w+:(?: [\d{\[].*)?)$"
    text = re.sub(commented, r"  \1", SHIPPED.read_text(encoding="utf-8"))
    (tmp_path / "all.yaml").write_text(text, encoding="utf-8")
    config, _ = load_config(tmp_path / "all.yaml")
    for field in Decisions.__struct_fields__:
        assert getattr(config.decisions, field) is not msgspec.UNSET, field
    assert config.decisions.labels["baby_cry"] == LabelDecisions(on=0.5, min_on_s=1.5)
    for field in Threshold.__slots__:
        assert getattr(config.decisions, field) == getattr(Threshold(), field)


@pytest.mark.parametrize(("group", "field"), SINGLE_KEYS)
def test_the_line_above_a_key_says_what_it_may_be_its_default_and_what_a_change_takes(group, field):
    struct = GROUPS[group]
    described = json_schema()["$defs"][struct.__name__]["properties"][field]
    default = f"the model's, else {LAST_RESORT[field]}" if group == "decisions" else _number(described["default"])
    hint = allowed(typing.get_type_hints(struct, include_extras=True)[field])
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    start = lines.index(f"{group}:") if group else 0
    at = next(i for i in range(start, len(lines)) if re.match(rf"{'  ' if group else ''}(# )?{field}:", lines[i]))
    assert lines[at - 1].strip() == f"# [{hint}; default {default}; {described['x-reload']}]"
    explained = lines[at - 2].strip()
    assert explained.startswith("# "), f"nothing explains {field}"
    assert explained.endswith((".", ":")), explained


def test_the_committed_schema_is_what_the_definitions_say():
    printed = subprocess.run(
        [sys.executable, "-m", "audiomon.config"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    assert SCHEMA.read_text(encoding="utf-8") == printed, (
        "regenerate it: python -m audiomon.config > config/audiomon.schema.json"
    )


def test_the_configuration_names_the_schema_for_editors():
    first = SHIPPED.read_text(encoding="utf-8").splitlines()[0]
    assert first == f"# yaml-language-server: $schema={SCHEMA.name}"


def test_every_key_says_what_a_change_of_it_takes():
    groups = json_schema()["$defs"].values()
    classes = {name: described.get("x-reload") for group in groups for name, described in group["properties"].items()}
    assert classes
    assert set(classes.values()) <= {"live", "reopen", "restart"}, classes
    assert all("description" in described for group in groups for described in group["properties"].values())


def test_an_independent_validator_accepts_the_shipped_configuration(validator):
    validator.validate(yaml.safe_load(SHIPPED.read_text(encoding="utf-8")))
    validator.validate({})


@pytest.mark.parametrize("text", WRONG)
def test_an_independent_validator_refuses_what_audiomon_refuses(text, validator, tmp_path):
    (tmp_path / "wrong.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"wrong\.yaml:1: "):
        load_config(tmp_path / "wrong.yaml")
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(yaml.safe_load(text))


@pytest.fixture
def validator():
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def _number(value: object) -> str:
    if isinstance(value, list | tuple):
        return "as below" if value else "none"
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
