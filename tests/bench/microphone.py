"""The microphone to measure on: one that is named, or a virtual one of PulseAudio's with sound playing into it."""

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import click

from audiomon.errors import AudiomonError, UserError
from audiomon.lab.bench.pipeline.sounds import varied_sound, write_wav
from audiomon.models.package import read_package

_SCRIPT = Path(__file__).resolve().parents[1] / "virtual_microphone.sh"
_SOUND_S = 21

device_option = click.option(
    "-d", "--device", help="Microphone; otherwise a virtual one, where PulseAudio is installed."
)
hop_option = click.option(
    "--hop",
    "hop_s",
    type=click.FloatRange(0.01, 60),
    default=0.5,
    show_default=True,
    help="Seconds between predictions.",
)


def microphone(device: str | None, package: Path) -> AbstractContextManager[tuple[str, dict[str, str]]]:
    """Return a context with the device's name and the environment variables that find it.

    Args:
        device: a real one, or None for a virtual one at the rate of the model.
        package: folder of the model.

    Raises:
        UserError: there can be no virtual one here.
    """
    if device is not None:
        return nullcontext((device, {}))
    if missing := virtual_microphone_missing():
        raise UserError(f"no virtual microphone: {missing}; name a real one with --device")
    return virtual_microphone(read_package(package).manifest.input.sample_rate)


def virtual_microphone_missing() -> str:
    """Say what a virtual microphone lacks here, or nothing."""
    missing = [tool for tool in ("pulseaudio", "pactl", "paplay") if shutil.which(tool) is None]
    return f"{', '.join(missing)} not installed" if missing else ""


@contextmanager
def virtual_microphone(sample_rate: int) -> Iterator[tuple[str, dict[str, str]]]:
    """Start a virtual microphone and play varied sound into it; stop both afterwards.

    Args:
        sample_rate: its own, in Hz: the model's, so that nothing is resampled.

    Yields:
        Its device's name, and the environment variables that a process needs to find it.

    Raises:
        AudiomonError: it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="audiomon-bench-") as folder:
        sound = Path(folder) / "sound.wav"
        write_wav(sound, varied_sound(_SOUND_S, sample_rate), sample_rate)
        try:
            exports = _script("start", folder, str(sample_rate))
            found = dict(part.split("=", 1) for part in shlex.split(exports) if "=" in part)
            _script("loop", folder, "mic", str(sound))
            yield "mic", found
        finally:
            _script("stop", folder)


def _script(*arguments: str) -> str:
    done = subprocess.run(["bash", str(_SCRIPT), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AudiomonError(f"the virtual microphone does not {arguments[0]}: {(done.stdout + done.stderr).strip()}")
    return done.stdout
