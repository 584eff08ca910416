"""The link starts light: what it does not need, it does not load."""

import subprocess
import sys

HEAVY = ("numpy", "soundfile", "sounddevice", "soxr", "ai_edge_litert", "tflite_runtime")


def test_the_link_loads_no_numpy_and_nothing_of_audio():
    script = "import sys, audiomon.cli.link, audiomon.link.process; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "aiohttp" in loaded
    assert not {module.partition(".")[0] for module in loaded} & set(HEAVY)
    assert not {module for module in loaded if module.startswith(("audiomon.audio", "audiomon.pipeline"))}
