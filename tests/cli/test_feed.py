"""``audiomon feed``, on a listener that is made up."""

import json
import os
import subprocess
import sys

import pytest

from tests.link.processes import REPOSITORY, MadeUpListener, wait_until
from tests.outputs.listening import event, model, snapshot


@pytest.fixture
def listener(tmp_path):
    listener = MadeUpListener(tmp_path / "kitchen.sock", "kitchen")
    listener.feed.observe(model(labels=("dog_bark", "\x1b[31mred")))
    listener.feed.observe(snapshot())
    yield listener
    listener.close()


class Feed:
    """A running ``audiomon feed``."""

    def __init__(self, *arguments):
        path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(REPOSITORY))))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "audiomon", "feed", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    def end(self):
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out.splitlines(), err


def followed(listener, kind):
    wait_until(lambda: kind in listener.feed._wanted, "a client that wants it")


def test_people_get_a_line_each_and_the_reason_of_the_end(listener, tmp_path):
    feed = Feed("--socket", tmp_path / "kitchen.sock")
    followed(listener, "event")
    listener.feed.event(event("\x1b[31mred"))
    listener.feed.event(event("\x1b[31mred", "off", 2.5))
    listener.close()
    assert feed.end() == (
        0,
        [
            "kitchen: model home, 2 labels make events",
            "22:13:20  ▶ \\x1b[31mred (0.80)",
            "22:13:20  ■ \\x1b[31mred ended after 2.5 s",
            "the listener hangs up: the listener has stopped",
        ],
        "",
    )


def test_programs_get_the_lines_as_they_are_of_the_kinds_that_they_want(listener, tmp_path):
    feed = Feed("--socket", tmp_path / "kitchen.sock", "--json", "--want", "state, level")
    followed(listener, "state")
    listener.feed.event(event())
    listener.stand(snapshot(lost=7))
    listener.close()
    status, lines, _ = feed.end()
    types = [json.loads(line)["type"] for line in lines]
    assert (status, types[0], set(types[1:-1]), types[-1]) == (0, "hello", {"state"}, "goodbye")


def test_a_reader_that_goes_away_ends_it(listener, tmp_path):
    feed = Feed("--socket", tmp_path / "kitchen.sock", "--want", "event")
    followed(listener, "event")
    feed.process.stdout.close()
    listener.feed.event(event())
    listener.feed.event(event("speech", "off"))
    assert feed.process.wait(60) == 0
    assert feed.process.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--socket", "nowhere.sock"), "nowhere.sock: there is no such socket; is a listener with a feed running?"),
        (("--socket", "/dev/null"), "/dev/null: nobody answers: "),
        (("--want", "sound"), "there is no kind sound to --want; known: event, status"),
    ],
)
def test_what_cannot_be_followed_is_one_line(arguments, said):
    status, out, err = Feed(*arguments).end()
    assert (status, out) == (2, [])
    assert err.startswith(f"audiomon: {said}")
    assert len(err.splitlines()) == 1
