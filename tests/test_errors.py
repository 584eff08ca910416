import pickle
from pathlib import Path

import pytest

from audiomon.errors import MAX_REASON, ConfigError, FieldError, ModelError, dotted


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConfigError("is wrong"), "is wrong"),
        (ConfigError("is wrong", path=Path("a.yaml")), "a.yaml: is wrong"),
        (ConfigError("is wrong", path=Path("a.yaml"), line=3), "a.yaml:3: is wrong"),
        (ConfigError("is wrong", path=Path("a: 1.yaml"), line=3, key="m.on"), "a: 1.yaml:3: m.on: is wrong"),
        (ModelError("is wrong", key="--labels"), "--labels: is wrong"),
    ],
)
def test_an_errors_text_is_made_of_what_is_known(error, text):
    assert str(error) == text
    assert error.reason == "is wrong"


def test_an_error_is_one_printable_line_whatever_it_quotes():
    path, nasty = Path("/etc/über\udcff\n.yaml"), "no\nsuch \x1b[31mfile\u2028\u202e\ud800 – »x«"
    error = ConfigError(nasty, path=path, line=1, key=nasty)
    said = "no\\nsuch \\x1b[31mfile\\u2028\\u202e\\ud800 – »x«"
    assert str(error) == f"/etc/über\\xff\\n.yaml:1: {said}: {said}"
    assert error.path == path  # as it is, for programs
    str(error).encode()


def test_an_error_is_cut_whatever_it_quotes():
    error = ModelError(f"has no output {'y' * 26_000_000}; it has 0: scores", path=Path("p" * 5000), key="k" * 5000)
    assert error.reason.startswith("has no output yyy")
    assert error.reason.endswith("yyy; it has 0: scores")
    assert len(error.reason) == MAX_REASON
    assert len(str(error)) < 2 * MAX_REASON


def test_an_error_survives_the_way_from_another_process():
    error = ConfigError("is wrong", path=Path("a.yaml"), line=3, key="on")
    back = pickle.loads(pickle.dumps(error))
    assert str(back) == str(error)
    assert (back.path, back.line, back.key, back.reason) == (error.path, error.line, error.key, error.reason)


def test_a_field_error_names_its_key():
    assert str(FieldError(("labels", 3, "on"), "is wrong")) == "labels[3].on: is wrong"
    assert str(FieldError((), "is wrong")) == "is wrong"


def test_paths_of_keys_are_written_with_dots_and_brackets():
    assert dotted(("decisions", "labels", "speech")) == "decisions.labels.speech"
    assert dotted(("labels", 3)) == "labels[3]"
