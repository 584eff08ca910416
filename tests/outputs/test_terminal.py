"""Lines for people, as they come out on terminals of all kinds."""

import fcntl
import io
import os
import re
import struct
import termios

import numpy as np
import pytest

from audiomon.outputs.terminal import Terminal, columns_of, shows_colour
from audiomon.pipeline.prediction import Prediction

LABELS = ("background", "dog_bark")


def prediction() -> Prediction:
    scores = np.array([0.125, 0.875], dtype=np.float32)
    return Prediction("dog_bark", 0.875, scores, LABELS, 44100, 2.0, 0, 310.0, 296.0, 1.0, 0)


@pytest.mark.parametrize(
    ("columns", "ends"),
    [
        (None, "lag    1 ms"),
        (91, "lag    1 ms"),
        (80, "inference   296 µs"),
        (60, "features   310 µs"),
        (40, "████████▊ "),
    ],
)
def test_a_line_leaves_out_the_timings_that_do_not_fit(columns, ends):
    written = io.StringIO()
    Terminal(written, colour=False, columns=columns, dated=False).prediction(prediction())
    line = written.getvalue().removesuffix("\n")
    assert line.startswith("0:00:02.00  dog_bark ")
    assert line.endswith(ends)
    assert columns is None or len(line) <= columns


@pytest.mark.parametrize("columns", range(39, 100))
def test_no_line_of_a_prediction_is_wider_than_the_terminal(columns):
    written = io.StringIO()
    Terminal(written, colour=False, columns=columns, dated=False).prediction(prediction())
    assert len(written.getvalue().rstrip("\n")) <= columns


def test_colour_takes_no_room():
    plain, coloured = io.StringIO(), io.StringIO()
    for stream, colour in ((plain, False), (coloured, True)):
        Terminal(stream, colour=colour, columns=60, dated=False).prediction(prediction())
    assert coloured.getvalue() != plain.getvalue()
    assert re.sub(r"\x1b\[\d*m", "", coloured.getvalue()) == plain.getvalue()


@pytest.mark.parametrize(
    ("environment", "shown"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)],
)
def test_a_terminal_without_colours_gets_none(monkeypatch, environment, shown):
    for name in ("TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 50, 0, 0))
    with open(leader, "rb"), open(follower, "w", encoding="utf-8") as terminal:
        assert shows_colour(terminal) == shown
        assert columns_of(terminal) == 50


def test_a_pipe_is_no_terminal():
    assert not shows_colour(io.StringIO())
    assert columns_of(io.StringIO()) is None
