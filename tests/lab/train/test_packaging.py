"""Packages are written whole with card and pictures, or the old one stays; a network is one file."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from audiomon.errors import ModelError, UserError
from audiomon.lab.evaluate.hearing import hear, unwritten
from audiomon.lab.networks import network, network_names
from audiomon.lab.proof import Answered, Labelled, ProofError, random_windows
from audiomon.lab.train.dataset import Split
from audiomon.lab.train.fitting import Trained
from audiomon.lab.train.loop import Epoch
from audiomon.lab.train.packaging import Result, check_target, manifest_of, write_result
from audiomon.lab.train.preparation import prepare
from audiomon.lab.train.settings import TrainingSettings
from audiomon.models.interpreter import Interpreter, choose_backend
from audiomon.models.package import read_package
from tests.lab.train.sounds import CLASSES, write
from tests.models.tiny import LABELS, LOG_MEL, content

SETTINGS = TrainingSettings(spec=LOG_MEL)


def result(dataset: Path, output: Path, wrong_by: float = 0.0) -> Result:
    """A training that came to the little model of the tests, which was never trained."""
    windows = random_windows((*LOG_MEL.shape, 1), 20)
    interpreter = Interpreter(content("float32"), choose_backend("auto"))
    answered = Answered(windows, np.stack([interpreter.run(window) for window in windows]) + np.float32(wrong_by))
    contents = {"float32": content("float32"), "int8": content("int8")}
    trained = Trained(
        (Epoch(1, 1.5, 0.4, 1.4, 0.5), Epoch(2, 1.0, 0.6, 1.2, 0.6)),
        1234,
        contents,
        {"random": answered},
        Labelled(answered, np.zeros(20, dtype=np.int64)),
    )
    prepared = prepare(dataset, Split(folds=r"(\d)-"), SETTINGS, lambda *_: None)
    classifier = unwritten(manifest_of("trained", prepared.labels, SETTINGS), content("float32"))
    heard = [hear(sound, classifier) for sound in prepared.held("2")]
    return Result(
        output, trained, prepared, SETTINGS, Split(folds=r"(\d)-"), "2", heard, False,
        "audiomon train sounds -o models/mine --folds '(\\d)-'", "Tells four sounds apart.", "CC0", "Thanks to all.",
    )  # fmt: skip


@pytest.fixture
def four(tmp_path):
    """A data set with the labels of the little model."""
    for label, make in zip(LABELS, (*CLASSES.values(), CLASSES["hum"]), strict=True):
        (tmp_path / "sounds" / label).mkdir(parents=True)
        for number in range(6):
            of_its_own = number + (10 if label == LABELS[-1] else 0)
            write(tmp_path / "sounds" / label / f"{1 + number % 2}-{number}.wav", make(1.5, of_its_own))
    return tmp_path / "sounds"


@pytest.fixture
def drawn():
    pytest.importorskip("matplotlib", reason="needs the lab extra")
    pytest.importorskip("sklearn", reason="needs the lab extra")


@pytest.mark.usefixtures("drawn")
def test_a_package_its_int8_sister_a_card_and_pictures_are_written(four, tmp_path):
    written, judgement = write_result(result(four, tmp_path / "models" / "mine"))
    assert [folder.name for folder in written] == ["mine", "mine-int8"]
    for folder in written:
        assert read_package(folder).manifest.labels == tuple(sorted(LABELS))
    card = (tmp_path / "models" / "mine" / "README.md").read_text()
    assert f"**{judgement.clips.accuracy:.1%} of 12 recordings right**" in card
    assert "audiomon train sounds -o models/mine --folds" in card
    assert "audiomon evaluate models/mine sounds --held-out" in card
    assert "CC0\n\nThanks to all." in card
    for picture in re.findall(r"!\[[^]]*\]\(([^)]*)\)", card):
        assert (tmp_path / "models" / "mine" / picture).read_bytes().startswith(b"\x89PNG")
    for label in LABELS:
        assert f"| {label} | 3 |" in card
    assert card.index("| label | heard | how late |") < card.index("recordings right")
    manifest = read_package(tmp_path / "models" / "mine").manifest
    assert manifest.training["clip_accuracy"] == pytest.approx(judgement.clips.accuracy, abs=1e-4)
    assert manifest.decisions.deny == ("background",)


@pytest.mark.usefixtures("drawn")
def test_a_model_that_does_not_answer_as_keras_does_is_not_written(four, tmp_path):
    with pytest.raises(ProofError, match="does not answer as the original does"):
        write_result(result(four, tmp_path / "models" / "mine", wrong_by=0.01))
    assert not (tmp_path / "models").exists()


FULL_DISK = """
import resource, sys
from pathlib import Path
from audiomon.errors import AudiomonError
from audiomon.lab.train.packaging import write_result
from tests.lab.train.test_packaging import result
made = result(Path(sys.argv[1]), Path(sys.argv[2]))
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
try:
    write_result(made)
except AudiomonError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("drawn")
def test_where_nothing_more_fits_the_old_package_stays_whole(four, tmp_path):
    folder = tmp_path / "models" / "mine"
    write_result(result(four, folder))
    before = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
    # The kernel refuses to let any file grow beyond 2 kB, as it does when a disk is full.
    command = [sys.executable, "-c", FULL_DISK, four, folder]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert "mine: cannot be written" in finished.stdout, finished
    assert {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()} == before


def test_a_package_in_the_way_is_refused_before_training(tmp_path):
    (tmp_path / "mine-int8").mkdir()
    (tmp_path / "mine-int8" / "model.yaml").touch()
    with pytest.raises(ModelError, match="mine-int8: is a model package already; --replace"):
        check_target(tmp_path / "mine", replace=False, int8=True)
    check_target(tmp_path / "mine", replace=True, int8=True)


@pytest.mark.parametrize("name", ["-mine", "my model", "ü"])
def test_a_name_that_no_package_can_have_is_refused_before_training(tmp_path, name):
    with pytest.raises(ModelError, match="cannot be a package's name"):
        check_target(tmp_path / name, replace=False, int8=True)


def test_a_network_is_a_file(tmp_path, monkeypatch):
    (tmp_path / "tiny_one.py").write_text("def build(shape, classes):\n    return shape, classes\n")
    monkeypatch.setattr("audiomon.lab.networks.__path__", [str(tmp_path)])
    assert network_names() == ("tiny_one",)
    assert network("tiny_one")((4, 5), 6) == ((4, 5), 6)


def test_an_unknown_network_is_refused_with_those_there_are():
    with pytest.raises(UserError, match="no network 'huge'; there are: compact, seed, wide"):
        network("huge")
