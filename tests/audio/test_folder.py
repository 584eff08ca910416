import pytest

from audiomon.audio.folder import audio_files
from audiomon.errors import InputError


def test_recordings_are_found_all_the_way_down_and_in_order(tmp_path):
    for name in ("b.wav", "a/2.FLAC", "a/1.m4a", "a/deep/er/0.opus", "notes.txt", "a/cover.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in audio_files(tmp_path)]
    assert found == ["a/1.m4a", "a/2.FLAC", "a/deep/er/0.opus", "b.wav"]


def test_hidden_names_are_left_out_folders_too(tmp_path):
    for name in ("._x.wav", ".hidden/y.wav", "@eaDir/x.wav/z.mp3", "x.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert audio_files(tmp_path) == [tmp_path / "x.wav"]


def test_a_hidden_folder_that_is_named_is_searched(tmp_path):
    (tmp_path / ".mine").mkdir()
    (tmp_path / ".mine" / "x.wav").touch()
    assert audio_files(tmp_path / ".mine") == [tmp_path / ".mine" / "x.wav"]


def test_a_folder_without_audio_or_none_at_all_is_named(tmp_path):
    with pytest.raises(InputError, match="holds no audio"):
        audio_files(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        audio_files(tmp_path / "none")
