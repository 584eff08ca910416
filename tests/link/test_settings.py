"""``config/link.yaml``: what a user edits, and what an editor checks it by."""

import re
import subprocess
import sys
import typing
from pathlib import Path

import jsonschema
import pytest
import yaml

from audiomon.config.validation import allowed
from audiomon.errors import ConfigError
from audiomon.link.page.settings import Page
from audiomon.link.settings import LinkConfig, Mqtt, link_json_schema, load_link_config

REPOSITORY = Path(__file__).resolve().parents[2]
SHIPPED = REPOSITORY / "config" / "link.yaml"
SCHEMA = REPOSITORY / "config" / "link.schema.json"
GROUPS = {"mqtt": Mqtt, "page": Page}
KEYS = [(group, field) for group, struct in GROUPS.items() for field in struct.__struct_fields__]


def test_the_shipped_file_is_all_defaults_and_names_its_schema():
    assert load_link_config(SHIPPED) == LinkConfig()
    assert SHIPPED.read_text(encoding="utf-8").splitlines()[0] == f"# yaml-language-server: $schema={SCHEMA.name}"


def test_every_group_is_looked_at_here():
    assert [*GROUPS, "actions"] == list(LinkConfig.__struct_fields__)


@pytest.mark.parametrize(("group", "field"), KEYS)
def test_the_line_above_a_key_says_what_it_may_be_and_its_default(group, field):
    struct = GROUPS[group]
    hint = allowed(typing.get_type_hints(struct, include_extras=True)[field]).removeprefix("empty or ")
    default = getattr(struct(), field)
    if isinstance(default, bool):
        text = str(default).lower()
    elif isinstance(default, tuple):
        text = "[" + ", ".join(f'"{one}"' for one in default) + "]"
    else:
        text = f"{default:g}" if isinstance(default, float) else default or "none"
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    start = lines.index(f"{group}:")
    at = next(i for i in range(start, len(lines)) if re.match(rf"  (# )?{field}:", lines[i]))
    assert lines[at - 1].strip() == f"# [{hint}; default {text}; live]"


def test_the_committed_schema_is_what_the_definitions_say():
    printed = subprocess.run(
        [sys.executable, "-m", "audiomon.link"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    assert SCHEMA.read_text(encoding="utf-8") == printed, (
        "regenerate: python -m audiomon.link > config/link.schema.json"
    )
    jsonschema.validate(yaml.safe_load(SHIPPED.read_text(encoding="utf-8")), link_json_schema())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mqtt:\n  broker: 5\n", "2: mqtt.broker: is 5, must be text"),
        ("mqtt:\n  topic: a/+/b\n", "2: mqtt.topic: "),
        ("mqtt:\n  topic: ''\n", "2: mqtt.topic: "),
        ("mqtt:\n  name: a b\n", "2: mqtt.name: "),
        ("mqtt:\n  state_s: 0\n", "2: mqtt.state_s: is 0, must be a number from 1 to 3600"),
        ("mqtt:\n  tls: sometimes\n", "2: mqtt.tls: "),
        ("mqtt:\n  password: secret\n", "2: mqtt.password: is not a key that is known here"),
        ("mqtt:\n  broker: 'host:99999'\n", "2: mqtt.broker: "),
        ("mqtt:\n  broker: 'mqtt://host'\n", "2: mqtt.broker: "),
        ("mqtt:\n  broker: 'a b'\n", "2: mqtt.broker: "),
        ("mqt:\n", "1: mqt: is not a key that is known here; did you mean mqtt?"),
    ],
)
def test_a_mistake_is_said_with_its_line_and_its_key(tmp_path, text, said):
    path = tmp_path / "link.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_link_config(path)
    assert str(error.value).startswith(f"{path}:{said}")
