"""Any struct makes a settings file, read by the same reader with the same messages as ``audiomon.yaml``."""

import math
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from audiomon.config import convert, read_settings_file
from audiomon.config.diff import changed_keys
from audiomon.config.key import key
from audiomon.errors import ConfigError, FieldError


class Wired(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="wired"):
    port: Annotated[int, Meta(ge=1, le=65_535)]


class Radio(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="radio"):
    channel: Annotated[str, Meta(pattern="^[A-F]$")]
    gain_db: float = 0.0

    def __post_init__(self) -> None:
        if self.gain_db > 20 and self.channel == "A":
            raise FieldError(("gain_db",), "must be at most 20 on channel A")


class Keep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    days: Annotated[int, key("Days.", "live", ge=1)] = 7
    names: Annotated[dict[str, bool], Meta(max_length=2)] = msgspec.field(default_factory=dict)


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    via: Wired | Radio
    peers: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
    mode: Annotated[Literal["push", 2], key("Mode.", "reopen")] = "push"
    ratio: Annotated[float, Meta(ge=0, le=1)] | None = None
    bands: float | tuple[float, ...] = 0.0
    keep: Keep = Keep()


def test_a_file_of_another_type_is_read_by_the_same_reader(tmp_path):
    path = tmp_path / "link.yaml"
    path.write_text("via: {kind: radio, channel: B}\npeers: [a, b]\nkeep:\n")
    link, document = read_settings_file(path, Link)
    assert link == Link(Radio("B"), ("a", "b"))
    assert document.lines["peers", 1] == 2
    other = msgspec.structs.replace(link, mode=2, keep=Keep(days=8))
    assert [(str(change), change.reload) for change in changed_keys(link, other)] == [
        ("mode push → 2", "reopen"),
        ("keep.days 7 → 8", "live"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1: via is missing"),
        ("via: {port: 1}\n", "1: via: kind is missing"),
        ("via:\n  kind: cable\n", "2: via.kind: is 'cable', must be one of wired, radio"),
        ("via:\n  kind: [wired]\n", "2: via.kind: is a list, must be one of wired, radio"),
        ("via: wired\n", "1: via: is 'wired', must be `key: value` lines"),
        ("via:\n  kind: wired\n", "1: via: port is missing"),
        ("via:\n  kind: wired\n  port: 0\n", "3: via.port: is 0, must be a whole number from 1 to 65535"),
        (
            "via:\n  kind: wired\n  gain_db: 1\n",
            "3: via.gain_db: is not a key that is known here; known here: kind, port",
        ),
        ("via:\n  kind: radio\n  channel: g\n", "3: via.channel: is 'g', must be text that matches ^[A-F]$"),
        (
            "via:\n  kind: radio\n  gain_db: 21\n  channel: A\n",
            "3: via.gain_db: must be at most 20 on channel A",
        ),
        ("peers: [a, '']\nvia: 1\n", "1: peers[1]: is '', must be text of length at least 1"),
        ("mode: 2.0\nvia: 1\n", "1: mode: is 2.0, must be one of push, 2"),
        ("ratio: .nan\n", "1: ratio: is '.nan', must be a number from 0 to 1"),
        ("bands:\n- 1\n- x\n", "3: bands[1]: is 'x', must be a number"),
        ("keep:\n  names: {a: true, b: true, c: true}\n", "2: keep.names: is a group of keys, must be "),
        ("keep:\n  names: {a: true, b: 1}\n", "2: keep.names.b: is 1, must be true or false"),
        ("keep:\n  days:5\n", "1: keep: days:5 needs a space after its colon"),
    ],
)
def test_its_mistakes_are_said_as_those_of_any_other(tmp_path, text, said):
    path = tmp_path / "link.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_settings_file(path, Link)
    assert str(caught.value).startswith(f"{path}:{said}")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("keys", [("ratio",), ("bands",), ("bands", 1)])
def test_what_is_not_a_finite_number_is_refused_by_its_key(number, keys):
    data = {"via": {"kind": "wired", "port": 1}, keys[0]: number if len(keys) == 1 else [1.0, number]}
    with pytest.raises(FieldError) as caught:
        convert(data, Link)
    assert caught.value.keys == keys
    assert caught.value.reason.startswith(f"is {number}, must be a number")


values = st.sampled_from(
    [None, True, 0, 1, 2, 70_000, 2.0, 0.5, 30, "", "A", "g", "push", "wired", "radio", "cable", [], [1], ["a", ""], {}]
)
names = st.sampled_from(
    ["via", "peers", "mode", "ratio", "bands", "keep", "kind", "port", "channel", "gain_db", "days", "names", "other"]
)
groups = st.dictionaries(names, values | st.dictionaries(names, values, max_size=3), max_size=4)


@settings(max_examples=500, derandomize=True, deadline=None)
@given(data=groups, via=st.dictionaries(names, values, max_size=3))
def test_what_is_accepted_is_what_msgspec_accepts_and_anything_else_is_explained(data, via):
    data = {**data, "via": {"kind": "radio", "channel": "A", **via}}
    try:
        link = convert(data, Link)
    except FieldError:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(data, Link)
        return
    # Empty groups are what audiomon accepts beyond it.
    assert link == msgspec.convert({name: value for name, value in data.items() if value is not None}, Link)
