"""The data set of ``models/home``: what lies where, and on which side of a split."""

import csv
import shutil

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from audiomon.lab.train.dataset import Split, divide, find_sounds, fold_names
from tests.home_model import dataset as home_dataset

ESC10 = ("baby_cry/1-10-A.ogg", "dog_bark/2-20-A.ogg", "rain/3-30-A.ogg", "rooster/1-40-B.ogg")


@pytest.fixture
def data(tmp_path):
    noise = np.random.default_rng(1).normal(0, 0.1, 8000).astype("float32")
    for name in ESC10:
        path = tmp_path / "data" / "esc10" / name
        path.parent.mkdir(parents=True)
        soundfile.write(path, noise, 8000, format="OGG")
    (tmp_path / "data" / "esc10" / "SOURCE.md").write_text("1. rain by *Some One* ([CC0](x))\n")
    clips = tmp_path / "data" / "speech" / "clips"
    clips.mkdir(parents=True)
    for name in ("one.wav", "two.wav"):
        soundfile.write(clips / name, noise, 8000)
    (clips.parent / "SOURCE.md").write_text("clips,one.wav,a/en,zoe\nclips,two.wav,b/en,amy\n")
    return tmp_path / "data"


@pytest.fixture
def laid_out(data, tmp_path, monkeypatch):
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    monkeypatch.setattr(home_dataset, "_MACHINES", 6)
    monkeypatch.setattr(home_dataset, "_VOICES", 2)
    done = CliRunner().invoke(home_dataset.main, [str(data), str(tmp_path / "home-data")])
    assert done.exit_code == 0, done.output
    return tmp_path / "home-data"


def test_every_recording_has_the_fold_of_its_source_and_made_ones_are_only_learned_from(laid_out):
    with (laid_out / "split.csv").open(newline="") as table:
        folds = {row["file"]: row["fold"] for row in csv.DictReader(table)}
    linked = {name: fold for name, fold in folds.items() if (laid_out / name).is_symlink()}
    assert linked == {
        "baby_cry/1-10-A.ogg": "1",
        "dog_bark/2-20-A.ogg": "2",
        "background/rain-3-30-A.ogg": "3",
        "background/rooster-1-40-B.ogg": "1",
        "speech/one.wav": "2",
        "speech/two.wav": "1",
    }
    made = [name for name in folds if name not in linked]
    assert len(made) == 8
    assert {folds[name] for name in made} == {"train"}


def test_it_is_what_training_reads(laid_out):
    sounds = divide(laid_out, find_sounds(laid_out), Split())
    assert {sound.label for sound in sounds} == {"background", "baby_cry", "dog_bark", "speech"}
    assert fold_names(sounds) == ["1", "2", "3"]


def test_whose_recordings_they_are_is_said(laid_out):
    assert "members of freesound.org: Some One." in (laid_out / "notes.md").read_text()


def test_nothing_is_laid_over_what_is_there(data, tmp_path):
    (tmp_path / "home-data").mkdir()
    done = CliRunner().invoke(home_dataset.main, [str(data), str(tmp_path / "home-data")])
    assert done.exit_code == 2
    assert "is there already" in done.output


def test_a_folder_of_something_else_is_refused_and_leaves_nothing(tmp_path):
    done = CliRunner().invoke(home_dataset.main, [str(tmp_path), str(tmp_path / "home-data")])
    assert done.exit_code == 2
    assert "holds no esc10/CLASS/*.ogg" in done.output
    assert not list(tmp_path.iterdir())
