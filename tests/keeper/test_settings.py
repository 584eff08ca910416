"""``config/keeper.yaml``: what a user edits, and what an editor checks it by."""

import subprocess
import sys
import typing
from pathlib import Path

import jsonschema
import pytest
import yaml

from audiomon.config.validation import allowed
from audiomon.keeper.settings import KeeperConfig, keeper_json_schema, load_keeper_config

REPOSITORY = Path(__file__).resolve().parents[2]
SHIPPED = REPOSITORY / "config" / "keeper.yaml"
SCHEMA = REPOSITORY / "config" / "keeper.schema.json"


def test_the_shipped_file_is_all_defaults_and_names_its_schema():
    assert load_keeper_config(SHIPPED) == KeeperConfig()
    assert SHIPPED.read_text(encoding="utf-8").splitlines()[0] == f"# yaml-language-server: $schema={SCHEMA.name}"


@pytest.mark.parametrize("field", KeeperConfig.__struct_fields__)
def test_the_line_above_a_key_says_what_it_may_be_and_its_default(field):
    hint = allowed(typing.get_type_hints(KeeperConfig, include_extras=True)[field])
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith(f"{field}:"))
    assert lines[at - 1] == f"# [{hint}; default {getattr(KeeperConfig(), field):g}; live]"


def test_the_committed_schema_is_what_the_definitions_say():
    printed = subprocess.run(
        [sys.executable, "-m", "audiomon.keeper"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    assert SCHEMA.read_text(encoding="utf-8") == printed, "python -m audiomon.keeper > config/keeper.schema.json"
    jsonschema.validate(yaml.safe_load(SHIPPED.read_text(encoding="utf-8")), keeper_json_schema())
