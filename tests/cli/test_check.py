import shutil

import pytest


def test_a_good_configuration_and_model_are_ok(audiomon):
    finished = audiomon("check", "--no-device")
    assert finished.status == 0, finished
    assert [line.split()[:2] for line in finished.out.splitlines()] == [["ok", "config"], ["ok", "model"]]
    assert "self-test passed" in finished.out
    assert "a prediction every 0.320 s (asked: 0.5 s)" in finished.out


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda weights: weights.write_bytes(weights.read_bytes()[:100]), "sha256"),
        (lambda weights: weights.unlink(), "cannot be read"),
        (lambda weights: weights.write_text("text"), "sha256"),
    ],
)
def test_a_damaged_model_is_wrong_and_said_so(audiomon, damage, words):
    copy = audiomon.folder / "damaged"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(audiomon.folder / "models" / "tiny", copy)
    damage(copy / "model.tflite")
    finished = audiomon("check", "--no-device", model="./damaged")
    assert finished.status == 2
    assert finished.out.splitlines()[1].startswith("WRONG   model")
    assert words in finished.out
    assert finished.err == ""


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.yaml", None, "no such file"),
        ("empty.yaml", b"", ""),
        ("binary.yaml", b"\x7fELF\x00\x01", "binary"),
        ("half.yaml", b"model: tiny\ndecisions: {on: 0.", "is not valid YAML"),
        ("folder.yaml", "folder", "is a folder"),
    ],
)
def test_each_wrong_configuration_is_one_line(audiomon, name, content, words):
    path = audiomon.folder / name
    if content == "folder":
        path.mkdir(exist_ok=True)
    elif content is not None:
        path.write_bytes(content)
    finished = audiomon("check", "--no-device", "--config", path)
    first = finished.out.splitlines()[0]
    if words:
        assert finished.status == 2
        assert first.startswith(f"WRONG   config      {path}")
        assert words in first
    else:  # nothing is set: all defaults
        assert first == f"ok      config      {path}"


def test_a_microphone_that_does_not_exist_is_wrong(audiomon):
    finished = audiomon("check", "--device", "no such microphone")
    assert finished.status == 2
    assert finished.out.splitlines()[2].startswith("WRONG   microphone  there is no")
