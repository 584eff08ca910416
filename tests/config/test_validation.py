"""What ``audiomon.yaml`` may say: every mistake is ``FILE:LINE: key: what is wrong, what is allowed``."""

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomon.config import Config, Decisions, LabelDecisions, Microphone, load_config
from audiomon.errors import ConfigError

COMPLETE = """\
model: models/mine
interpreter: tflite-runtime
threads: 2
hop_s: 1
microphone:
  device: 3
  channel: 0
  block_ms: 20
  ring_s: 30
decisions:
  smoothing_s: 0
  on: 0.7
  off: 0.7
  min_on_s: 1
  min_off_s: 2
  deny: [background]
  labels:
    speech: {on: 0.9}
    baby cry.loud: {off: 0.1}
journal:
  predictions: events
  summary_s: 0
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audiomon.yaml"


def refusal(path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    message = str(caught.value)
    assert message.isprintable(), message
    assert message.startswith(f"{path}:"), message
    return message.removeprefix(f"{path}:")


def test_every_key_is_read(path):
    path.write_text(COMPLETE)
    config, document = load_config(path)
    assert config.model == "models/mine"
    assert config.hop_s == 1.0
    assert config.microphone == Microphone(device=3, channel=0, block_ms=20, ring_s=30)
    assert config.decisions == Decisions(
        smoothing_s=0,
        on=0.7,
        off=0.7,
        min_on_s=1,
        min_off_s=2,
        deny=("background",),
        labels={"speech": LabelDecisions(on=0.9), "baby cry.loud": LabelDecisions(off=0.1)},
    )
    assert document.lines["decisions", "labels", "speech", "on"] == 18


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "{}", "microphone:\ndecisions:\njournal:\n", "decisions: {labels: }"]
)
def test_what_is_left_out_is_as_by_default(path, text):
    path.write_text(text)
    assert load_config(path)[0] == Config()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\n", "1: must be `key: value` lines"),
        ("- model\n", "1: must be `key: value` lines"),
        ("model:home\n", "1: model:home needs a space after its colon"),
        ("model:home\nthreads:2\n", "1: model:home needs a space after its colon"),
        ("{model:home}\n", "1: model:home: needs a space after its colon"),
        ("\nmicrophone:\n  device:usb\n", "2: microphone: device:usb needs a space after its colon"),
        ("hop_s: 0.5\nhop_fraction: 0.5\n", "2: hop_fraction: says the same as hop_s, in another way: remove one"),
        ("hop_fraction: 0.5\nhop_s: 0.5\n", "2: hop_s: says the same as hop_fraction, in another way: remove one"),
        ("model: home\nmicrofone: {}\n", "2: microfone: is not a key that is known here; did you mean microphone?"),
        (
            "zzz: 1\n",
            "1: zzz: is not a key that is known here; known here: "
            "clips, decisions, feed, gate_dbfs, hop_fraction, hop_s, interpreter, journal, microphone, model, threads",
        ),
        (
            "microphone:\n  device: x\n  chanel: 1\n",
            "3: microphone.chanel: is not a key that is known here; did you mean channel?",
        ),
        (
            "decisions:\n  labels:\n    a: {on: 0.5}\n    b:\n      off: 0.1\n      onn: 1\n",
            "6: decisions.labels.b.onn: is not a key that is known here; did you mean on?",
        ),
        ("model:\n", "1: model: is empty, must be text of length at least 1"),
        ("model: ''\n", "1: model: is '', must be text of length at least 1"),
        ("model: 5\n", "1: model: is 5, must be text"),
        ("model: [home]\n", "1: model: is a list, must be text"),
        ("model: {name: home}\n", "1: model: is a group of keys, must be text"),
        ("interpreter: tensorflow\n", "1: interpreter: is 'tensorflow', must be one of auto, litert, tflite-runtime"),
        ("threads: true\n", "1: threads: is true, must be a whole number from 1 to 8"),
        ("threads: two\n", "1: threads: is 'two', must be a whole number from 1 to 8"),
        ("threads: 1.0\n", "1: threads: is 1.0, must be a whole number from 1 to 8"),
        ("threads: 9\n", "1: threads: is 9, must be a whole number from 1 to 8"),
        ("hop_s: '0.5'\n", "1: hop_s: is '0.5', must be a number from 0.01 to 60"),
        ("hop_s: .nan\n", "1: hop_s: is '.nan', must be a number from 0.01 to 60"),
        ("hop_s: .inf\n", "1: hop_s: is '.inf', must be a number from 0.01 to 60"),
        ("hop_s: 0.5s\n", "1: hop_s: is '0.5s', must be a number from 0.01 to 60"),
        (f"hop_s: {'x' * 100}\n", f"1: hop_s: is '{'x' * 26}…{'x' * 13}', must be a number from 0.01 to 60"),
        ('hop_s: "a\\nb\\e[31m"\n', r"1: hop_s: is 'a\nb\x1b[31m', must be a number from 0.01 to 60"),
        ("\nmicrophone: loud\n", "2: microphone: is 'loud', must be `key: value` lines"),
        (
            "microphone:\n  channel: left\n",
            "2: microphone.channel: is 'left', must be one of mix or a whole number at ",
        ),
        (
            "microphone:\n  channel: -1\n",
            "2: microphone.channel: is -1, must be one of mix or a whole number at least 0",
        ),
        ("microphone: {device: 1.5}\n", "1: microphone.device: is 1.5, must be text "),
        ("microphone:\n  block_ms: 101\n", "2: microphone.block_ms: is 101, must be a number from 5 to 100"),
        ("decisions:\n  on: 60%\n", "2: decisions.on: is '60%', must be a number from 0 to 1"),
        ("decisions:\n  deny: background\n", "2: decisions.deny: is 'background', must be a list of text"),
        ("decisions:\n  deny:\n  - a\n  - 3\n", "4: decisions.deny[1]: is 3, must be text"),
        ("decisions: {labels: [a]}\n", "1: decisions.labels: is a list, must be `key: value` lines"),
        (
            "decisions:\n  labels:\n    speech:\n      on: 0.5\n    dog bark:\n      off: 0.2\n      on: 2\n",
            "7: decisions.labels.dog bark.on: is 2, must be a number from 0 to 1",
        ),
        ("decisions:\n  labels:\n    a: {on: 1}\n    b: 0.5\n", "4: decisions.labels.b: is 0.5, must be `key: value` "),
        ("decisions:\n  labels:\n    a:\n", "3: decisions.labels.a: is empty, must be `key: value` lines"),
        ("journal:\n  predictions: all\n", "2: journal.predictions: is 'all', must be one of every, changes, events"),
    ],
)
def test_a_mistake_is_said_with_its_line_its_key_and_what_is_allowed(path, text, said):
    assert refusal(path, text).startswith(said)


def test_the_first_of_two_equal_mistakes_is_the_one_that_is_named(path):
    text = "decisions:\n  labels:\n    a: {on: 1}\n    b: {on: 3}\n    c: {on: 3}\n"
    assert refusal(path, text).startswith("4: decisions.labels.b.on: is 3")


def test_a_key_written_like_an_error_message_misleads_nobody(path):
    assert refusal(path, '"x` - at `$.microphone": 1\n') == "1: a key must be plain text"


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
known = st.sampled_from(
    [*Config.__struct_fields__, *Microphone.__struct_fields__, *Decisions.__struct_fields__, "speech", "a`b", "$.on"]
)
nested = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(known | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(data=st.dictionaries(st.sampled_from(Config.__struct_fields__), nested, max_size=4) | nested)
def test_any_data_becomes_a_configuration_or_one_line(data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    try:
        config, _ = load_config(path)
    except ConfigError as error:
        message = str(error)
    else:
        assert msgspec.convert(msgspec.to_builtins(config), Config) == config
        return
    assert message.isprintable()
    assert message.startswith(f"{path}:")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "clips: {labels: [dog_bark], before_s: 9}",
            "1: clips.before_s: is 9, must be at most 8: microphone.ring_s - 2",
        ),
        ("clips: {longest_s: 3}", "1: clips.longest_s: is 3, must be more than before_s, 3"),
        ("clips:\n  never: speech\n", "2: clips.never: is 'speech', must be a list of text"),
    ],
)
def test_clips_that_cannot_be_cut_are_refused(path, text, said):
    assert refusal(path, text).startswith(said)


def test_the_only_way_to_keep_sound_unjudged_is_an_empty_list_that_is_written_out(path):
    path.write_text("clips: {labels: [dog_bark]}\n")
    assert load_config(path)[0].clips.never
    path.write_text("clips: {labels: [dog_bark], never: []}\n")
    assert load_config(path)[0].clips.never == ()
