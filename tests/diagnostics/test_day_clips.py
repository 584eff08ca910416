"""A day's page with its clips, which a real keeper has."""

import base64
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from audiomon.cli import report as command
from audiomon.diagnostics.day_clips import day_clips
from audiomon.diagnostics.journal_entries import Entry
from audiomon.errors import UserError
from audiomon.outputs.clip_requests import Delete, List, Mark
from audiomon.outputs.keeper_client import KeeperClient
from tests.diagnostics.test_pages import Page
from tests.keeper.offers import DAY_NS, NOISE
from tests.keeper.running import Keeping, keeping

# When `Keeping` has its first clip.
FIRST = datetime.fromtimestamp(20_000 * DAY_NS / 1e9, UTC).astimezone()
MEGABYTE = 1_000_000
FLAC = "data:audio/flac;base64,"


@pytest.fixture
def house(tmp_path):
    with keeping(tmp_path) as made:
        made.start()
        yield made


def page(house: Keeping, *, instance="attic", hours=24, max_bytes=MEGABYTE) -> str:
    with KeeperClient(house.socket) as client:
        return day_clips(client, instance, FIRST, FIRST + timedelta(hours=hours), max_bytes)


def sounds(text: str, folder: Path) -> list[np.ndarray]:
    """What the page plays, in its order."""
    found = []
    for data in re.findall(rf'src="{FLAC}([^"]*)"', text):
        (folder / "x.flac").write_bytes(base64.b64decode(data, validate=True))
        found.append(soundfile.read(folder / "x.flac", dtype="int16")[0])
    return found


def kept(house: Keeping, *clips: tuple[int, ...]) -> None:
    for count, (number, *labels) in enumerate(clips, start=1):
        house.offer(number, *labels, samples=NOISE[: 16_000 - 2000 * number])
        house.settle(count)


def test_each_clip_is_there_once_with_its_events_and_sounds_as_it_was_heard(house, tmp_path):
    kept(house, (1, "dog_bark"), (2, "baby_cry", "dog_bark"), (3, "dog_bark"))
    with KeeperClient(house.socket) as client:
        clips = [event.clip.id for event in client.events(List(only="clips", labels=("dog_bark",)), 9)]
        client.ask(Mark((clips[2],), "right"))
        client.ask(Mark((clips[1],), "label", "blender"))
    text = page(house)
    rows = Page(text).rows[1:]
    assert [row[4] for row in rows] == clips
    assert [row[3] for row in rows] == ["", "blender", "right"]
    assert [re.sub(r"\d\d:\d\d:\d\d ", "", row[1]) for row in rows] == [
        "dog_bark 0.90, 1.5 s", "baby_cry 0.90, 1.5 sdog_bark 0.90, 1.5 s", "dog_bark 0.90, 1.5 s"
    ]  # fmt: skip
    for number, sound in zip((3, 2, 1), sounds(text, tmp_path), strict=True):
        np.testing.assert_array_equal(sound, NOISE[: 16_000 - 2000 * number])


def test_another_time_and_another_listener_have_their_own(house):
    kept(house, (1, "dog_bark"), (5, "dog_bark"))
    assert page(house, hours=3).count("<audio") == 1
    assert page(house, instance="kitchen") == "<p>No clips.</p>"
    assert page(house, hours=0.5) == "<p>No clips.</p>"


def test_what_is_too_much_is_listed_and_said(house):
    kept(house, (1, "dog_bark"), (2, "dog_bark"), (3, "dog_bark"))
    text = page(house, max_bytes=42_000)  # the newest are of 20 and 24 kB
    assert (
        "<p>2 of 3 clips are listed without their sound: the page holds 0.042 MB of it, the newest first.</p>" in text
    )
    assert [row[5] for row in Page(text).rows[1:]] == ["", "not here", "not here"]


def test_a_clip_that_is_deleted_meanwhile_is_listed_without_sound(house, monkeypatch):
    kept(house, (1, "dog_bark"))
    fetch = KeeperClient.fetch

    def deleted(client: KeeperClient, clip: str):
        client.ask(Delete((clip,)))
        return fetch(client, clip)

    monkeypatch.setattr(KeeperClient, "fetch", deleted)
    assert Page(page(house)).rows[1][5] == "deleted meanwhile"


def test_a_label_obeys_nobody(house):
    kept(house, (1, "<img src=x onerror=alert(1)>\x1b[2J"))
    text = page(house)
    assert "<img" not in text
    assert "\x1b" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text


def report(house: Keeping, *arguments: object):
    command_line = ["-u", "attic", "--since", str(FIRST), "--until", str(FIRST + timedelta(days=1))]
    return CliRunner().invoke(command.report, [*command_line, *map(str, arguments)])


@pytest.fixture
def journal(monkeypatch):
    entry = Entry(FIRST.timestamp(), "event-on", {"label": "dog_bark", "score": "0.9"})
    monkeypatch.setattr(command, "read_entries", lambda *_: iter([entry]))


def test_the_command_puts_them_into_its_page_which_nobody_may_fill_with_anything_else(house, journal, tmp_path):
    kept(house, (1, "dog_bark"))
    done = report(house, "--html", tmp_path / "day.html", "--clips", 1, "--keeper", house.socket)
    assert done.exit_code == 0, done.output
    text = (tmp_path / "day.html").read_text()
    assert "<h2>Clips</h2>" in text
    assert len(sounds(text, tmp_path)) == 1
    assert "default-src 'none'; style-src 'unsafe-inline'; media-src data:" in text
    assert report(house, "--html", tmp_path / "day.html").exit_code == 0
    assert "<h2>Clips</h2>" not in (tmp_path / "day.html").read_text()


def test_clips_without_a_page_or_a_keeper_are_refused(house, journal, tmp_path):
    refused = report(house, "--clips", 1)
    assert refused.exit_code == 2
    assert "add --html alone" in refused.output
    absent = report(house, "--html", tmp_path / "day.html", "--clips", 1, "--keeper", tmp_path / "nobody")
    assert isinstance(absent.exception, UserError)
    assert not (tmp_path / "day.html").exists()
