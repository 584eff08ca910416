"""A real RTSP server, a real ffmpeg, a real listener: each codec and transport; frozen, killed, back; and the password.

Needs Debian's python3-gst-1.0, gir1.2-gst-rtsp-server-1.0 and the GStreamer plugins for its codecs.
"""

import signal
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from audiomon.audio.stream import StreamSource
from audiomon.errors import DeviceError
from tests.daemon.conftest import folder, packages
from tests.daemon.daemon import Daemon, running_daemon, wait_until
from tests.sources.process import PATIENCE_S, running_source
from tests.sources.test_relay import loudest_hz

__all__ = ["folder", "packages"]
pytestmark = pytest.mark.long

SERVER = Path(__file__).with_name("rtsp_server.py")
PASSWORD = "Tr0ub4dor&3"
IN_ADDRESS = "Tr0ub4dor%263"


class Camera:
    """The server, in a process that can be frozen, killed and started again."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.start()

    def start(self) -> None:
        command = ["/usr/bin/python3", SERVER, str(self.port), "admin", PASSWORD]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            pytest.skip("no GStreamer RTSP server (apt install python3-gst-1.0 gir1.2-gst-rtsp-server-1.0)")

    def signal(self, number: signal.Signals) -> float:
        """Send it; the time of day."""
        self.process.send_signal(number)
        return time.time()

    def kill(self) -> float:
        at = self.signal(signal.SIGKILL)
        self.process.wait()
        return at

    def address(self, stream: str, transport: str = "tcp") -> str:
        udp = "?udp" if transport == "udp" else ""
        return f"rtsp://admin:{IN_ADDRESS}@127.0.0.1:{self.port}/{stream}{udp}"


@pytest.fixture
def camera() -> Iterator[Camera]:
    camera = Camera()
    yield camera
    camera.kill()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("stream", ["pcma", "pcmu-and-picture", "aac", "opus"])
def test_every_codec_is_heard_over_either_transport(tmp_path, camera, stream, transport):
    with running_source(tmp_path, camera.address(stream, transport)) as source:
        wait_until(source.socket.exists, "its socket")
        with StreamSource(source.socket, sample_rate=16_000, name="stream:cam") as heard:
            assert heard.sample_rate == 16_000
            loudest_hz(heard)  # a decoder's first moments
            assert loudest_hz(heard) == pytest.approx(1000, abs=5)


def test_a_camera_without_sound_or_with_another_password_says_so(tmp_path, camera):
    wrong = camera.address("pcma").replace(IN_ADDRESS, "hunter2")
    for address, why in ((camera.address("picture"), "Server returned 4XX"), (wrong, "401 Unauthorized")):
        with running_source(tmp_path, address) as source:
            wait_until(source.socket.exists, "its socket")
            with pytest.raises(DeviceError, match=why):
                StreamSource(source.socket, sample_rate=16_000, name="stream:cam")
        (tmp_path / "cam").unlink()


def seconds_until(daemon: Daemon, kind: str, count: int, since_s: float) -> float:
    said: dict[str, Any] = daemon.wait_for(kind, count)
    return datetime.fromisoformat(said["time"]).timestamp() - since_s


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_camera_that_is_frozen_or_killed_is_lost_and_heard_again_and_its_password_is_nowhere(
    folder, camera, transport, capsys
):
    with running_source(folder, camera.address("aac", transport)) as source:
        wait_until(source.socket.exists, "its socket")
        config = f"model: float32\nhop_s: 0.1\nmicrophone: {{device: 'stream:{source.socket}'}}\n"
        with running_daemon(folder, {}, config) as daemon:
            daemon.wait_predictions(3)
            times = [("frozen", seconds_until(daemon, "device-lost", 1, camera.signal(signal.SIGSTOP)))]
            daemon.wait_told("STATUS", "lost: ")
            times.append(("thawed", seconds_until(daemon, "device-back", 1, camera.signal(signal.SIGCONT))))
            daemon.wait_predictions(100)
            times.append(("killed", seconds_until(daemon, "device-lost", 2, camera.kill())))
            daemon.wait_told("STATUS", f"lost: stream:{source.socket}: Connection refused")
            camera.start()
            times.append(("started", seconds_until(daemon, "device-back", 2, time.time())))
            daemon.wait_predictions(3)
            said = everywhere(folder, daemon)
        said += "\n".join(source.said)
    assert "Connection refused" in said
    for secret in (PASSWORD, IN_ADDRESS, "admin:"):
        assert secret not in said
    with capsys.disabled():
        print(f"\n{transport}:", ", ".join(f"{what}: {seconds:.2f} s" for what, seconds in times))


def everywhere(folder: Path, daemon: Daemon) -> str:
    """All that others may see: processes, status, what was said, a bug report."""
    bundle = folder / "bug.tar.gz"
    doctor = subprocess.run(
        [*daemon._command("doctor"), "--config", str(daemon.config), "--bundle", str(bundle)],
        env=daemon._environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert "ok     rate         stream:" in doctor.stdout
    texts = [str(daemon.lines), str(daemon.told), doctor.stdout, doctor.stderr]
    with tarfile.open(bundle) as archive:
        texts += [archive.extractfile(member).read().decode() for member in archive.getmembers()]
    texts += [path.read_text() for path in (folder / "runtime").iterdir() if path.is_file()]
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                text = (process / name).read_bytes().decode(errors="replace")
            except OSError:
                continue
            if "rtsp_server.py" not in text:
                texts.append(text)
    return "\n".join(texts)
