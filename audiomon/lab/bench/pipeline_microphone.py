"""The microphone to measure on: one that is named, or a virtual one of PulseAudio's with sound playing into it."""

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audiomon.errors import AudiomonError
from audiomon.lab.bench.pipeline_processes import CHECKOUT
from audiomon.lab.bench.pipeline_sounds import varied_sound, write_wav

_SCRIPT = CHECKOUT / "tests" / "virtual_microphone.sh"
_SOUND_S = 21


def virtual_microphone_missing() -> str:
    """Say what a virtual microphone lacks here, or nothing."""
    if not _SCRIPT.exists():
        return f"{_SCRIPT} is not there"
    missing = [tool for tool in ("pulseaudio", "pactl", "paplay") if shutil.which(tool) is None]
    return f"{', '.join(missing)} not installed" if missing else ""


@contextmanager
def virtual_microphone(sample_rate: int) -> Iterator[tuple[str, dict[str, str]]]:
    """Start a virtual microphone and play varied sound into it; stop both afterwards.

    Args:
        sample_rate: its own, in Hz: the model's, so that nobody resamples.

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
