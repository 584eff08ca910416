import os
import subprocess

import msgspec
import pytest

from audiomon.errors import UserError
from audiomon.runtime_files import (
    RuntimeFiles,
    find_runtime,
    read_runtime,
    read_runtime_bytes,
    runtime_folder,
    unit_of,
    wrote,
)


class Content(msgspec.Struct, frozen=True):
    number: int
    text: str = "grüße"


def test_a_file_is_read_as_it_was_written(tmp_path):
    RuntimeFiles(tmp_path / "new").write("a.json", Content(3))
    assert read_runtime(tmp_path / "new", "a.json", Content) == Content(3)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.json"]


def test_a_folder_that_cannot_be_written_is_told_and_forgotten_when_it_can(tmp_path):
    (tmp_path / "folder").write_text("a file where the folder should be")
    files = RuntimeFiles(tmp_path / "folder")
    files.write("a.json", Content(1))
    assert str(tmp_path / "folder" / "a.json") in files.problem
    (tmp_path / "folder").unlink()
    files.write("a.json", Content(2))
    assert files.problem == ""
    assert read_runtime(tmp_path / "folder", "a.json", Content).number == 2


def test_a_full_disk_keeps_what_was_written_before(tmp_path, monkeypatch):
    files = RuntimeFiles(tmp_path)
    files.write("a.json", Content(1))
    # The only file that is full on every machine.
    (tmp_path / ".a.json").symlink_to("/dev/full")
    files.write("a.json", Content(2))
    assert "No space left on device" in files.problem
    assert read_runtime(tmp_path, "a.json", Content).number == 1


def test_where_there_is_no_folder_nothing_is_written_and_nothing_wrong():
    files = RuntimeFiles(None)
    files.write("a.json", Content(1))
    assert files.problem == ""


@pytest.mark.parametrize(("content", "said"), [(None, "no audiomon is running"), (b"{", "is damaged")])
def test_what_is_missing_or_damaged_is_said(tmp_path, content, said):
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=said):
        read_runtime(tmp_path, "a.json", Content)


def test_the_runtime_folder_is_systemds_or_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/audiomon:/run/other")
    assert str(runtime_folder()) == "/run/audiomon"
    monkeypatch.delenv("RUNTIME_DIRECTORY")
    assert runtime_folder() == tmp_path / "audiomon"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert runtime_folder() is None


def test_a_command_looks_where_it_is_told_or_where_the_file_is(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    assert find_runtime(tmp_path / "told", "a.json") == tmp_path / "told"
    assert str(find_runtime(None, "a.json")) == "/run/audiomon"
    (tmp_path / "a.json").touch()
    assert find_runtime(None, "a.json") == tmp_path
    assert str(find_runtime(None, "a.json", "kitchen")) == "/run/audiomon-kitchen"
    assert (unit_of("audiomon"), unit_of("kitchen")) == ("audiomon", "audiomon@kitchen")


def test_a_link_in_the_folder_leads_nowhere(tmp_path):
    (tmp_path / "secret").write_bytes(b'{"number": 1}')
    (tmp_path / "a.json").symlink_to(tmp_path / "secret")
    with pytest.raises(UserError, match="is a link"):
        read_runtime(tmp_path, "a.json", Content)


def test_what_is_no_plain_file_or_has_no_end_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 30)
    for name in ("pipe", "folder", "large"):
        with pytest.raises(UserError, match="is no file of audiomon's"):
            read_runtime_bytes(tmp_path, name)


@pytest.mark.root
def test_a_file_that_is_neither_the_folders_owners_nor_roots_is_not_read(tmp_path):
    (tmp_path / "a.json").write_bytes(b'{"number": 1}')
    os.chown(tmp_path / "a.json", 65534, -1)
    with pytest.raises(UserError, match="is no file of audiomon's"):
        read_runtime_bytes(tmp_path, "a.json")
    os.chown(tmp_path, 65534, -1)
    assert read_runtime_bytes(tmp_path, "a.json") == b'{"number": 1}'


@pytest.mark.root
def test_a_process_that_got_the_number_of_one_that_is_gone_has_not_written_the_file(tmp_path):
    (tmp_path / "a.json").touch()
    assert wrote(tmp_path, "a.json", os.getpid())
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, user=65534) as other:
        assert not wrote(tmp_path, "a.json", other.pid)
        other.communicate()
    assert not wrote(tmp_path, "a.json", other.pid)
