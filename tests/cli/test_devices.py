"""``audiomon devices`` and ``check`` with streams, which need no sound system."""

import os
import socket

import msgspec
import pytest
from click.testing import CliRunner

from audiomon.audio import stream
from audiomon.cli import cli
from audiomon.errors import DeviceError


@pytest.fixture
def streams(tmp_path, monkeypatch):
    """A radio and a camera, and no sound card."""

    def nothing():
        raise DeviceError("there is no PortAudio here")

    monkeypatch.setattr("audiomon.cli.devices.input_devices", nothing)
    monkeypatch.setattr("audiomon.cli.devices.streams", lambda: stream.streams(tmp_path))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "porch"))
        os.mkfifo(tmp_path / "radio")
        yield tmp_path


def test_streams_are_listed_where_there_is_no_sound_system(streams):
    done = CliRunner().invoke(cli, ["devices"])
    assert done.exit_code == 0, done
    lines = [line.split() for line in done.output.splitlines() if "stream:" in line]
    assert lines == [[name, "stream", "device:", name] for name in ("stream:porch", "stream:radio")]
    as_json = CliRunner().invoke(cli, ["devices", "--json"]).output.splitlines()
    names = [msgspec.json.decode(line)["lasting_name"] for line in as_json if line.startswith("{")]
    assert names == ["stream:porch", "stream:radio"]


def test_without_streams_a_missing_sound_system_is_an_error(streams):
    for path in streams.iterdir():
        path.unlink()
    done = CliRunner().invoke(cli, ["devices"])
    assert isinstance(done.exception, DeviceError)


def test_check_says_whether_a_stream_is_there(streams, tmp_path):
    for device, said in (("porch", "ok      microphone  stream:"), ("nobody", "there is no stream: nothing sends at")):
        done = CliRunner().invoke(cli, ["check", "--device", f"stream:{tmp_path / device}"])
        assert said in done.output
