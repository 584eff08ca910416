"""Reading a model package: what is wrong with it is one line, with the file and the line in it."""

import os
import re
import threading
from pathlib import Path

import pytest

from audiomon.errors import AudiomonError, ConfigError, ModelError
from audiomon.models.importing.write import write_package
from audiomon.models.package import (
    find_package,
    installed_packages,
    package_file,
    package_locked,
    read_manifest,
    read_package,
)
from tests.models.tiny import LABELS, LOG_MEL, content, manifest, replace_in_manifest, write_tiny


def refusal(folder: Path) -> str:
    """What is said about a package, without its folder."""
    with pytest.raises((ConfigError, ModelError)) as caught:
        read_package(folder)
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith(str(folder))
    return message.removeprefix(str(folder))


def line_of(folder: Path, start: str) -> int:
    lines = (folder / "model.yaml").read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.startswith(start))


def test_a_package_says_what_it_is(folder):
    package = read_package(folder)
    assert package.manifest.name == "tiny"
    assert package.manifest.labels == LABELS
    assert package.manifest.input == LOG_MEL
    assert package.content == content("float32")
    assert package.weights == folder / "model.tflite"


def test_a_folder_without_a_manifest_is_no_package(tmp_path):
    assert refusal(tmp_path) == ": is not a model package: it has no model.yaml"


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    assert refusal(tmp_path / "none") == ": cannot be read: No such file or directory"
    with pytest.raises(ModelError, match="is not a model package"):
        read_manifest(tmp_path / "none")


def test_a_file_is_no_package(folder):
    assert refusal(folder / "model.tflite") == ": cannot be read: Not a directory"


def test_a_package_of_another_user_is_refused(folder):
    folder.chmod(0)
    if os.geteuid() == 0:
        os.seteuid(65534)  # nobody: to root no file is forbidden
    try:
        assert refusal(folder) == ": cannot be read: Permission denied"
    finally:
        os.seteuid(os.getuid())


def test_a_missing_model_is_named(folder):
    (folder / "model.tflite").unlink()
    assert refusal(folder) == "/model.tflite: cannot be read: No such file or directory"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_model_that_is_not_a_file_is_refused_and_not_waited_for(folder, make):
    (folder / "model.tflite").unlink()
    make(folder / "model.tflite")
    assert refusal(folder) == "/model.tflite: is not a file"


def test_a_model_of_a_size_beyond_reason_is_refused_unread(folder):
    os.truncate(folder / "model.tflite", (64 << 20) + 1)
    assert refusal(folder) == "/model.tflite: is larger than 64 MiB"


@pytest.mark.parametrize("damage", ["one bit", "truncated", "empty"])
def test_a_damaged_model_has_another_checksum(folder, damage):
    whole = bytearray(content("float32"))
    whole[3000] ^= 1
    damaged = {"one bit": bytes(whole), "truncated": content("float32")[:-1], "empty": b""}[damage]
    (folder / "model.tflite").write_bytes(damaged)
    line = line_of(folder, "sha256:")
    assert re.fullmatch(
        rf"/model\.yaml:{line}: sha256: model\.tflite has the checksum [0-9a-f]{{12}}…, not [0-9a-f]{{12}}…: "
        r"it is damaged or belongs to another manifest",
        refusal(folder),
    )


@pytest.mark.parametrize("name", ["model.tflite", "model.yaml", "sample.flac"])
@pytest.mark.parametrize("how", ["absolute", "upwards", "through a link inside", "through a folder"])
def test_a_link_in_a_package_that_leads_out_of_it_is_refused_unread(folder, tmp_path, name, how):
    outside = tmp_path / "outside" / "secret"
    outside.parent.mkdir()
    outside.write_text("what: nobody is to read", encoding="utf-8")
    (folder / name).unlink(missing_ok=True)
    match how:
        case "absolute":
            (folder / name).symlink_to(outside)
        case "upwards":
            (folder / name).symlink_to("../outside/secret")
        case "through a link inside":
            (folder / "step").symlink_to(outside)
            (folder / name).symlink_to("step")
        case _:
            (folder / "parts").symlink_to(outside.parent)
            (folder / name).symlink_to("parts/secret")
    with pytest.raises(ModelError) as caught:
        package_file(folder, name)
    assert str(caught.value) == (
        f"{folder}/{name}: is a link that leads out of its package, to {outside}; put the file itself there"
    )
    if name != "sample.flac":
        with pytest.raises(ModelError, match="leads out of its package"):
            read_package(folder)


def test_links_in_a_circle_are_not_followed_for_ever(folder):
    (folder / "model.tflite").unlink()
    (folder / "model.tflite").symlink_to("again")
    (folder / "again").symlink_to("model.tflite")
    assert refusal(folder).startswith("/model.tflite: ")


def test_a_link_within_a_package_and_a_link_to_a_package_are_followed(folder, tmp_path):
    (folder / "model.tflite").rename(folder / "second-try.tflite")
    (folder / "model.tflite").symlink_to("second-try.tflite")
    (tmp_path / "current").symlink_to(folder)
    assert read_package(tmp_path / "current").content == content("float32")


@pytest.mark.parametrize(
    ("old", "new", "start", "said"),
    [
        ("labels:", "lables:", "lables:", "lables: is not a key that is known here; did you mean labels?"),
        ("license: MIT\n", "", None, "license is missing"),
        ("format: 1", "format: 2", "format:", "format: is 2, must be one of 1"),
        ("name: tiny", "name: ../tiny", "name:", "name: is '../tiny', must be text that matches ^[A-Za-z0-9]"),
        ("sha256: ", "sha256: X", "sha256:", "sha256: is 'X"),
        (", speech]", ', "a\\nb"]', "labels:", "labels[3]: 'a\\nb' is not plain text"),
        (", speech]", "]", None, "self_test[0].expected: silence expects 4 scores, there are 3 labels"),
        (", speech]", ", baby_cry]", "labels:", "labels: baby_cry is there more than once"),
        ("kind: log-mel", "kind: mfcc", "  kind:", "input.kind: is 'mfcc', must be one of log-mel, waveform"),
        (
            "  n_mels: 16",
            "  n_mel: 16",
            "  n_mel:",
            "input.n_mel: is not a key that is known here; did you mean n_mels",
        ),
        ("  n_mels: 16", "  samples: 16", "  samples:", "input.samples: is not a key that is known here; "),
        ("  n_mels: 16", "  n_mels: 0", "  n_mels:", "input.n_mels: is 0, must be a whole number from 1 to 512"),
        (
            "  n_fft: 512",
            "  n_fft: 128",
            "  hop_length:",
            "input.hop_length: must be at most n_fft (128): what lies between two frames would go unheard",
        ),
        ("  center: false", "  center: true", "  center:", "input.center: true is not supported: a live stream has no"),
        ("  fmax: null", "  fmax: 9000", "  fmax:", "input.fmax: must lie above fmin (0 Hz) and at or below half the "),
        ("activation: softmax", "activation: relu", "output:", "output.activation: is 'relu', must be one of softmax,"),
        (
            "deny: [background]",
            "deny: [silence]",
            "  deny:",
            "decisions.deny[0]: the model has no label 'silence'",
        ),
        ("signal: noise", "signal: music", None, "self_test[1].signal: is 'music', must be one of silence, noise, "),
        ("training: {}", "training: []", "training:", "training: is an empty list, must be `key: value` lines"),
    ],
)
def test_a_mistake_in_the_manifest_is_said_with_its_line(folder, old, new, start, said):
    replace_in_manifest(folder, old, new)
    message = refusal(folder)
    line = line_of(folder, start) if start else "[0-9]+"
    assert re.match(rf"/model\.yaml:{line}: {re.escape(said)}", message), message


def test_a_name_is_looked_for_in_every_folder_in_order(tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    write_tiny(second / "tiny")
    write_tiny(second / "other")
    monkeypatch.setenv("AUDIOMON_MODELS", f"{first}::{second}")
    assert find_package("tiny", tmp_path) == second / "tiny"
    write_tiny(first / "tiny")
    assert find_package("tiny", tmp_path) == first / "tiny"
    assert installed_packages()[:3] == [first / "tiny", second / "other", second / "tiny"]


def test_a_name_that_is_not_there_lists_those_that_are(tmp_path, monkeypatch):
    write_tiny(tmp_path / "tiny")
    monkeypatch.setenv("AUDIOMON_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match=r"^there is no model 'tinny'; there are: .*tiny"):
        find_package("tinny", tmp_path)


def test_a_name_with_a_slash_is_a_path_from_where_it_was_written(tmp_path, monkeypatch):
    folder = write_tiny(tmp_path / "models" / "tiny")
    (tmp_path / "config").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("../models/tiny", str(folder), "~/models/tiny", "../models/./tiny/"):
        assert find_package(name, tmp_path / "config") == folder
    with pytest.raises(ModelError, match=f"^{tmp_path}/none: no such folder$"):
        find_package("../none", tmp_path / "config")


@pytest.mark.parametrize("name", ["a" * 300, "a\0b", "a/\0b", "/" + "a" * 300, "~nobody-of-that-name/x", "x/" * 3000])
def test_a_name_that_no_folder_can_have_is_one_line(name, tmp_path):
    with pytest.raises(ModelError) as caught:
        find_package(name, tmp_path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_dots_are_paths_too_and_no_way_out_of_the_models_folder(tmp_path, monkeypatch):
    (tmp_path / "model.yaml").touch()
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("AUDIOMON_MODELS", str(tmp_path / "models"))
    assert find_package("..", tmp_path / "models") == tmp_path
    assert find_package(".", tmp_path / "models") == tmp_path / "models"


def test_a_reader_never_meets_half_of_one_package_and_half_of_another(tmp_path):
    folder, other = write_tiny(tmp_path / "tiny"), write_tiny(tmp_path / "other", "sigmoid")
    files = [
        {name: (package / name).read_bytes() for name in ("model.tflite", "model.yaml")} for package in (folder, other)
    ]
    stop = threading.Event()

    def exchange() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            with package_locked(folder, writing=True):
                for name, written in files[turn % 2].items():
                    (tmp_path / name).write_bytes(written)
                    os.replace(tmp_path / name, folder / name)

    writer = threading.Thread(target=exchange)
    writer.start()
    try:
        activations = {read_package(folder).manifest.output.activation for _ in range(100)}
    finally:
        stop.set()
        writer.join(10)
    assert activations == {"softmax", "sigmoid"}


def test_a_package_that_fails_its_check_leaves_the_old_one_whole(folder):
    (folder / "sample.wav").write_bytes(b"a recording")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for model in ("two_inputs", "words", "logits"):  # the last one's manifest says softmax
        with pytest.raises(AudiomonError) as caught:
            write_package(folder, content(model), manifest("float32"), "# New\n")
        assert str(caught.value).startswith(str(folder))
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


def test_a_new_version_replaces_the_old_one_and_leaves_what_else_is_there(folder):
    (folder / "sample.wav").write_bytes(b"a recording")
    write_package(folder, content("sigmoid"), manifest("sigmoid"), "# New\n")
    assert read_package(folder).content == content("sigmoid")
    assert (folder / "README.md").read_text(encoding="utf-8") == "# New\n"
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "model.tflite", "model.yaml", "sample.wav"]


def test_a_place_that_cannot_be_written_is_one_line(folder):
    with pytest.raises(ModelError, match=r"/model\.tflite/new: cannot be written: "):
        write_package(folder / "model.tflite" / "new", content("float32"), manifest(), "# New\n")
