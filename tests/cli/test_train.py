"""``audiomon train`` as a user runs it: real TensorFlow, on sounds that are easily told apart."""

import glob
import os
import signal
import subprocess
import sys
import time

import pytest

from audiomon.lab.tensorflow_process import is_installed
from audiomon.models.package import read_package
from tests.cli.command import REPOSITORY
from tests.lab.train.sounds import FEATURES, hiss, write, write_dataset

pytestmark = [pytest.mark.tensorflow, pytest.mark.timeout(600)]

PATIENCE_S = 240
SMALL = [word for feature in FEATURES for word in ("--feature", feature)]
QUICK = [*SMALL, "--folds", r"(\d)-", "--batch", "16", "--epochs", "6", "--windows", "12", "-j", "1"]
PLAIN = [
    "--no-mask",
    "--no-mixup",
    "--no-room",
    "--no-background",
    "--no-speed",
    "--no-shift",
    "--learning-rate",
    "0.02",
]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    if not is_installed():
        pytest.skip("TensorFlow is not installed (the lab extra)")
    return write_dataset(tmp_path_factory.mktemp("train") / "sounds", count=10)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    cache = str(tmp_path_factory.mktemp("cache"))
    return {**os.environ, "XDG_CACHE_HOME": cache, "PYTHONPATH": str(REPOSITORY)}


@pytest.fixture(scope="module")
def audiomon(environment, tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")

    def start(*arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "audiomon", *map(str, arguments)],
            cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(*arguments):
        process = start(*arguments)
        out, err = process.communicate(timeout=PATIENCE_S)
        return process.returncode, out, err

    run.start = start
    run.folder = folder
    return run


@pytest.fixture(scope="module")
def trained(audiomon, sounds):
    status, out, err = audiomon(
        "train", sounds, "-o", "models/mine", *QUICK, *PLAIN, "--license", "CC0", "--decision", "on=0.8"
    )
    assert status == 0, err
    return audiomon.folder / "models" / "mine", out


def test_a_folder_of_recordings_becomes_a_model_that_knows_them(trained, sounds):
    folder, out = trained
    assert "mine: held-out fold 2" in out
    manifest = read_package(folder).manifest
    assert manifest.labels == ("beeps", "hiss", "hum")
    assert manifest.training["clip_accuracy"] >= 0.8
    assert read_package(folder.with_name("mine-int8")).manifest.training["precision"] == "int8"
    # No path of this machine is told.
    assert str(sounds.parent) not in (folder / "model.yaml").read_text() + (folder / "README.md").read_text()


def test_the_card_s_command_makes_its_figures_again(trained, audiomon, sounds):
    _, out = trained
    status, again, err = audiomon("evaluate", "models/mine", sounds, "--held-out")
    assert status == 0, err
    assert again.splitlines()[1:9] == out.splitlines()[1:9]


def test_cross_validation_trains_as_the_model_was_trained(trained, audiomon, sounds):
    status, out, err = audiomon("evaluate", "models/mine", sounds, "--cv", "-j", "2")
    assert status == 0, err
    assert "mine on sounds: 2-fold cross-validation" in out
    assert "mean of 2 folds" in out
    assert "right of 30" in out


def test_after_ctrl_c_the_same_command_goes_on_to_the_same_model(trained, audiomon, sounds, environment, tmp_path):
    checkpoints = os.path.join(environment["XDG_CACHE_HOME"], "audiomon", "training")
    assert os.listdir(checkpoints) == []
    command = ("train", sounds, "-o", tmp_path / "again", *QUICK, *PLAIN)
    process = audiomon.start(*command)
    deadline = time.monotonic() + PATIENCE_S
    while not glob.glob(os.path.join(checkpoints, "*", "backup", "training_metadata.json")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert not (tmp_path / "again").exists()
    status, _, err = audiomon(*command)
    assert status == 0, err
    assert "going on with an interrupted training" in err
    assert os.listdir(checkpoints) == []
    folder, _ = trained
    assert read_package(tmp_path / "again").content == read_package(folder).content


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("absent",), "absent: no such folder"),
        (("sounds", "--network", "huge"), "there is no network 'huge'"),
        (("sounds", "--hold-out", "9"), "--hold-out 9: there is no such fold; there are 1, 2"),
        (("sounds", "--feature", "n_mels=0"), "--feature n_mels: is 0, must be a whole number from 1 to 512"),
        (("sounds", "--feature", "power=1"), "power=2 and log=db"),
        (("sounds", "--decision", "on"), "--decision on: must be KEY=NUMBER, as in on=0.8"),
        (("sounds", "--decision", "on=8"), "--decision on: is 8.0, must be a number from 0 to 1"),
        (("sounds", "--decision", "on=0.1"), "--decision on: every label would turn on at 0.1 and off at 0."),
        (("sounds", "--decision", "loud=1"), "--decision loud: is not a key that is known here"),
        (("sounds", "--false-events-per-hour", "1"), "add --cv"),
        (("sounds", "--teacher-label", "hum=Hum"), "--teacher and --teacher-label go together"),
        (("sounds", "--notes", "absent.md"), "absent.md: cannot be read"),
    ],
)
def test_a_mistake_is_one_clear_line(audiomon, sounds, arguments, message):
    dataset, *rest = arguments
    folder = sounds if dataset == "sounds" else dataset
    status, _, err = audiomon("train", folder, "-o", "models/other", *QUICK, *rest)
    assert status == 2, err
    assert message in err
    assert len(err.strip().splitlines()) == 1, err


def test_a_package_that_is_there_is_not_replaced_unasked(trained, audiomon, sounds):
    status, _, err = audiomon("train", sounds, "-o", "models/mine", *QUICK)
    assert status == 2
    assert "is a model package already; --replace" in err


def test_bad_recordings_are_named_before_anything_is_trained(audiomon, tmp_path):
    folder = write_dataset(tmp_path / "sounds")
    (folder / "hum" / "1-broken.wav").write_bytes(b"no sound")
    write(folder / "hiss" / "1-silent.wav", 0 * hiss(1, 1))
    status, _, err = audiomon("train", folder, "-o", tmp_path / "mine", *QUICK)
    assert status == 2
    assert "hum/1-broken.wav" in err
    assert "hiss/1-silent.wav: is silent" in err
    assert not (tmp_path / "mine").exists()
