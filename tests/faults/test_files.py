"""Files that are deleted, cut short or replaced under a running daemon: the old state goes on, and it is said."""

import os
import shutil

import pytest

from audiomon.models.interpreter import installed_backends
from tests.daemon.daemon import running_daemon, wait_until
from tests.faults import CONFIG
from tests.models.test_checking_process import DAMAGED_OFFSET
from tests.models.tiny import content, replace_weights

pytestmark = pytest.mark.mic


def cut_short(path):
    """In place, as a copy that ends halfway does: whoever has mapped the file into memory would crash now."""
    with path.open("r+b") as file:
        file.truncate(100)


def test_a_configuration_or_a_model_that_goes_changes_nothing_that_runs(folder, own_virtual_microphone):
    model = folder / "models" / "float32"
    kept = shutil.copytree(model, folder / "kept")
    with running_daemon(folder, own_virtual_microphone.environment, CONFIG) as daemon:
        daemon.wait_predictions(3)
        daemon.config.unlink()
        assert daemon.reload().returncode == 1
        refused = daemon.wait_for("swap-refused")
        assert (refused["file"], refused["reason"]) == (str(daemon.config), "no such file")
        daemon.edit(CONFIG)
        assert daemon.reload().returncode == 0

        cut_short(model / "model.tflite")
        daemon.wait_for("swap-refused", 2)
        daemon.wait_predictions(3)
        shutil.rmtree(model)
        assert daemon.reload().returncode == 1
        daemon.wait_predictions(3)
        assert daemon.predictions()[-1]["model"] == "float32"

        shutil.copytree(kept, model)
        assert daemon.reload().returncode == 0
        daemon.edit(CONFIG.replace("0.1", "0.2"))
        daemon.wait_for("config-applied")
        assert sum(line["lost"] for line in daemon.predictions()) == 0
        assert daemon.of_kind("device-lost") == []


def test_a_runtime_folder_that_cannot_be_written_is_said_and_no_reason_to_stop(folder, own_virtual_microphone):
    # A full disk, on any machine and as any user: what is written ends up in /dev/full.
    (folder / "runtime").mkdir()
    (folder / "runtime" / ".status.json").symlink_to("/dev/full")
    with running_daemon(folder, own_virtual_microphone.environment, CONFIG) as daemon:
        daemon.wait_predictions(3)
        said = daemon.wait_for("unwritable")
        assert "No space left on device" in said["message"]
        assert said["severity"] == "warning"
        (folder / "runtime" / ".status.json").unlink(missing_ok=True)
        daemon.wait_for("writable")
        assert len(daemon.of_kind("unwritable")) == 1
        wait_until(lambda: os.path.getsize(folder / "runtime" / "status.json"), "a status")


@pytest.mark.skipif("tflite-runtime" not in installed_backends(), reason="LiteRT refuses what crashes its predecessor")
def test_a_model_that_crashes_the_interpreter_is_refused_and_the_daemon_untouched(folder, own_virtual_microphone):
    damaged = bytearray(content("float32"))
    damaged[DAMAGED_OFFSET] = 255
    replace_weights(folder / "models" / "float16", bytes(damaged))
    with running_daemon(folder, own_virtual_microphone.environment, CONFIG) as daemon:
        daemon.wait_predictions(3)
        daemon.edit("interpreter: tflite-runtime\n" + CONFIG.replace("float32", "float16"))
        assert "crashes tflite-runtime (SIGSEGV)" in daemon.wait_for("swap-refused")["reason"]
        daemon.wait_predictions(3)
        assert daemon.predictions()[-1]["model"] == "float32"
        assert sum(line["lost"] for line in daemon.predictions()) == 0
