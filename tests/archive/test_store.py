import os
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest

from audiomon.archive.store import StoreError, file_name, local_path, open_roots, open_store
from audiomon.errors import InputError, UserError

TABLE = pa.table({"number": list(range(1000))})


@pytest.mark.parametrize(
    "name", [b"plain.wav", b"caf\xe9.wav", "café.wav".encode(), rb"\xe9.wav", rb"\x5c\xff.wav", b"a\\b\nc\xff\x80.wav"]
)
def test_any_name_becomes_unicode_and_finds_its_file_again(name):
    unicode = file_name(os.fsdecode(name))
    unicode.encode("utf-8")
    assert os.fsencode(local_path(unicode)) == name


def test_different_names_stay_different_as_unicode():
    assert file_name(os.fsdecode(b"\xe9.wav")) != file_name(r"\xe9.wav")


def test_only_recordings_are_listed_and_no_hidden_ones_at_any_depth(tmp_path):
    for name in ("a/one.WAV", "a/b/two.flac", "a/._one.WAV", ".Trash/three.wav", "CONFIG.TXT", "four.ogg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "a/circle").symlink_to(tmp_path)
    denied = []
    found = [name for name, _, _ in open_store(str(tmp_path)).recordings("", denied)]
    assert sorted(found) == ["a/b/two.flac", "a/one.WAV", "four.ogg"]
    assert denied == []


def test_a_link_to_nowhere_is_told_and_the_others_are_listed(tmp_path):
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nowhere")
    (tmp_path / "here.wav").write_bytes(b"x")
    denied = []
    assert [name for name, _, _ in open_store(str(tmp_path)).recordings("", denied)] == ["here.wav"]
    assert denied == [str(tmp_path / "gone.wav")]


def test_names_start_from_the_deepest_folder_that_holds_all_roots(tmp_path):
    for card in ("one", "two"):
        (tmp_path / card).mkdir()
        (tmp_path / card / "x.wav").write_bytes(b"x")
    root, below = open_roots([str(tmp_path / "one"), str(tmp_path / "two")])
    assert (root.base, below) == (str(tmp_path), ["one", "two"])
    assert open_roots([str(tmp_path / "one")])[0].base == str(tmp_path / "one")
    root, below = open_roots([str(tmp_path / "one" / "x.wav")])
    assert (root.base, below) == (str(tmp_path / "one"), ["x.wav"])


def test_what_is_not_there_is_the_users_mistake(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        list(open_store(str(tmp_path / "absent")).recordings("", []))
    with pytest.raises(UserError, match="nonsense"):
        open_store("nonsense://bucket")


def test_a_file_is_written_whole_and_tidies_up_after_a_killed_writer(tmp_path):
    store = open_store(str(tmp_path))
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "x.parquet.1234.tmp").write_bytes(b"half")
    store.write(TABLE, "files", "x.parquet")
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["x.parquet"]
    assert store.read("files", "x.parquet").equals(TABLE)


def test_the_same_table_twice_gives_the_same_bytes(tmp_path):
    store = open_store(str(tmp_path))
    store.write(TABLE, "one.parquet")
    store.write(TABLE, "two.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
def test_a_full_disk_leaves_nothing_half_written_and_says_so(tmp_path):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], check=True)
    try:
        store = open_store(str(tmp_path))
        random = pa.table({"bytes": [os.urandom(200_000)]})
        with pytest.raises(StoreError, match="No space left on device") as raised:
            store.write(random, "files", "x.parquet")
        assert raised.value.exit_status == 75
        assert list(Path(tmp_path).rglob("*.*")) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)
