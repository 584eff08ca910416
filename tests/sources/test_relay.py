"""A listener and a radio, with a real ffmpeg between the two."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from audiomon.audio.stream import StreamSource
from audiomon.errors import DeviceError
from tests.daemon.daemon import wait_until
from tests.sources.process import PATIENCE_S, REPOSITORY, SourceProcess, running_source
from tests.sources.radio import TONE_HZ, Radio

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")

PASSWORD = "tell/nobody"
RATE = 22_050


@pytest.fixture
def radio() -> Iterator[Radio]:
    radio = Radio(PASSWORD)
    yield radio
    radio.end()


@pytest.fixture
def source(tmp_path, radio) -> Iterator[SourceProcess]:
    with running_source(tmp_path, f"http://admin:tell%2Fnobody@{radio.host}/live.wav?key=s3cr3t") as source:
        wait_until(source.socket.exists, "its socket")
        yield source


def listen(source: SourceProcess, rate: int = RATE) -> StreamSource:
    return StreamSource(source.socket, sample_rate=rate, name="stream:cam")


def loudest_hz(stream: StreamSource) -> float:
    """Of the next half a second."""
    pieces: list[np.ndarray] = []
    while sum(map(len, pieces)) < stream.sample_rate // 2:
        block = stream.read(1000)
        assert block is not None
        pieces.append(block.samples[:, 0].copy())
    samples = np.concatenate(pieces)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * stream.sample_rate / len(samples))


def test_a_listener_hears_the_radio_at_the_rate_it_asks_for_and_two_may_listen(source, radio):
    with listen(source) as one, listen(source, 8000) as other:
        assert (one.sample_rate, one.channels, other.sample_rate) == (RATE, 1, 8000)
        assert loudest_hz(one) == pytest.approx(TONE_HZ, abs=5)
        assert loudest_hz(other) == pytest.approx(TONE_HZ, abs=5)
    wait_until(lambda: not source.children() and not radio.listeners, "the end of both ffmpegs")
    assert source.said == ["cam: sends pcm_s16be, 16000 Hz, mono, s16, 256 kb/s"]


def test_the_password_is_in_no_command_line_environment_or_line_that_is_said(source, radio):
    with listen(source):
        (pid, line), *_ = source.children()
        environment = Path(f"/proc/{pid}/environ").read_text()
    radio.end()
    with pytest.raises(DeviceError) as refused:
        listen(source)
    assert str(refused.value) == "stream:cam: Connection refused"
    wait_until(lambda: "cam: Connection refused" in source.said, lambda: str(source.said))
    for text in (line, environment, *source.said):
        for secret in ("nobody", "tell", "s3cr3t", radio.host):
            assert secret not in text


def test_a_wrong_password_is_said_once_and_not_quoted(tmp_path, radio):
    with running_source(tmp_path, f"http://admin:wrong@{radio.host}/") as source:
        wait_until(source.socket.exists, "its socket")
        for _ in range(2):
            with pytest.raises(DeviceError, match=r"^stream:cam: Server returned 401 Unauthorized"):
                listen(source)
        source.end()
        assert len(source.said) == 1
        assert "wrong" not in source.said[0]


def test_an_ffmpeg_that_ends_ends_the_stream_and_the_next_listener_gets_another(source):
    with listen(source) as stream:
        os.kill(source.children()[0][0], signal.SIGKILL)
        wait_until(lambda: stream.failure, "the end of the stream")
        assert str(stream.failure) == "stream:cam: the stream has ended"
    with listen(source) as stream:
        assert loudest_hz(stream) == pytest.approx(TONE_HZ, abs=5)


def test_a_listener_that_hangs_up_while_the_radio_hangs_ends_its_ffmpeg(source, radio):
    with listen(source):
        radio.hangs = True
        assert len(source.children()) == 1
    wait_until(lambda: not source.children(), "the end of ffmpeg")


def test_one_who_asks_for_nothing_that_can_be_given_is_hung_up_on(source):
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.settimeout(PATIENCE_S)
        stranger.connect(str(source.socket))
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert stranger.recv(100) == b""
    assert source.children() == []


def test_with_the_process_its_ffmpegs_end(source):
    with listen(source):
        pids = [pid for pid, _ in source.children()]
        assert source.end() == 0
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "the end of ffmpeg")


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (None, "there is no address: write it into /etc/credstore/audiomon.source-cam"),
        ("file:///etc/hunter2", "audiomon.source-cam: is no address of sound: write one that begins with rtsp"),
    ],
)
def test_what_lacks_an_address_says_so_in_one_line(tmp_path, address, why):
    if address is not None:
        (tmp_path / "address").write_text(address)
    done = subprocess.run(
        [sys.executable, "-m", "audiomon.sources", "cam", str(tmp_path / "socket")],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "CREDENTIALS_DIRECTORY": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 2
    assert why in done.stderr
    assert "hunter2" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_it_loads_neither_numpy_nor_what_opens_a_microphone():
    script = "import sys, audiomon.sources.__main__; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"numpy", "sounddevice", "soundfile", "audiomon.audio.capture"} & set(loaded)
