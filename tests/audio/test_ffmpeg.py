"""What only ffmpeg reads, with a real ffmpeg; and what is said where there is none."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from audiomon.audio import ffmpeg
from audiomon.audio.file import FileSource
from audiomon.errors import InputError
from tests.audio.test_file import noise, read_all, read_until_error, write

RATE = 44_100
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("encoded")
    write(folder / "a.wav", noise(2 * RATE, 2), RATE)

    def encode(name: str, *options: str) -> Path:
        path = folder / name
        command = ["ffmpeg", "-v", "error", "-y", "-i", str(folder / "a.wav"), *options, str(path)]
        subprocess.run(command, check=True, timeout=60)
        return path

    return encode


@needs_ffmpeg
@pytest.mark.parametrize("name", ["a.m4a", "a.webm", "a.mp4", "a.mka", "a.aac", "a.wma"])
def test_what_phones_and_browsers_record_is_heard(encoded, name):
    source = FileSource(encoded(name))
    assert source.channels == 2
    assert len(read_all(source)) / source.sample_rate == pytest.approx(2, abs=0.1)
    assert source.duration_s == pytest.approx(2, abs=0.1)


@needs_ffmpeg
def test_lossless_samples_come_through_unchanged(encoded):
    samples = read_all(FileSource(encoded("lossless.m4a", "-c:a", "alac")), 777)
    np.testing.assert_array_equal(samples, noise(2 * RATE, 2) / np.float32(32_768))


@needs_ffmpeg
def test_the_suffix_does_not_matter(encoded, tmp_path):
    path = tmp_path / "recording"
    path.write_bytes(encoded("a.m4a").read_bytes())
    assert FileSource(path).sample_rate == RATE


@needs_ffmpeg
@pytest.mark.parametrize("name", ["a.webm", "a.mka"])
def test_a_truncated_one_gives_what_is_there_and_then_says_so(encoded, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(encoded(name).read_bytes()[:-8000])
    count, message = read_until_error(FileSource(path))
    assert count > RATE
    assert "damaged or truncated after" in message
    assert "ffmpeg: " in message


@needs_ffmpeg
def test_a_flac_in_an_ogg_that_lacks_some_of_its_pages_says_where(encoded, tmp_path):
    whole = encoded("flac.ogg", "-c:a", "flac").read_bytes()
    path = tmp_path / "cut.ogg"
    for content, where in (
        (whole[:-100], "at the end"),
        (whole[:-100] + whole, f"before byte {len(whole) - 100}"),
        (whole + bytes(5000), None),
    ):
        path.write_bytes(content)
        if where is None:
            assert len(read_all(FileSource(path))) == 2 * RATE
        else:
            count, message = read_until_error(FileSource(path))
            assert count > RATE * len(content) // len(whole)
            assert message.endswith(f"sound is missing {where}")


@needs_ffmpeg
def test_what_is_no_audio_is_refused_in_one_line_without_the_path_that_ffmpeg_got(tmp_path):
    path = tmp_path / "notes.m4a"
    path.write_text("hello " * 100)
    with pytest.raises(InputError, match="is not audio that libsndfile or ffmpeg reads") as caught:
        FileSource(path)
    assert "/proc" not in str(caught.value)


@needs_ffmpeg
def test_a_playlist_leads_nowhere(encoded, tmp_path):
    path = tmp_path / "list.m4a"
    path.write_text(f"#EXTM3U\n#EXTINF:2,\n{encoded('a.m4a')}\n")
    with pytest.raises(InputError, match="is not audio"):
        FileSource(path)


@needs_ffmpeg
def test_closing_ends_the_process(encoded):
    source = FileSource(encoded("a.m4a"))
    process = source._decoder._process
    source.close()
    assert source.read(10) is None
    assert process.returncode is not None


@needs_ffmpeg
def test_a_killed_reader_leaves_no_ffmpeg(encoded):
    path = encoded("a.m4a")
    program = (
        "import sys, time; from pathlib import Path; from audiomon.audio.file import FileSource; "
        f"source = FileSource(Path({str(path)!r})); print(source._decoder._process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as reader:
        pid = int(reader.stdout.readline())
        reader.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_where_there_is_no_ffmpeg_the_message_says_what_would_help(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    path = tmp_path / "a.bin"
    path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(200))
    with pytest.raises(InputError, match="sudo apt install ffmpeg"):
        FileSource(path)
    path.write_text("notes")
    with pytest.raises(InputError, match="is not audio") as caught:
        FileSource(path)
    assert "apt" not in str(caught.value)


def test_a_wav_or_text_is_not_worth_starting_ffmpeg_for():
    assert not ffmpeg.is_likely(Path("a.wav"), b"RIFF\0\0\0\0WAVEfmt ")
    assert not ffmpeg.is_likely(Path("a.txt"), b"hello")
    assert ffmpeg.is_likely(Path("a"), b"\x1a\x45\xdf\xa3")
