"""A model that takes a blender for a baby, corrected by what it heard wrongly: it is right, and knows what it knew."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from audiomon.config import Decisions, decision_rules
from audiomon.errors import InputError, UserError
from audiomon.lab.evaluate.hearing import hear, unwritten
from audiomon.lab.teach.correcting import Correction, correct, figures, open_correctable, write_corrected
from audiomon.lab.teach.teaching import Base
from audiomon.lab.train.dataset import Sound, Split
from audiomon.models.package import read_package
from tests.lab.teach.clips import WORDS, baby, blender, hiss, hum, recordings, write

pytest.importorskip("sklearn", reason="needs the teach extra")
pytestmark = pytest.mark.slow


@pytest.fixture
def opened(home) -> Base:
    return open_correctable(str(home))


def corrected(base: Base, folder: Path, **options) -> Correction:
    return correct(base, folder, Split(), lambda *_: None, generated=44, **options)


def reports(package: Path, clip: Path) -> set[str]:
    """What the daemon would report of a clip."""
    read = read_package(package)
    manifest = read.manifest
    rules = decision_rules(manifest.labels, manifest.decisions, Decisions())
    heard = hear(Sound(clip, clip.name, "background"), unwritten(manifest, read.content), rules)
    return {event.label for event in heard.events}


def share_right(package: Path, folder: Path) -> float:
    """Of a test set, the share that is reported as what it is."""
    paths = sorted(folder.glob("*/*.wav"))
    right = [reports(package, path) == {path.parent.name} - {"background"} for path in paths]
    return sum(right) / len(right)


def test_ten_reviewed_clips_end_a_confusion_and_the_old_test_set_is_heard_as_before(home, ten, tmp_path):
    unseen = recordings(tmp_path / "unseen", range(20, 25), background=blender)
    old = recordings(tmp_path / "old", range(1, 16, 2), baby_cry=baby, hum=hum, background=hiss)
    assert all("baby_cry" in reports(home, path) for path in sorted((unseen / "background").iterdir()))
    before = share_right(home, old)
    assert before >= 0.9
    correction, home2 = ten
    assert (correction.before, correction.after, correction.learned) == (0, 10, 10)
    assert share_right(home2, unseen) == 1
    assert share_right(home2, old) >= before - 0.01


def test_what_is_written_says_where_it_comes_from_and_is_corrected_from_there_again(home, opened, tmp_path):
    folder = recordings(tmp_path / "recordings", range(4), background=blender, baby_cry=baby)
    shutil.copy(next((folder / "baby_cry").iterdir()), home / "sample.wav")
    write_corrected(tmp_path / "home2", corrected(opened, folder), WORDS)
    (home / "sample.wav").unlink()
    package = read_package(tmp_path / "home2")
    base = opened.package.manifest
    assert package.manifest.labels == base.labels
    assert package.manifest.decisions == base.decisions
    assert package.manifest.training["corrected_from"] == "home"
    assert package.manifest.training["base_sha256"] == base.sha256
    assert package.manifest.license == f"{base.license}; the recordings it was corrected with: CC0"
    assert (tmp_path / "home2" / "sample.wav").exists()
    card = (tmp_path / "home2" / "README.md").read_text(encoding="utf-8")
    assert "background 4" in card
    assert str(tmp_path) not in card + (tmp_path / "home2" / "model.yaml").read_text(encoding="utf-8")
    with pytest.raises(UserError, match=r"is home, corrected: correct home with the recordings of then and now"):
        open_correctable(str(tmp_path / "home2"))


def test_the_written_model_is_the_old_one_bit_for_bit_where_no_exception_is_near(opened, tmp_path):
    correction = corrected(opened, recordings(tmp_path / "recordings", range(4), background=blender))
    write_corrected(tmp_path / "home2", correction, WORDS)
    old, new = (
        unwritten(package.manifest, package.content) for package in (opened.package, read_package(tmp_path / "home2"))
    )
    clip = write(tmp_path / "hum.wav", hum(1.5, 3))
    scores = [hear(Sound(clip, "hum.wav", "hum"), one, decision_rules(one.labels, Decisions(), Decisions())).scores
              for one in (old, new)]  # fmt: skip
    np.testing.assert_array_equal(*scores)


def test_one_recording_is_enough_and_is_said_not_to_be_judged(opened, tmp_path):
    correction = corrected(opened, recordings(tmp_path / "recordings", range(1), background=blender))
    assert correction.after is None
    assert "0 of 1 before, 1 after; with one source, none could be judged that it had not heard" in figures(correction)


def test_recordings_of_a_label_that_the_model_has_not_are_refused(opened, tmp_path):
    recordings(tmp_path / "recordings", range(2), doorbell=blender)
    with pytest.raises(
        InputError, match=r"doorbell: the model has no label 'doorbell'; it has .*--on` teaches new ones"
    ):
        corrected(opened, tmp_path / "recordings")


def test_recordings_that_are_heard_rightly_correct_nothing(opened, tmp_path):
    with pytest.raises(InputError, match=r"home hears all 3 recordings rightly already"):
        corrected(opened, recordings(tmp_path / "recordings", range(3), hum=hum))


def test_silence_and_damage_are_named_or_left_out(opened, tmp_path):
    folder = recordings(tmp_path / "recordings", range(2), background=blender)
    (folder / "background" / "damaged.wav").write_bytes(b"RIFF no sound")
    with pytest.raises(InputError, match=r"damaged\.wav"):
        corrected(opened, folder)
    assert list(corrected(opened, folder, skip_bad=True).left_out) == ["background/damaged.wav"]
