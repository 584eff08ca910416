"""What PortAudio must never be asked: anything by two threads at once, and anything of it lost when it fails."""

import ctypes.util
import os
import shutil
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from audiomon.audio.microphone import portaudio
from audiomon.audio.microphone.devices import InputDevice, input_devices
from audiomon.audio.microphone.source import PortAudioStream
from audiomon.errors import DeviceError, SoundSystemError

PATIENCE_S = 60
CARD = InputDevice(3, "USB mic: Audio (hw:1,0)", "ALSA", 1, 48_000, False)


class PortAudioError(Exception):
    pass


class FakeStream:
    samplerate = 48_000
    channels = 1
    latency = 2.0
    read_available = 7
    fault: Exception | None = None

    def __init__(self, **_) -> None:
        self.closed = False
        Fake.streams.append(self)

    def start(self) -> None:
        if self.fault is not None:
            raise self.fault

    def abort(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class Fake(types.ModuleType):
    """A ``sounddevice`` in which a test decides what happens."""

    PortAudioError = PortAudioError
    streams: list[FakeStream]


@pytest.fixture
def fake(monkeypatch) -> Iterator[Fake]:
    module = Fake("sounddevice")
    Fake.streams = []
    module.RawInputStream = type("RawInputStream", (FakeStream,), {})
    module.initialised = []
    module._terminate = lambda: module.initialised.append("terminated")
    module._initialize = lambda: module.initialised.append("initialised")
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


@pytest.mark.parametrize("error", [PortAudioError("no", -9999), KeyboardInterrupt()])
def test_a_stream_that_opens_and_does_not_start_is_closed(fake, error):
    fake.RawInputStream.fault = error
    with pytest.raises((DeviceError, KeyboardInterrupt)):
        PortAudioStream(CARD, 22_050, 1, 0.1)
    assert [stream.closed for stream in fake.streams] == [True]
    portaudio.refresh_devices()  # waits for nothing


def test_a_sample_format_that_portaudio_lacks_is_refused_with_what_converts_it(fake):
    fake.RawInputStream.fault = PortAudioError("Sample format not supported", -9994)
    with pytest.raises(DeviceError) as caught:
        PortAudioStream(CARD, 22_050, 1, 0.1)
    assert 'pcm.converted { type plug slave.pcm "hw:1,0" }' in str(caught.value)
    assert "Sample format not supported" in str(caught.value)


def test_an_overflow_is_no_failure_and_all_else_is(fake):
    stream = PortAudioStream(CARD, 48_000, 1, 0.1)
    assert stream.available() == 7

    def raises(error):
        def read(_):
            raise error

        return read

    fake.streams[0].read = raises(PortAudioError("overflowed", -9981))
    assert stream.read(7) == b""
    fake.streams[0].read = raises(PortAudioError("Device unavailable", -9985))
    with pytest.raises(DeviceError, match=r"USB mic.*: the microphone has failed: Device unavailable"):
        stream.read(7)
    stream.close()


def test_no_thread_enters_while_another_is_inside_and_one_that_waits_too_long_gives_up(fake, monkeypatch):
    monkeypatch.setattr(portaudio, "_MAX_CALL_S", 0.05)
    inside, leave = threading.Event(), threading.Event()

    def hang():
        with portaudio.portaudio():
            inside.set()
            leave.wait(PATIENCE_S)

    hanging = threading.Thread(target=hang)
    hanging.start()
    assert inside.wait(PATIENCE_S)
    with pytest.raises(SoundSystemError):
        PortAudioStream(CARD, 22_050, 1, 0.1)
    with pytest.raises(SoundSystemError):
        portaudio.refresh_devices()
    assert not fake.streams
    assert not fake.initialised
    leave.set()
    hanging.join(PATIENCE_S)
    PortAudioStream(CARD, 22_050, 1, 0.1).close()


def test_looking_again_waits_until_what_is_open_is_closed(fake, monkeypatch):
    stream = PortAudioStream(CARD, 48_000, 1, 0.1)
    monkeypatch.setattr(portaudio, "_MAX_CALL_S", 0.05)
    with pytest.raises(SoundSystemError, match="has not released"):
        portaudio.refresh_devices()
    assert not fake.initialised
    monkeypatch.setattr(portaudio, "_MAX_CALL_S", PATIENCE_S)
    refreshing = threading.Thread(target=portaudio.refresh_devices)
    refreshing.start()
    stream.close()
    refreshing.join(PATIENCE_S)
    assert fake.initialised == ["terminated", "initialised"]


def test_a_name_that_is_not_utf_8_is_escaped_and_harms_no_other(fake):
    names = {0: b"mic", 1: b"K\xfcche", 2: "Straße".encode(), 3: b"speaker"}

    def query_devices(index):
        return {
            "name": names[index].decode(),
            "max_input_channels": 0 if index == 3 else 2,
            "default_samplerate": 48_000.0,
        }

    def raw(index):
        return types.SimpleNamespace(maxInputChannels=1, defaultSampleRate=44_100.0)

    fake.query_devices, fake._lib = query_devices, types.SimpleNamespace(Pa_GetDeviceInfo=raw)
    fake.query_hostapis = lambda: ({"name": "OSS", "devices": [3, 2]}, {"name": "ALSA", "devices": [0, 1]})
    fake.default = types.SimpleNamespace(device={"input": 0})
    found = [(device.index, device.name, device.host_api, device.channels) for device in input_devices()]
    assert found == [(0, "mic", "ALSA", 2), (1, "K\\xfcche", "ALSA", 1), (2, "Straße", "OSS", 2)]


LIST = "from audiomon.audio.microphone.devices import input_devices; input_devices()"


def traced(calls: str, **environment: str) -> list[str]:
    """List the devices in a process of its own; its calls to the kernel that have to do with JACK."""
    command = ["strace", "-f", "-qq", "-e", f"trace={calls}", "-e", "signal=none", sys.executable, "-c", LIST]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)
    return [line for line in done.stderr.splitlines() if "jack" in line and calls in line]


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.skipif(not ctypes.util.find_library("jack"), reason="JACK's client library is not installed")
def test_no_socket_that_others_could_have_made_is_connected_to():
    server = f"jack_default_{os.getuid()}_0"
    if not Path("/dev/shm").is_dir() or Path("/dev/shm", server).exists():
        pytest.skip("there is a JACK server here")
    assert not [line for line in traced("connect") if server in line]
    assert [line for line in traced("connect", JACK_DEFAULT_SERVER="default") if server in line], "proves nothing"


def test_a_server_of_this_users_is_asked_and_another_ones_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(portaudio, "_SHARED_MEMORY", tmp_path)
    for name in ("JACK_DEFAULT_SERVER", "JACK_NO_START_SERVER"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    (tmp_path / f"jack_default_{os.getuid()}_0").touch()
    portaudio._keep_out_of_strangers_jack()
    assert "JACK_DEFAULT_SERVER" not in os.environ
    (tmp_path / f"jack_default_{os.getuid()}_0").unlink()
    portaudio._keep_out_of_strangers_jack()
    assert len(os.environ["JACK_DEFAULT_SERVER"]) == 16
    assert (tmp_path / f"jack_db-{os.getuid()}").stat().st_mode & 0o777 == 0o700


@pytest.mark.root
def test_a_database_that_another_user_made_is_not_believed(tmp_path, monkeypatch):
    monkeypatch.setattr(portaudio, "_SHARED_MEMORY", tmp_path)
    database = tmp_path / f"jack_db-{os.getuid()}"
    database.mkdir()
    os.chown(database, 65534, -1)
    with pytest.raises(DeviceError, match="was made by another user"):
        portaudio._keep_out_of_strangers_jack()
