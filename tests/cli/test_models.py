import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import noise
from tests.models.https_server import Server, make_certificate
from tests.models.metadata import described_model, model_metadata, tensor, with_metadata
from tests.models.tiny import FIXTURES, LABELS

REPOSITORY = Path(__file__).resolve().parents[2]


def test_models_are_listed_with_what_they_say_about_themselves(audiomon):
    line = next(line for line in audiomon("models", model=None).out.splitlines() if line.startswith("tiny"))
    assert line.split(maxsplit=3)[1:] == ["4", "labels", "Never trained; for tests."]


def test_a_model_is_shown_with_labels_input_and_licence(audiomon):
    out = audiomon("models", "show", "tiny", model=None).out
    assert ", ".join(LABELS) in out
    assert "20 frames × 16 bands" in out
    assert "MIT" in out


def test_an_absent_model_is_one_clear_line(audiomon):
    assert "there are: " in audiomon("models", "show", "absent", model=None).refused()


def test_a_bare_file_becomes_a_model_that_can_be_named(audiomon):
    file = audiomon.folder / "claps.tflite"
    file.write_bytes(described_model())
    added = audiomon("models", "add", file, model=None)
    assert added.status == 0, added
    lines = added.out.splitlines()
    assert any(line.split(maxsplit=1)[0] == "input.sample_rate" and "16000  [metadata]" in line for line in lines)
    assert lines[-1].endswith("written, self-test passed; try it: audiomon classify --model claps FILE.wav")
    heard = audiomon("classify", "--json", audiomon.write_audio("claps.wav", noise(0.5)), model="claps")
    assert {line["model"] for line in heard.json} == {"claps"}
    assert "probability" not in audiomon("models", "show", "claps", model=None).out
    again = audiomon("models", "add", file, model=None).refused()
    assert "claps: is a model package already; --replace to replace it, or another --name" in again
    assert audiomon("models", "add", file, "--replace", model=None).status == 0


def test_a_file_that_lacks_something_is_refused_after_all_that_is_known(audiomon):
    finished = audiomon("models", "add", FIXTURES / "float32.tflite", "--name", "bare", model=None)
    assert "still to be said: --sample-rate (of the sound" in finished.refused()
    assert "input.frames         20  [the shape of its input; inferred: time comes first" in finished.out
    assert not (audiomon.folder / "models" / "bare").exists()


def test_a_file_that_is_not_there_is_one_clear_line(audiomon):
    assert (
        "absent.tflite: cannot be read: No such file"
        in audiomon("models", "add", "absent.tflite", model=None).refused()
    )


def test_of_many_labels_the_highest_are_written_and_all_in_a_table(audiomon):
    (audiomon.folder / "many.txt").write_text("\n".join(f"label {number}" for number in range(10_000)))
    options = ("--labels", "many.txt", "--sample-rate", "16000")
    assert audiomon("models", "add", FIXTURES / "many.tflite", *options, model=None).status == 0
    path = audiomon.write_audio("many.wav", noise(2.6))
    lines = audiomon("classify", "--json", path, model="many").json
    assert [len(line["scores"]) for line in lines] == [20] * len(lines)
    for line in lines:
        assert list(line["scores"].values()) == sorted(line["scores"].values(), reverse=True)
        assert next(iter(line["scores"])) == line["label"]
    three = audiomon("run", "--json", "--scores", "3", "--input", path, model="many").json
    assert [len(line["scores"]) for line in three if line["type"] == "prediction"] == [3] * len(lines)
    assert len(audiomon("classify", "--csv", path, model="many").out.splitlines()[0].split(",")) == 4 + 10_000


def test_events_of_chosen_labels_are_a_line_of_configuration(audiomon):
    config = audiomon.folder / "some.yaml"
    config.write_text(
        'model: many\ndecisions:\n  {allow: ["label 1?"], deny: [label 13], on: 0.2, off: 0.1, smoothing_s: 0}\n'
    )
    path = audiomon.write_audio("many.wav", noise(2.6))
    lines = audiomon("run", "--json", "--config", config, "--input", path, model=None).json
    on = {line["label"] for line in lines if line["type"] == "event" and line["state"] == "on"}
    assert on == {f"label {number}" for number in range(10, 20)} - {"label 13"}
    config.write_text("model: many\ndecisions:\n  allow: [lable 1]\n")
    refused = audiomon("run", "--config", config, "--input", path, model=None).refused()
    assert "some.yaml:3: decisions.allow[0]: the model has no label 'lable 1'; did you mean label " in refused


def test_what_is_no_model_file_is_refused_at_once(audiomon):
    os.mkfifo(audiomon.folder / "pipe.tflite")
    for file in ("/dev/zero", "pipe.tflite", "models"):
        assert f"{file}: is not a file" in audiomon("models", "add", file, model=None).refused()


def test_a_bare_file_named_as_a_model_is_met_with_what_makes_a_package_of_it(audiomon):
    (audiomon.folder / "claps.tflite").write_bytes(described_model())
    for name in ("claps.tflite", "./claps.tflite"):
        assert f"audiomon models add {name} makes a package" in audiomon("models", "show", name, model=None).refused()


def test_labels_with_commas_in_them_are_shown_apart(audiomon):
    labels = 'index,display_name\n0,"Chatter, crowd"\n1,"A ""bell"""\n2,c\n3,d\n'
    (audiomon.folder / "map.csv").write_text(labels)
    (audiomon.folder / "claps.tflite").write_bytes(described_model())
    assert audiomon("models", "add", "claps.tflite", "--labels", "map.csv", "--name", "table", model=None).status == 0
    assert '"Chatter, crowd", "A ""bell""", c, d\n' in audiomon("models", "show", "table", model=None).out


def test_what_strangers_wrote_is_printed_escaped_and_cut(audiomon):
    short = model_metadata(
        inputs=[tensor("audio_clip", rate=16_000)], outputs=[tensor("scores")], license="\x1b]0;owned\x07" * 20
    )
    (audiomon.folder / "claps.tflite").write_bytes(with_metadata(short))
    added = audiomon("models", "add", "claps.tflite", "--labels", ",".join(LABELS), "--name", "strange", model=None)
    assert added.status == 0, added
    for finished in (added, audiomon("models", "show", "strange", model=None), audiomon("models", model=None)):
        assert all(line.isprintable() for line in finished.out.splitlines())
        assert max(map(len, finished.out.splitlines())) < 400


def test_a_place_that_only_root_may_write_is_met_with_sudo(audiomon):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    (audiomon.folder / "claps.tflite").write_bytes(described_model())
    assert "run it again with sudo" in audiomon("models", "add", "claps.tflite", "--to", "/usr/x", model=None).refused()


def test_the_catalogue_says_what_each_model_is_good_for(audiomon):
    out = audiomon("models", "get", model=None).out
    assert "yamnet       521 everyday sounds" in out
    assert "https://" in out
    assert "there are: yamnet" in audiomon("models", "get", "absent", model=None).refused()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the server's certificate")
def test_a_published_model_is_fetched_checked_and_added(audiomon, tmp_path, monkeypatch):
    make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.crt"))
    server = Server(tmp_path, described_model())
    try:
        address, sha256 = server.address("/whole?claps.tflite"), hashlib.sha256(described_model()).hexdigest()
        added = audiomon("models", "add", address, "--sha256", sha256, "--name", "fetched", model=None)
        assert added.status == 0, added
        assert f"added_from   {address}" in audiomon("models", "show", "fetched", model=None).out
        wrong = audiomon("models", "add", address, "--sha256", "0" * 64, "--name", "wrong", model=None)
        assert "is not the file that it should be" in wrong.refused()
    finally:
        server.close()
    assert not list((audiomon.folder / "models").glob(".*"))
    assert "an address needs --sha256" in audiomon("models", "add", address, model=None).refused()


def test_the_checksum_of_a_file_that_is_here_is_checked_too(audiomon):
    file = FIXTURES / "float32.tflite"
    wrong = audiomon("models", "add", file, "--sha256", "0" * 64, "--name", "wrong", model=None)
    assert wrong.refused().endswith(f"has another SHA-256 than {'0' * 64}")


def test_a_published_model_that_is_not_here_comes_with_the_command_that_fetches_it(audiomon):
    said = audiomon("check", "--no-device", model="yamnet").out
    assert "there is no model 'yamnet' (sudo audiomon models get yamnet fetches it)" in said


@pytest.mark.parametrize("arguments", [["models", "get"], ["models", "add", "--help"], ["convert", "--help"]])
def test_what_there_is_and_help_need_nothing_that_reads_model_files(tmp_path, arguments):
    (tmp_path / "tflite.py").write_text("raise ImportError\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(REPOSITORY)])}
    command = [sys.executable, "-m", "audiomon", *arguments]
    said = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")
    assert "model" in said.stdout
