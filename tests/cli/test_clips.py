"""``audiomon clips``, with a real keeper at the other end."""

import json
import re
import socket
import threading
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from audiomon.cli import cli
from audiomon.cli.clips import _row
from audiomon.diagnostics.day_clips import day_clips
from audiomon.errors import UserError
from audiomon.keeper.exporting import recording_name
from audiomon.lab.train.dataset import Split, divide, is_dealt
from audiomon.outputs.clip_requests import ClipInfo, List, ListedEvent, Reply
from audiomon.outputs.keeper_client import KeeperClient
from tests.keeper.offers import NOISE
from tests.keeper.running import Keeping, keeping


@pytest.fixture
def house(tmp_path):
    with keeping(tmp_path) as made:
        made.start()
        yield made


def clips(house: Keeping, *arguments: object, status: int = 0):
    command = ["clips", "--keeper", str(house.socket), *map(str, arguments)]
    result = CliRunner().invoke(cli, command, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    assert (result.return_value or 0) == status, result.output
    return result


def kept(house: Keeping, *numbered: tuple[int, str]) -> list[str]:
    for count, (number, *labels) in enumerate(numbered, start=1):
        house.offer(number, *labels)
        house.settle(count)
    with KeeperClient(house.socket) as client:
        return [event.clip.id for event in client.events(List(only="clips"), 100)][::-1]


def test_events_are_listed_with_their_clips_or_why_there_is_none(house):
    house.refuse("rain")
    (clip,) = kept(house, (1, "dog_bark"))
    lines = clips(house, "list").output.splitlines()
    assert re.search(rf"dog_bark +0\.90 +1\.5 s  {clip}  2\.0 s$", lines[0])
    assert lines[1].endswith("refused: speech 0.41")
    (bark,) = [json.loads(line) for line in clips(house, "list", "--label", "dog_bark", "--json").output.splitlines()]
    assert bark["clip"]["id"] == clip
    assert clips(house, "list", "--hours", 1).output == ""


def test_a_clip_is_written_to_a_file_bit_for_bit(house, tmp_path):
    (clip,) = kept(house, (1, "dog_bark"))
    clips(house, "play", clip, "--to", tmp_path / "bark.flac")
    np.testing.assert_array_equal(soundfile.read(tmp_path / "bark.flac", dtype="int16")[0], NOISE)
    with pytest.raises(UserError, match="there is no such clip"):
        clips(house, "play", "nonesuch", "--to", tmp_path / "x.flac")


def test_clips_are_labelled_locked_and_deleted(house):
    first, second = kept(house, (1, "dog_bark"), (2, "baby_cry"))
    clips(house, "label", "wrong", first)
    clips(house, "label", "blender", second)
    clips(house, "lock", second)
    rows = clips(house, "list").output.splitlines()
    assert rows[1].endswith("2.0 s  wrong")
    assert rows[0].endswith("2.0 s  is blender, locked")
    clips(house, "label", "none", first)
    assert clips(house, "list", "--only", "unreviewed").output.count(first) == 1
    clips(house, "delete", first)
    assert "deleted" in clips(house, "list").output.splitlines()[1]
    with pytest.raises(UserError, match="0 of 1 clips deleted; there is no clip of the other names"):
        clips(house, "delete", first)
    with pytest.raises(UserError, match="cannot be a folder's name"):
        clips(house, "label", "../etc", second)


def test_export_writes_what_train_reads_once_and_wrong_ones_to_background(house, tmp_path):
    right, wrong, other, _ = kept(house, (1, "dog_bark"), (2, "baby_cry"), (3, "dog_bark"), (30, "dog_bark"))
    clips(house, "label", "right", right)
    clips(house, "label", "wrong", wrong)
    clips(house, "label", "blender", other)
    recordings = tmp_path / "recordings"
    clips(house, "export", "--to", recordings)
    found = sorted(path.relative_to(recordings).as_posix() for path in recordings.rglob("*.flac"))
    assert [path.split("/")[0] for path in found] == ["background", "blender", "dog_bark"]
    before = {path: path.stat().st_mtime_ns for path in recordings.rglob("*.flac")}
    assert clips(house, "export", "--to", recordings).output.startswith("0 clips")
    assert clips(house, "export", "--to", recordings, "--again").output.count(".flac") == 3
    assert {path: path.stat().st_mtime_ns for path in recordings.rglob("*.flac")} == before
    for path in before:
        np.testing.assert_array_equal(soundfile.read(path, dtype="int16")[0], NOISE)


def test_what_is_labelled_otherwise_after_its_export_is_moved(house, tmp_path):
    (clip,) = kept(house, (1, "dog_bark"))
    clips(house, "label", "right", clip)
    clips(house, "export", "--to", tmp_path / "r")
    clips(house, "label", "wrong", clip)
    clips(house, "export", "--to", tmp_path / "r")
    assert [path.parent.name for path in (tmp_path / "r").rglob("*.flac")] == ["background"]


def test_clips_of_one_day_and_microphone_are_one_source_to_train(house, tmp_path):
    names = kept(house, (1, "dog_bark"), (2, "dog_bark"), (30, "dog_bark"), (31, "baby_cry"))
    clips(house, "label", "right", *names)
    recordings = tmp_path / "recordings"
    clips(house, "export", "--to", recordings)
    from audiomon.lab.train.dataset import find_sounds

    sounds = find_sounds(recordings)
    assert is_dealt(recordings, Split())
    groups = {sound.path.name: sound.group for sound in divide(recordings, sounds, Split(count=2))}
    assert len(groups) == 4
    assert len(set(groups.values())) == 2
    assert len({group[:8] for group in groups.values()}) == 2


def test_a_clip_of_two_labels_waits_until_somebody_says_which(house, tmp_path):
    (clip, *_) = kept(house, (1, "dog_bark", "baby_cry"))
    clips(house, "label", "right", clip)
    result = clips(house, "export", "--to", tmp_path / "r", status=1)
    assert "holds dog_bark and baby_cry" in result.output
    clips(house, "label", "baby_cry", clip)
    clips(house, "export", "--to", tmp_path / "r")
    assert [path.parent.name for path in (tmp_path / "r").rglob("*.flac")] == ["baby_cry"]


@pytest.mark.parametrize("time_ns", [10**30, -(10**30)])
def test_a_keeper_that_somebody_took_over_can_end_nothing_with_a_traceback_and_hold_nobody_up(tmp_path, time_ns):
    clip = ClipInfo(
        "1", ("dog_bark",), time_ns, 1.0, 8000, 8000, 0, 3, 0.0, "", "attic", "mic", "home", "right", "", False, False
    )
    event = ListedEvent(1, time_ns, "dog_bark", 0.9, 1.5, "attic", "home", clip, "kept", "")
    listing = Reply(events=(event,))
    replies = [listing, listing, Reply(more=True), Reply(clips=(clip,), more=True)]

    def answer(server: socket.socket) -> None:
        for reply in replies:
            with server.accept()[0] as client, client.makefile("rb") as requests:
                for _ in requests:
                    client.sendall(msgspec.json.encode(reply) + b"\n")

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "keeper.sock"))
        server.listen()
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        with KeeperClient(tmp_path / "keeper.sock") as client:
            ((listed,),) = [[*client.events(List(), 100)]]
        assert recording_name(clip)[:2] in ("19", "21")
        assert _row(listed)[:2] in ("19", "21")
        now = datetime.now(UTC)
        with KeeperClient(tmp_path / "keeper.sock") as client:
            assert "dog_bark" in day_clips(client, "attic", now, now, max_bytes=0)
        for said in (0, 2):  # what is said twice is no progress
            with KeeperClient(tmp_path / "keeper.sock") as client:
                assert len([*zip(client.exports(again=True), range(10), strict=False)]) == said


def test_without_a_keeper_it_says_what_to_look_at(tmp_path):
    result = CliRunner().invoke(cli, ["clips", "--keeper", str(tmp_path / "none.sock"), "list"])
    assert isinstance(result.exception, UserError)
    assert "systemctl status audiomon-keeper" in str(result.exception)
