"""Fixtures for the whole suite: the virtual microphone."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("virtual_microphone.sh")
PROGRAMS = ("pulseaudio", "pactl", "paplay")


@dataclass(frozen=True)
class VirtualMicrophone:
    """A running one; see the head of ``virtual_microphone.sh``.

    Attributes:
        folder: where it lives.
        sample_rate: its own, in Hz; anything else is converted by the server.
        environment: what a capturing process needs besides its own environment.
    """

    folder: Path
    sample_rate: int
    environment: dict[str, str]

    def __call__(self, command: str, *arguments: object) -> None:
        subprocess.run([SCRIPT, command, self.folder, *map(str, arguments)], check=True, timeout=60)

    def playing(self, sink: str, wav: Path) -> "subprocess.Popen[bytes]":
        """Play in the background."""
        return subprocess.Popen([SCRIPT, "play", self.folder, sink, wav])


def start_virtual_microphone(folder: Path, sample_rate: int) -> VirtualMicrophone:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"no virtual microphone without {', '.join(missing)} (apt install pulseaudio pulseaudio-utils)")
    subprocess.run([SCRIPT, "start", folder, str(sample_rate)], check=True, timeout=60, stdout=subprocess.PIPE)
    environment = {"ALSA_CONFIG_PATH": str(folder / "asoundrc"), "PULSE_SERVER": f"unix:{folder / 'socket'}"}
    return VirtualMicrophone(folder, sample_rate, environment)


@pytest.fixture(scope="session")
def virtual_microphone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualMicrophone]:
    """One at 22 050 Hz, for this process too, shared by all tests; leave it running and silent."""
    microphone = start_virtual_microphone(tmp_path_factory.mktemp("microphone"), 22_050)
    before = dict(os.environ)
    os.environ.update(microphone.environment)
    yield microphone
    os.environ.clear()
    os.environ.update(before)
    microphone("stop")


@pytest.fixture
def own_virtual_microphone(tmp_path: Path) -> Iterator[VirtualMicrophone]:
    """One for a single test, which may break it; for processes that are given its environment."""
    microphone = start_virtual_microphone(tmp_path / "microphone", 22_050)
    yield microphone
    microphone("stop")
