"""Text of others: one printable line, no longer than asked, whatever it is."""

import html
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audiomon.foreign import MAX_SHOWN, csv_cell, escaped, shown


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Küche – »Ω« 狗", "Küche – »Ω« 狗"),
        ("\x1b]0;owned\x07\x1b[2J", r"\x1b]0;owned\x07\x1b[2J"),
        ("a\nb\r\tc\x85\u2028", r"a\nb\r\tc\x85\u2028"),
        ("evil\u202egpj.exe", r"evil\u202egpj.exe"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("\ud800 \U0001f600 \U000e0001", "\\ud800 \U0001f600 \\U000e0001"),
        (b"caf\xe9.wav", r"caf\xe9.wav"),
        (b"caf\xc3\xa9.wav", "café.wav"),
        (Path("caf\udce9.wav"), r"caf\xe9.wav"),
        (Path("\ud800.wav"), r"\ud800.wav"),
        ("", ""),
    ],
)
def test_what_cannot_be_printed_is_escaped(text, line):
    assert escaped(text) == shown(text) == line


@pytest.mark.parametrize(
    ("text", "limit", "line"),
    [
        ("0123456789", 10, "0123456789"),
        ("0123456789", 9, "01234…789"),
        ("0123456789", 2, "0…"),
        ("0123456789", 1, "…"),
        ("\x1b" * 9, 20, r"\x1b\x1b\x1b…\x1b"),  # no escape is cut in half
        ("a\x1b", 3, "a…"),
    ],
)
def test_what_is_too_long_is_cut_in_the_middle(text, limit, line):
    assert shown(text, limit) == line


def test_a_name_of_26_mb_is_cut_as_one_of_a_thousand():
    assert shown("y" * 26_000_000) == shown("y" * 1000)
    assert len(shown("\u202e" * 1000)) <= MAX_SHOWN


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=()), max_size=60) | st.binary(max_size=60),
    limit=st.integers(1, 40),
)
@example(text="\udc80" * 11, limit=40)
def test_any_text_is_one_printable_line_of_the_length_asked_for(text, limit):
    line = shown(text, limit)
    assert len(line) <= limit
    for safe in (line, escaped(text), csv_cell(text), html.escape(line)):
        assert safe.isprintable()
        safe.encode()
    assert escaped(escaped(text)) == escaped(text)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ('=HYPERLINK("http://x")', '\'=HYPERLINK("http://x")'),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("＝1", "'＝1"),
        ("\t=1", r"\t=1"),
        ("\r=1", r"\r=1"),
        ("baby_cry", "baby_cry"),
        ("a=b", "a=b"),
    ],
)
def test_a_cell_never_is_a_formula(text, cell):
    assert csv_cell(text) == cell
