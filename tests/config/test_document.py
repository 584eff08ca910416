"""Reading YAML: whatever a file holds, it becomes plain data or one line that says where it is wrong."""

import contextlib
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomon.config import read_document
from audiomon.config import text as text_module
from audiomon.config.document import MAX_DEPTH
from audiomon.config.text import MAX_BYTES
from audiomon.errors import ConfigError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audiomon.yaml"


def read(path: Path, content: str | bytes):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_document(path)


def refusal(path: Path, content: str | bytes) -> str:
    """What is said about a file, without its name."""
    with pytest.raises(ConfigError) as caught:
        read(path, content)
    return one_line(caught.value, path)


def one_line(error: ConfigError, path: Path) -> str:
    message = str(error)
    assert message.isprintable(), message
    assert message.startswith(f"{path}:"), message
    return message.removeprefix(f"{path}:")


def test_keys_and_list_items_know_their_lines(path):
    document = read(path, "a: 1\nb:\n  c:\n    - x\n    - y: 2\n")
    assert document.data == {"a": 1, "b": {"c": ["x", {"y": 2}]}}
    assert document.lines == {
        (): 1,
        ("a",): 1,
        ("b",): 2,
        ("b", "c"): 3,
        ("b", "c", 0): 4,
        ("b", "c", 1): 5,
        ("b", "c", 1, "y"): 5,
    }


def test_an_error_about_a_key_that_is_not_there_points_at_the_nearest_above_it(path):
    document = read(path, "a: 1\nb:\n  c: 2\n")
    assert str(document.error(("b", "missing", "x"), "no")) == f"{path}:2: b.missing.x: no"
    assert str(document.error(("z",), "no")) == f"{path}:1: z: no"
    assert str(document.error((), "no")) == f"{path}:1: no"


@pytest.mark.parametrize("content", ["", "\n\n", "# only a comment\n", "---\n", b"\xef\xbb\xbf"])
def test_an_empty_file_holds_nothing(path, content):
    assert read(path, content).data is None


@pytest.mark.parametrize(
    ("content", "blank"),
    [
        ("", True),
        (" \n\n", True),
        (b"\xef\xbb\xbf", True),
        ("# only a comment\n", False),
        ("---\n", False),
        ("a: 1\n", False),
    ],
)
def test_a_file_that_an_editor_may_be_about_to_write_is_blank(path, content, blank):
    assert read(path, content).blank is blank


def test_an_empty_pipe_is_not_blank_since_it_will_not_say_more(path):
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("",))
    writer.start()
    document = read_document(path)
    writer.join(10)
    assert document.data is None
    assert not document.blank


def test_contents_that_were_read_already_are_not_read_again(path):
    document = read_document(path, b"a: 1\n")
    assert document.data == {"a": 1}
    with pytest.raises(ConfigError, match=f"^{path}:1: is larger than 1 MiB"):
        read_document(path, b"#" * (MAX_BYTES + 1))


def test_an_error_carries_its_file_line_key_and_reason(path):
    with pytest.raises(ConfigError) as caught:
        read(path, "m:\n  a: 1\n  a: 2\n")
    error = caught.value
    assert (error.path, error.line, error.key) == (path, 3, "m.a")
    assert error.reason == "is given twice (first on line 2)"
    assert str(error) == f"{path}:3: m.a: {error.reason}"


def test_a_line_made_to_be_slow_to_look_at_is_refused_as_any_other(path):
    for slow in ("- " * (MAX_BYTES // 4), "a" * (MAX_BYTES // 2), " " * (MAX_BYTES // 2)):
        assert refusal(path, f"{slow}\n\t- x: [\n").startswith(("1: ", "2: "))


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(path):
    document = read(path, b"\xef\xbb\xbfmodel: home\r\nthreads: 2\r\n")
    assert document.data == {"model": "home", "threads": 2}
    assert document.lines["threads",] == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("True", "True"),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("1e-10", 1e-10),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-7", -7),
        ("+7", 7),
        ("010", 10),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-11-23", "2026-11-23"),
        (".nan", ".nan"),
        (".inf", ".inf"),
        ("'5'", "5"),
        ('"true"', "true"),
        ("=", "="),
    ],
)
def test_scalars_are_those_of_yaml_1_2_and_nothing_is_a_date_or_not_a_number(path, text, value):
    read_back = read(path, f"key: {text}\n").data["key"]
    assert read_back == value
    assert type(read_back) is type(value)


def test_on_and_off_can_be_keys(path):
    assert read(path, "on: 0.6\noff: 0.4\n").data == {"on": 0.6, "off": 0.4}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("model: [home\n", "2: is not valid YAML: while parsing a flow sequence did not find expected ',' or ']'"),
        ("a: 1\nmodel:\n\tname: x\n", "3: has a tab where YAML takes spaces only"),
        ("a: 1\n\tb: 2\n", "2: has a tab where YAML takes spaces only"),
        ("a: 1\n  \tb: 2\n", "2: has a tab where YAML takes spaces only"),
        ("m:\n  a: 1\n\tb: 2\n", "3: has a tab where YAML takes spaces only"),
        ("m:\n  - a\n\t- b\n", "3: has a tab where YAML takes spaces only"),
        ("- \ta\n", "1: has a tab where YAML takes spaces only"),
        ("m: |\n\ta\n", "2: has a tab where YAML takes spaces only"),
        ("model:home\nthreads: 2\n", "1: model:home needs a space after its colon"),
        ("model:home\n\n# a comment\nthreads: 2\n", "1: model:home needs a space after its colon"),
        ("threads: 2\nmodel:home\n", "2: model:home needs a space after its colon"),
        ("threads: 2\nmodel:home # it\nhop_s: 1\n", "2: model:home needs a space after its colon"),
        ("m:\n  a: 1\n  device:usb\n", "3: device:usb needs a space after its colon"),
        ("m:\n  device:usb\n  a: 1\n", "2: device:usb needs a space after its colon"),
        ("m: http://x\n b: 2\n", "2: is not valid YAML: "),
        ("a: 12:30\n b: 2\n", "2: is not valid YAML: "),
        ("a: 1\nmodel: 'half", "2: is not valid YAML: while scanning a quoted scalar found unexpected end of stream"),
        ("a: b: c\n", "1: is not valid YAML: mapping values are not allowed in this context"),
        ("a: 1\n b: 2\n", "2: is not valid YAML: "),
        ("a: @home\n", "1: is not valid YAML: "),
        ('a: "\\ud800"\n', "1: is not valid YAML: "),
        ("a: 1\nb: 2\na: 3\n", "3: a: is given twice (first on line 1)"),
        ("m:\n  a: 1\n  a: 3\n", "3: m.a: is given twice (first on line 2)"),
        ("a: 1\n---\nb: 2\n", "2: is a second document; a settings file holds one"),
        ("a: &x 1\n", "1: a: anchors (&) and aliases (*) are not used here: write the value out"),
        ("a: 1\nb: *x\n", "2: b: anchors (&) and aliases (*) are not used here: write the value out"),
        ("a: &x [*x]\n", "1: a: anchors (&) and aliases (*) are not used here: write the value out"),
        ("a: 1\n<<: *x\n", "2: <<: anchors (&) and aliases (*) are not used here: write the value out"),
        ("a: 1\n&k b: 2\n", "2: anchors (&) and aliases (*) are not used here: write the value out"),
        (
            "a: !!python/object/apply:os.system [id]\n",
            "1: a: tags such as tag:yaml.org,2002:python/o…ply:os.system",
        ),
        ("a: !!bool maybe\n", "1: a: tags such as tag:yaml.org,2002:bool are not used here"),
        ("!own {a: 1}\n", "1: tags such as !own are not used here"),
        ("? [a]\n: b\n", "1: a key must be plain text"),
        ("'': b\n", "1: a key must be plain text"),
        ('"\\e[31mred": 1\n', "1: a key must be plain text"),
        ('"a\\nb": 1\n', "1: a key must be plain text"),
        ("a: 1\nb: 1e999\n", "2: b: 1e999 is out of the range of numbers"),
        (f"a: {'9' * 5000}\n", f"1: a: {'9' * 26}…{'9' * 13} is out of the range of numbers"),
        ("a: 9223372036854775808\n", "1: a: 9223372036854775808 is out of the range of numbers"),
        (b"a: 1\nmodel: caf\xe9\n", "2: is not UTF-8 text"),
        ("a: 1\n".encode("utf-16"), "1: is not UTF-8 text"),
        (b"a: 1\nb: \0\n", "2: is not text: it holds the control character U+0000"),
        (b"a: 1\nb: \x1b[0m\n", "2: is not text: it holds the control character U+001B"),
        (bytes(range(256)), "2: is not UTF-8 text"),
        (b"\x7fELF\x02\x01\x01" + bytes(64), "1: is not text: it holds the control character U+007F"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_its_line(path, content, said):
    assert refusal(path, content).startswith(said)


@pytest.mark.parametrize("opening", ["[", "- ", "{a: "])
def test_nesting_that_would_crash_a_recursive_parser_is_refused(path, opening):
    text = opening * ((MAX_BYTES - 10) // len(opening))
    assert refusal(path, text) == f"1: is nested more than {MAX_DEPTH} levels deep"


def test_nesting_as_deep_as_allowed_is_read(path):
    assert str(read(path, "[" * MAX_DEPTH + "]" * MAX_DEPTH).data) == "[" * MAX_DEPTH + "]" * MAX_DEPTH


def test_a_missing_file_is_said_to_be_missing(path):
    with pytest.raises(ConfigError, match=f"^{path}: no such file$"):
        read_document(path)


def test_a_folder_is_said_to_be_one(tmp_path):
    with pytest.raises(ConfigError, match=f"^{tmp_path}: is a folder, not a file$"):
        read_document(tmp_path)


def test_a_path_through_a_file_is_refused(path):
    path.touch()
    with pytest.raises(ConfigError, match=r"cannot be read: Not a directory$"):
        read_document(path / "below")


def test_a_path_that_no_file_can_have_is_refused():
    with pytest.raises(ConfigError, match=r"cannot be read: .*embedded null"):
        read_document(Path("a\0b"))


def test_a_file_of_another_user_is_refused(path):
    path.write_text("model: home\n")
    path.chmod(0)
    if os.geteuid() == 0:
        os.seteuid(65534)  # nobody: to root no file is forbidden
    try:
        with pytest.raises(ConfigError, match=f"^{path}: permission denied$"):
            read_document(path)
    finally:
        os.seteuid(os.getuid())


def test_a_file_of_more_than_a_mebibyte_is_refused(path):
    assert refusal(path, "#" * (MAX_BYTES + 1)) == "1: is larger than 1 MiB; that is not a configuration"


def test_a_device_without_an_end_is_refused():
    with pytest.raises(ConfigError, match=r"^/dev/zero:1: is larger than 1 MiB"):
        read_document(Path("/dev/zero"))


def test_a_pipe_that_nobody_writes_into_is_given_up_on(path, monkeypatch):
    monkeypatch.setattr(text_module, "_MAX_PIPE_S", 0.05)
    os.mkfifo(path)
    with pytest.raises(ConfigError, match=r"this pipe has not come to its end within 0\.05 s$"):
        read_document(path)


def test_a_pipe_has_its_time_in_all_and_not_for_every_byte(path, monkeypatch):
    monkeypatch.setattr(text_module, "_MAX_PIPE_S", 0.1)
    os.mkfifo(path)

    def trickle() -> None:
        with contextlib.suppress(BrokenPipeError), path.open("wb", buffering=0) as pipe:
            while True:
                pipe.write(b"#")
                time.sleep(0.01)

    writer = threading.Thread(target=trickle)
    writer.start()
    try:
        with pytest.raises(ConfigError, match="has not come to its end"):
            read_document(path)
    finally:
        writer.join(10)
    assert not writer.is_alive()


def test_a_pipe_is_read_like_a_file(path):
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("model: home\n",))
    writer.start()
    document = read_document(path)
    writer.join(10)
    assert document.data == {"model": "home"}


yaml_like_text = st.text(st.sampled_from("ab:-#[]{},&*!|>'\"%@` \n\t\r01.e~?<=\\\0\u2028é"), max_size=60)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(content=st.binary(max_size=80) | st.text(max_size=80).map(str.encode) | yaml_like_text.map(str.encode))
def test_any_bytes_become_plain_data_or_one_line(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    try:
        document = read_document(path)
    except ConfigError as error:
        one_line(error, path)
    else:
        assert_plain(document.data)


def assert_plain(data):
    if isinstance(data, dict):
        assert all(type(key) is str and key.isprintable() for key in data)
        for value in data.values():
            assert_plain(value)
    elif isinstance(data, list):
        for value in data:
            assert_plain(value)
    else:
        assert type(data) in (str, int, float, bool, type(None))


def test_a_key_whose_value_follows_on_the_next_line_lacks_no_space(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text("hop_s: [\nmicrophone:\n  device: mic\n")
    with pytest.raises(ConfigError, match="is not valid YAML"):
        read_document(path)
