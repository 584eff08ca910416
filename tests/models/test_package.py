"""Reading a model package: what is wrong with it is one line, with the file and the line in it."""

import itertools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from audiomon.config import read_document
from audiomon.errors import AudiomonError, ConfigError, ModelError
from audiomon.models import package as package_module
from audiomon.models.importing.write import write_package
from audiomon.models.package import (
    find_package,
    installed_packages,
    package_file,
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


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_manifest_that_is_not_a_file_is_refused_and_not_waited_for(folder, make):
    (folder / "model.yaml").unlink()
    make(folder / "model.yaml")
    assert refusal(folder) == "/model.yaml: is not a file"


def test_a_manifest_of_a_size_beyond_reason_is_refused_unread(folder):
    os.truncate(folder / "model.yaml", (1 << 20) + 1)
    assert refusal(folder) == "/model.yaml: is larger than 1 MiB"


def test_a_name_with_a_line_break_is_refused(folder):
    replace_in_manifest(folder, "\nname: tiny\n", '\nname: "tiny\\n"\n')
    assert "name: is 'tiny\\n', must be text that matches" in refusal(folder)


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
@pytest.mark.parametrize("target", ["absolute", "upwards", "inside", "circle", "nowhere"])
def test_no_link_in_a_package_is_followed(folder, tmp_path, name, target):
    (tmp_path / "secret").write_text("what: nobody is to read", encoding="utf-8")
    (folder / "inside").write_bytes(content("float32"))
    (folder / name).unlink(missing_ok=True)
    targets = {"absolute": tmp_path / "secret", "upwards": "../secret", "circle": name}
    (folder / name).symlink_to(targets.get(target, target))
    said = f"{folder}/{name}: is a link, which a package may not hold; put the file itself there"
    with pytest.raises(ModelError) as caught:
        package_file(folder, name) if name == "sample.flac" else read_package(folder)
    assert str(caught.value) == said


def test_a_link_to_a_package_is_followed(folder, tmp_path):
    (tmp_path / "current").symlink_to(folder)
    assert read_package(tmp_path / "current").content == content("float32")


@pytest.mark.parametrize("name", ["model.tflite", "model.yaml"])
def test_a_file_that_turns_into_a_link_and_back_never_has_the_links_target_read(folder, tmp_path, name):
    (tmp_path / "secret").write_text("secret: nobody is to read", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "file").write_bytes((folder / name).read_bytes())
    said = set()
    with exchanging(folder / name, tmp_path / "link", tmp_path / "file"):
        for _ in range(300):
            try:
                said.add(read_package(folder).manifest.name)
            except AudiomonError as error:
                said.add(str(error))
    assert said == {"tiny", f"{folder / name}: is a link, which a package may not hold; put the file itself there"}


def test_a_folder_that_becomes_another_while_it_is_read_is_read_to_the_end(folder, tmp_path, monkeypatch):
    write_tiny(tmp_path / "tiny-2", "sigmoid")

    def read_document_then_exchange(path, content):
        monkeypatch.undo()
        folder.rename(tmp_path / "away")
        (tmp_path / "tiny-2").rename(folder)
        return read_document(path, content)

    monkeypatch.setattr(package_module, "read_document", read_document_then_exchange)
    assert read_package(folder).content == content("float32")
    assert read_package(folder).content == content("sigmoid")


@contextmanager
def exchanging(path: Path, *others: Path) -> Iterator[None]:
    """Have a file be each of others in turn, as fast as possible."""
    stop = threading.Event()

    def exchange() -> None:
        for turn in itertools.cycle(others):
            if stop.is_set():
                break
            os.link(turn, path.with_name("next"), follow_symlinks=False)
            os.replace(path.with_name("next"), path)
            # Renaming a name onto another of the same file does nothing, and leaves both.
            path.with_name("next").unlink(missing_ok=True)

    writer = threading.Thread(target=exchange)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join(10)


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


def test_a_package_that_is_being_replaced_is_read_whole(folder, tmp_path, monkeypatch):
    other = write_tiny(tmp_path / "other" / "tiny", "sigmoid")
    read = package_module._Folder.read

    def replace_between_the_files(opened, name, max_bytes):
        found = read(opened, name, max_bytes)
        if name == "model.yaml":
            monkeypatch.undo()
            for file in ("model.tflite", "model.yaml"):
                os.replace(other / file, folder / file)
        return found

    monkeypatch.setattr(package_module._Folder, "read", replace_between_the_files)
    assert read_package(folder).manifest.output.activation == "sigmoid"


# Takes all the locks that a folder can have: permission to read it is enough.
LOCKS = """
import fcntl, os, sys
for name in ("", "model.yaml", "model.tflite"):
    descriptor = os.open(os.path.join(sys.argv[1], name), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_lock_that_another_user_holds_keeps_nobody_from_a_package(folder):
    with subprocess.Popen(
        [sys.executable, "-c", LOCKS, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"locked\n"
        read = threading.Thread(target=read_package, args=[folder], daemon=True)
        written = threading.Thread(
            target=write_package, args=[folder, content("sigmoid"), manifest("sigmoid"), "# New\n"], daemon=True
        )
        try:
            for thread in (read, written):
                thread.start()
                thread.join(60)
                assert not thread.is_alive()
        finally:
            holder.stdin.close()
    assert read_package(folder).content == content("sigmoid")


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


def test_two_writers_at_once_are_said_and_not_believed(folder, tmp_path, monkeypatch):
    other = write_tiny(tmp_path / "other" / "tiny", "sigmoid")
    replace = os.replace

    def replace_and_be_overtaken(source, target):
        replace(source, target)
        if target == folder / "model.yaml":
            replace(other / "model.tflite", folder / "model.tflite")

    monkeypatch.setattr(os, "replace", replace_and_be_overtaken)
    with pytest.raises(ModelError, match="another process wrote it at the same time; run this again"):
        write_package(folder, content("float32"), manifest("float32"), "# New\n")


def test_a_place_that_cannot_be_written_is_one_line(folder):
    with pytest.raises(ModelError, match=r"/model\.tflite/new: cannot be written: "):
        write_package(folder / "model.tflite" / "new", content("float32"), manifest(), "# New\n")
