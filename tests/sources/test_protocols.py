"""What else ffmpeg reads: HLS, SRT, Icecast, MPEG-TS over UDP, RTMP; one real ffmpeg sends it, another brings it.

Prints how long the first sound takes.
"""

import functools
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from audiomon.audio.stream import StreamSource
from audiomon.errors import DeviceError
from tests.daemon.daemon import wait_until
from tests.sources.process import running_source
from tests.sources.test_relay import loudest_hz

pytestmark = [pytest.mark.long, pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")]

TONE = ("ffmpeg", "-loglevel", "quiet", "-nostdin", "-re", "-f", "lavfi", "-i", "sine=1000:sample_rate=44100")
PASSPHRASE = "tell-nobody"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def sending(*output: str) -> Iterator[None]:
    with subprocess.Popen([*TONE, *output]) as process:
        try:
            yield
        finally:
            process.kill()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def hls() -> Iterator[str]:
    """A playlist of pieces of two seconds, which are deleted as time passes."""
    with tempfile.TemporaryDirectory() as folder:
        pieces = ("-f", "hls", "-hls_time", "2", "-hls_list_size", "4", "-hls_flags", "delete_segments")
        with sending("-c:a", "aac", *pieces, f"{folder}/live.m3u8"):
            wait_until(lambda: len(list(Path(folder).glob("*.ts"))) > 3, "some pieces")
            server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}/live.m3u8"
            server.shutdown()
            server.server_close()


class Icecast(SimpleHTTPRequestHandler):
    """What an Icecast server sends: MP3 without end, and between it what is on."""

    EVERY = 16_000

    def do_GET(self) -> None:
        wants_names = self.headers.get("Icy-MetaData") == "1"
        self.send_response(200)
        self.send_header("Content-Type", "audio/mpeg")
        self.send_header("icy-name", "tone")
        if wants_names:
            self.send_header("icy-metaint", str(self.EVERY))
        self.end_headers()
        output = ("-c:a", "libmp3lame", "-b:a", "128k", "-f", "mp3", "-flush_packets", "1", "-")
        name = b"StreamTitle='a song';".ljust(32, b"\0")
        with subprocess.Popen([*TONE, *output], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            try:
                # 16 000 bytes are a second of it: what a server sends at once to a new listener.
                while piece := process.stdout.read(self.EVERY):
                    self.wfile.write(piece + (bytes([len(name) // 16]) + name if wants_names else b""))
            except OSError:
                return
            finally:
                process.kill()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def icecast() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Icecast)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/radio.mp3"
    server.shutdown()
    server.server_close()


@contextmanager
def srt() -> Iterator[str]:
    port = free_port()
    with sending("-c:a", "aac", "-f", "mpegts", f"srt://127.0.0.1:{port}?mode=listener&passphrase={PASSPHRASE}"):
        yield f"srt://127.0.0.1:{port}?passphrase={PASSPHRASE}"


@contextmanager
def udp() -> Iterator[str]:
    port = free_port()
    with sending("-c:a", "aac", "-f", "mpegts", f"udp://127.0.0.1:{port}?pkt_size=1316"):
        yield f"udp://127.0.0.1:{port}"


@contextmanager
def rtmp() -> Iterator[str]:
    port = free_port()
    with sending("-c:a", "aac", "-f", "flv", "-listen", "1", f"rtmp://127.0.0.1:{port}/live/tone"):
        yield f"rtmp://127.0.0.1:{port}/live/tone"


@pytest.mark.parametrize("protocol", [hls, srt, icecast, udp, rtmp])
def test_it_is_heard(tmp_path, protocol, capsys):
    with protocol() as address, running_source(tmp_path, address) as source:
        wait_until(source.socket.exists, "its socket")
        began_s = time.monotonic()
        with StreamSource(source.socket, sample_rate=16_000, name="stream:cam") as heard:
            took_s = time.monotonic() - began_s
            for _ in range(6):
                loudest_hz(heard)
            assert loudest_hz(heard) == pytest.approx(1000, abs=5)
    assert len(source.said) == 1
    assert "sends " in source.said[0]
    with capsys.disabled():
        print(f"\n{protocol.__name__}: heard after {took_s:.1f} s; {source.said[0]}")


def test_a_wrong_passphrase_of_srt_is_an_error_that_does_not_quote_it(tmp_path):
    with srt() as address, running_source(tmp_path, address.replace(PASSPHRASE, "hunter2-hunter2")) as source:
        wait_until(source.socket.exists, "its socket")
        with pytest.raises(DeviceError, match="Input/output error"):
            StreamSource(source.socket, sample_rate=16_000, name="stream:cam")
    assert "hunter2" not in "".join(source.said)
