"""The loop closes: what a running daemon takes for a baby is corrected, swapped in by one line, and heard rightly."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from audiomon.lab.teach.correcting import Correction
from tests.daemon.daemon import Daemon, running_daemon, wait_until
from tests.lab.teach.clips import baby, blender, write

pytestmark = pytest.mark.mic
pytest.importorskip("sklearn", reason="needs the teach extra")

CONFIG = "model: home\nhop_s: 0.1\nmicrophone:\n  device: mic\n"


@pytest.fixture
def folder(tmp_path: Path, home: Path, ten: tuple[Correction, Path]) -> Path:
    """A folder for a daemon that has a model, and that model corrected."""
    for package in (home, ten[1]):
        shutil.copytree(package, tmp_path / "models" / package.name)
    return tmp_path


def turned_on(daemon: Daemon, model: str) -> set[str]:
    """The labels that turned on while a model listened."""
    swaps = [daemon.lines.index(line) for line in daemon.of_kind("model-swapped")]
    lines = daemon.lines[swaps[-1] :] if model == "home2" else daemon.lines[: swaps[0] if swaps else None]
    return {line["label"] for line in lines if line["type"] == "event" and line["state"] == "on"}


def test_what_was_taken_for_a_baby_is_heard_rightly_once_the_corrected_model_is_swapped_in(
    folder, own_virtual_microphone
):
    # None of the ten, and long enough to be heard without a break.
    unseen = write(folder / "blender.wav", np.concatenate([blender(1.5, number) for number in range(20, 23)]))
    crying = write(folder / "baby.wav", baby(3.0, 21))
    with running_daemon(folder, own_virtual_microphone.environment, CONFIG) as daemon:
        daemon.wait_predictions(3)
        own_virtual_microphone("loop", "mic", unseen)
        wait_until(lambda: "baby_cry" in turned_on(daemon, "home"), "the blender taken for a baby")
        daemon.edit(CONFIG.replace("model: home", "model: home2"))
        swapped = daemon.wait_for("model-swapped")
        assert (swapped["model_before"], swapped["model"], swapped["lost"]) == ("home", "home2", 0)
        # Long enough for all that is played to be heard.
        daemon.wait_predictions(60)
        assert turned_on(daemon, "home2") == set()
        own_virtual_microphone("loop", "mic", crying)
        wait_until(lambda: "baby_cry" in turned_on(daemon, "home2"), "the baby")
