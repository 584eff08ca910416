"""What teaching costs a Raspberry Pi: ``python -m tests.instructions.teaching [RECORDINGS --on PACKAGE]``.

Runs `audiomon train RECORDINGS --on PACKAGE` in the emulated arm64 Python with a Raspberry Pi's wheels, counts its
instructions, and measures its memory. Without arguments it teaches a tiny network with sounds that it makes.
"""

import os
import re
import subprocess
import tempfile
import time
import tomllib
from pathlib import Path

import click
import numpy as np
import soundfile

from tests.instructions.emulated import HERE, REPOSITORY, environment, prepare, python, read_marks, wheels
from tests.models.tiny import write_tiny

SOUNDS, CLIPS, SECONDS, RATE = 5, 20, 3.0, 16_000
# A Cortex-A53 as a Pi 3B has it; code that waits for memory, and code that does not.
_CLOCK_HZ, _INSTRUCTIONS_A_CYCLE = 1.2e9, (0.5, 1.0)
# Where qemu-user puts a 64-bit guest's memory; its own is far above.
_GUEST = range(1 << 36, 1 << 39)
_SAMPLE_S = 0.2
_MAPPING = re.compile(rb"(?m)^([0-9a-f]+)-[0-9a-f]+ .*\n(?:.*\n)*?Rss: +(\d+) kB")


def write_clips(folder: Path) -> Path:
    """Write clips of tones: as many as a patient person records."""
    rng = np.random.default_rng(1)
    at = np.arange(round(SECONDS * RATE)) / RATE
    for number in range(SOUNDS):
        for clip in range(CLIPS):
            tone = 0.2 * np.sin(2 * np.pi * (200 * 2**number + 3 * clip) * at)
            path = folder / f"tone{number}" / f"2026010{1 + clip % 2}-100000-{clip:03}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, tone + 0.001 * rng.standard_normal(len(at)), RATE, subtype="PCM_16")
    return folder


def _requirements() -> list[str]:
    """Return what the `teach` extra needs, and what reads and converts recordings."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["optional-dependencies"]["teach"], "soundfile", "soxr"]


def _resident(pid: int) -> tuple[int, int]:
    """Return the memory of an emulator's guest that is in RAM, and with the emulator's own, in kB."""
    try:
        found = _MAPPING.findall(Path(f"/proc/{pid}/smaps").read_bytes())
    except OSError:  # it has ended
        return 0, 0
    guest = sum(int(size) for start, size in found if int(start, 16) in _GUEST)
    return guest, sum(int(size) for _, size in found)


def _run(command: list[str], variables: dict[str, str]) -> tuple[int, int]:
    """Run the emulator, and return the most that `_resident` said."""
    process = subprocess.Popen(command, env=variables, cwd=REPOSITORY)
    guest = both = 0
    while process.poll() is None:
        time.sleep(_SAMPLE_S)
        seen = _resident(process.pid)
        guest, both = max(guest, seen[0]), max(both, seen[1])
    if process.returncode:
        raise click.ClickException(f"the emulated command ends with {process.returncode}")
    return guest, both


@click.command()
@click.argument("recordings", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--on", "base", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Package's folder.")
def teaching(recordings: Path | None, base: Path | None) -> None:
    """Teach a head in an emulated Raspberry Pi, and say what it costs."""
    prepare()
    more = wheels("teach", _requirements())
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        recordings = recordings or write_clips(place / "recordings")
        base = base or write_tiny(place / "tiny")
        # The package's check is a process of its own: this, as the guest starts it.
        child = place / "python"
        child.write_text(f'#!/bin/sh\nexec {" ".join(python())} "$@"\n', encoding="ascii")
        child.chmod(0o755)
        variables = {
            **environment(more), "AUDIOMON_MODELS": str(base.resolve().parent), "XDG_CACHE_HOME": str(place / "cache"),
            "EMULATED_PYTHON": str(child), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        arguments = [str(recordings.resolve()), "-o", str(place / "taught"), "--on", base.resolve().name]
        guest, both = _run([*python(place / "marks"), str(HERE / "workload.py"), "train", *arguments], variables)
        at = read_marks(place / "marks")
    count = at[1] - at[0]
    minutes = [count / _CLOCK_HZ / rate / 60 for rate in reversed(_INSTRUCTIONS_A_CYCLE)]
    click.echo(
        f"memory: {guest / 1024:.0f} MB at most, {both / 1024:.0f} MB with the emulator's own\n"
        f"instructions: {count / 1e9:.1f} G (without the checks of both packages, each a process of its own): "
        f"{minutes[0]:.1f} to {minutes[1]:.1f} minutes of one core at {_CLOCK_HZ / 1e9:g} GHz, "
        f"{_INSTRUCTIONS_A_CYCLE[1]:g} to {_INSTRUCTIONS_A_CYCLE[0]:g} instructions a cycle"
    )


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    teaching()
