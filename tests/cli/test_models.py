from tests.cli.command import noise
from tests.models.metadata import described_model
from tests.models.tiny import FIXTURES, LABELS


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
