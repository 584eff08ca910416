"""For the whole suite: the virtual microphone, and examples that may take their time."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from audiomon.audio.microphone import refresh_devices
from audiomon.errors import DeviceError

# A busy machine is not a fault of what is tested.
hypothesis.settings.register_profile("audiomon", deadline=None)
hypothesis.settings.load_profile("audiomon")

SCRIPT = Path(__file__).with_name("virtual_microphone.sh")
PROGRAMS = ("pulseaudio", "pactl", "paplay")


@dataclass(frozen=True)
class VirtualMicrophone:
    """A running sound server; see the head of ``virtual_microphone.sh``.

    Attributes:
        folder: where it lives.
        sample_rate: its own, in Hz; anything else is converted by the server.
        environment: what a capturing process needs besides its own environment.
    """

    folder: Path
    sample_rate: int
    environment: dict[str, str]

    def __call__(self, command: str, *arguments: object) -> None:
        """Run one of the script's commands."""
        subprocess.run([SCRIPT, command, self.folder, *map(str, arguments)], check=True, timeout=120)

    def playing(self, sink: str, wav: Path) -> "subprocess.Popen[bytes]":
        """Play in the background."""
        return subprocess.Popen([SCRIPT, "play", self.folder, sink, wav])


def start_virtual_microphone(folder: Path, sample_rate: int, *sinks: str) -> VirtualMicrophone:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"no virtual microphone without {', '.join(missing)} (apt install pulseaudio pulseaudio-utils)")
    subprocess.run([SCRIPT, "start", folder, str(sample_rate), *sinks], check=True, timeout=120, stdout=subprocess.PIPE)
    environment = {"ALSA_CONFIG_PATH": str(folder / "asoundrc"), "PULSE_SERVER": f"unix:{folder / 'socket'}"}
    return VirtualMicrophone(folder, sample_rate, environment)


@pytest.fixture(scope="session")
def running_virtual_microphone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualMicrophone]:
    microphone = start_virtual_microphone(tmp_path_factory.mktemp("microphone"), 22_050, "mic", "stereo")
    yield microphone
    microphone("stop")


@pytest.fixture
def virtual_microphone(
    running_virtual_microphone: VirtualMicrophone, monkeypatch: pytest.MonkeyPatch
) -> VirtualMicrophone:
    """One at 22 050 Hz that this process can capture from; shared by all tests, to be left running and silent."""
    for name, value in running_virtual_microphone.environment.items():
        monkeypatch.setenv(name, value)
    try:
        refresh_devices()
    except DeviceError as error:
        pytest.skip(str(error))
    return running_virtual_microphone


@pytest.fixture
def own_virtual_microphone(tmp_path: Path) -> Iterator[VirtualMicrophone]:
    """One at 22 050 Hz for a single test, which may break it; for processes that are given its environment."""
    microphone = start_virtual_microphone(tmp_path / "microphone", 22_050, "mic")
    yield microphone
    microphone("stop")
