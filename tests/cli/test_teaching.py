"""``audiomon train --on`` as a user runs it, where there is no TensorFlow."""

import os
import subprocess
import sys

import pytest
import soundfile

from audiomon.models.package import read_package
from tests.cli.command import REPOSITORY, Finished
from tests.lab.teach.clips import hum, write, write_clips

pytest.importorskip("sklearn", reason="needs the teach extra")

# What a Pi does not have. A module that is None in sys.modules cannot be imported.
WITHOUT = "import sys; sys.modules.update(dict.fromkeys(['tensorflow', 'keras', 'tf_keras', 'librosa', 'matplotlib']))"
PATIENCE_S = 240

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def clips(audiomon):
    return write_clips(audiomon.folder / "clips")


@pytest.fixture(scope="module")
def command(audiomon, tmp_path_factory):
    environment = {**audiomon.environment, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}

    def run(*arguments):
        script = f"{WITHOUT}; from audiomon.cli import main; main()"
        process = subprocess.run(
            [sys.executable, "-c", script, *map(str, arguments)],
            cwd=audiomon.folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_S,
        )  # fmt: skip
        return Finished(process.returncode, process.stdout, process.stderr)

    return run


@pytest.fixture(scope="module")
def taught(command, clips):
    return command("train", clips, "-o", "models/mine", "--on", "tiny", "--license", "CC0", "--decision", "on=0.5")


def test_clips_become_a_package_with_a_card_and_the_command_that_made_it(taught, audiomon):
    assert taught.status == 0, taught.err
    assert "models/mine: 4-fold cross-validation" in taught.out
    assert "models/mine: written; the fused model answers as tiny with its head, within" in taught.out
    package = read_package(audiomon.folder / "models" / "mine")
    assert package.manifest.labels == ("background", "hum", "whistle")
    card = (audiomon.folder / "models" / "mine" / "README.md").read_text(encoding="utf-8")
    assert "    audiomon train clips -o models/mine --on tiny --decision on=0.5" in card
    assert "    audiomon evaluate models/mine clips --cv" in card
    assert str(audiomon.folder) not in card


def test_the_card_s_command_makes_its_figures_again(taught, command, clips):
    again = command("evaluate", "models/mine", clips, "--cv")
    assert again.status == 0, again.err
    assert again.out.splitlines()[1:4] == taught.out.splitlines()[1:4]


def test_its_mistakes_can_be_cut_out(taught, command, audiomon, clips, tmp_path):
    # Hums that are called whistles.
    for path in sorted((clips / "hum").iterdir())[:2]:
        write(tmp_path / "wrong" / "whistle" / path.name, soundfile.read(path)[0])
    said = command("evaluate", "models/mine", tmp_path / "wrong", "--export-mistakes", tmp_path / "mistakes")
    assert said.status == 0, said.err
    assert list((tmp_path / "mistakes" / "whistle").glob("*-taken-for-*.flac"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--on", "absent"), "there is no model 'absent'"),
        (("--on", "tiny", "--embedding", "wide"), "has no tensor 'wide' that could be an embedding"),
        (("--on", "tiny", "--epochs", "5"), "--epochs: is about training a whole network; it goes without --on"),
        (("--on", "tiny", "--cv", "--hold-out", "1"), "--cv holds out one fold after another"),
        (("--on", "tiny", "--decision", "on"), "--decision on: must be KEY=NUMBER"),
        (("--on", "tiny", "--background", "models"), "models: holds no audio"),
        (("--many",), "--many: goes with --on MODEL"),
    ],
)
def test_a_mistake_is_one_clear_line(command, clips, arguments, message):
    assert message in command("train", clips, "-o", "models/other", *arguments).refused()


def test_a_package_that_is_there_is_not_replaced_unasked(taught, command, clips):
    assert (
        "is a model package already; --replace"
        in command("train", clips, "-o", "models/mine", "--on", "tiny").refused()
    )


def test_bad_clips_are_named_before_anything_is_written(command, audiomon, tmp_path):
    folder = write_clips(tmp_path / "clips")
    write(folder / "hum" / "short.wav", hum(0.1, 1))
    said = command("train", folder, "-o", "models/bad", "--on", "tiny").refused()
    assert "hum/short.wav: lasts 0.10 s, less than one window" in said
    assert not (audiomon.folder / "models" / "bad").exists()


def test_without_scikit_learn_it_says_how_to_get_it(command, audiomon, clips):
    script = "import sys; sys.modules['sklearn'] = None; from audiomon.cli import main; main()"
    process = subprocess.run(
        [sys.executable, "-c", script, "train", str(clips), "-o", "models/other", "--on", "tiny"],
        cwd=audiomon.folder, env={**os.environ, **audiomon.environment, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip
    said = Finished(process.returncode, process.stdout, process.stderr).refused()
    assert "--on needs scikit-learn, which is not installed" in said
    assert "[teach]" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--epochs", "3"), "--epochs: goes without --from"),
        (("--on", "tiny"), "--on: goes without --from"),
    ],
)
def test_a_correction_keeps_the_model_and_so_goes_without_what_makes_another(command, clips, arguments, message):
    assert message in command("train", clips, "-o", "models/home2", "--from", "tiny", *arguments).refused()


def test_clips_of_a_label_that_the_model_has_not_correct_nothing(command, clips):
    said = command("train", clips, "-o", "models/home2", "--from", "tiny").refused()
    assert "clips/hum: the model has no label 'hum'; it has background, baby_cry, dog_bark, speech" in said
