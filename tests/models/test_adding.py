"""What a bare .tflite file becomes: from what it says, what follows from that, and what only people know."""

import importlib
import sys

import msgspec
import numpy as np
import pytest

from audiomon.config import Decisions
from audiomon.errors import ModelError, UserError
from audiomon.features import LogMelSpec, WaveformSpec
from audiomon.features.spec import Normalization
from audiomon.models.classifier import Classifier, self_test_window
from audiomon.models.importing.add import Addition, Asked, IncompleteError, default_name, examine
from audiomon.models.importing.write import MAX_CLIPPED, write_package
from audiomon.models.manifest import Calibration
from audiomon.models.package import read_package
from tests.models.metadata import (
    CALIBRATION,
    NORMALIZATION,
    SCORE_CALIBRATION,
    THRESHOLDING,
    described_model,
    model_metadata,
    tensor,
    unit,
    with_metadata,
)
from tests.models.tiny import BANDS_FIRST, LABELS, LOG_MEL, SCORES, WAVEFORM, content, manifest

LIST = ",".join(LABELS)
FRAMES = ("n_fft=512", "hop_length=256")
FEATURES = Asked(labels=LIST, sample_rate=16_000, features=FRAMES)


def add(tmp_path, model: bytes, asked: Asked | None = None) -> Addition:
    return examine(tmp_path / "tiny.tflite", model, asked or Asked())


def refusal(tmp_path, model: bytes, asked: Asked | None = None) -> str:
    """The one line that is said about a file, without its path."""
    with pytest.raises((ModelError, UserError)) as caught:
        add(tmp_path, model, asked)
    message = str(caught.value)
    assert message.isprintable()
    return message.removeprefix(f"{tmp_path}/tiny.tflite: ")


def origins(addition: Addition) -> dict[str, str]:
    return {item.key: item.origin for item in addition.items}


def test_a_model_with_metadata_needs_nothing_else(tmp_path):
    addition = add(tmp_path, described_model())
    manifest = addition.manifest
    assert manifest.name == "tiny"
    assert manifest.description == "Never trained."
    assert manifest.license == "Apache 2.0"
    assert manifest.labels == LABELS
    assert manifest.input == WaveformSpec(sample_rate=16_000, samples=1600)
    assert manifest.output.activation == "softmax"
    assert manifest.training["author"] == "Nobody"
    assert origins(addition) == {
        "name": "the file's name",
        "description": "metadata",
        "license": "metadata",
        "input.kind": "metadata: audio",
        "input.sample_rate": "metadata",
        "input.samples": "the shape of its input",
        "labels": "metadata, labels.txt",
        "output.activation": "inferred: the scores come from SOFTMAX",
    }


def test_what_was_added_is_a_package_that_passes_its_check_and_answers_as_the_model(tmp_path, backend):
    model = described_model()
    addition = add(tmp_path, model)
    write_package(tmp_path / "tiny", model, addition.manifest, "# Tiny\n", tolerance=addition.tolerance)
    package = read_package(tmp_path / "tiny")
    assert package.content == model
    classifier = Classifier(package, backend)
    classifier.self_test()
    window = self_test_window("chirp", WAVEFORM)
    np.testing.assert_array_equal(classifier.scores(window), classifier.interpreter.run(window))


def test_all_that_is_missing_is_listed_at_once_with_its_flag(tmp_path):
    with pytest.raises(IncompleteError) as caught:
        add(tmp_path, content("logits"))
    assert str(caught.value) == (
        f"{tmp_path}/tiny.tflite: still to be said: --sample-rate (of the sound that it was trained on, in Hz); "
        "--feature n_fft=… (samples in a Fourier transform); --feature hop_length=… (samples from one frame to the "
        "next); --labels FILE (4 labels, one a line, in the order of the scores); --activation (the scores come from "
        "FULLY_CONNECTED: logits if softmax is still due, sigmoid-logits if a sigmoid is, else softmax or sigmoid)"
    )
    values = {item.key: item.value for item in caught.value.items}
    assert values["input.frames"] == "20"
    assert values["input.n_mels"] == "16"
    assert values["license"] == "not stated"


@pytest.mark.parametrize("model", ["float32", "int8", "uint8", "dynamic_batch", "sigmoid"])
def test_frames_and_bands_follow_from_the_shape_and_the_rest_is_said_to_be_presumed(tmp_path, model):
    addition = add(tmp_path, content(model), FEATURES)
    assert addition.manifest.input == LogMelSpec(sample_rate=16_000, n_fft=512, hop_length=256, n_mels=16, frames=20)
    assert addition.manifest.output.activation == ("sigmoid" if model == "sigmoid" else "softmax")
    assert "inferred: time comes first" in origins(addition)["input.frames"]
    presumed = next(item for item in addition.items if item.key == "input (the rest)")
    assert "log=db" in presumed.value
    assert "librosa's defaults" in presumed.origin
    assert addition.tolerance == (0.2 if "int8" in model else 0.001)


@pytest.mark.parametrize("said", ["layout=bands-frames", "frames=20", "n_mels=16"])
def test_the_order_of_the_axes_follows_from_any_of_them(tmp_path, said):
    asked = Asked(labels=LIST, sample_rate=16_000, features=(*FRAMES, said))
    spec = add(tmp_path, content("bands_first"), asked).manifest.input
    assert (spec.frames, spec.n_mels, spec.layout) == (20, 16, BANDS_FIRST.layout)


@pytest.mark.parametrize("said", ["frames=20", "n_mels=16"])
def test_of_a_flat_input_one_number_gives_the_other(tmp_path, said):
    asked = Asked(labels=LIST, sample_rate=16_000, features=(*FRAMES, said))
    spec = add(tmp_path, content("flat"), asked).manifest.input
    assert (spec.frames, spec.n_mels, spec.layout) == (LOG_MEL.frames, LOG_MEL.n_mels, "frames-bands")


def test_a_short_flat_input_may_be_anything_and_is_asked_for(tmp_path):
    said = refusal(tmp_path, content("flat"), Asked(labels=LIST))
    assert said == (
        "still to be said: --feature kind=waveform or --feature kind=log-mel (whether its 320 values are samples or "
        "features); --sample-rate"
    )


def test_16_bit_integers_are_samples(tmp_path):
    addition = add(tmp_path, content("waveform_pcm"), Asked(labels=LIST, sample_rate=8000))
    assert addition.manifest.input == WaveformSpec(sample_rate=8000, samples=1600)
    assert origins(addition)["input.kind"] == "inferred: it reads plain 16-bit integers"


@pytest.mark.parametrize("wanted", [SCORES, "0"])
def test_one_of_several_outputs_is_named_or_numbered(tmp_path, wanted):
    asked = Asked(labels=LIST, sample_rate=16_000, features=FRAMES, output=wanted)
    manifest = add(tmp_path, content("two_outputs"), asked).manifest
    assert manifest.output.tensor == SCORES
    write_package(tmp_path / "tiny", content("two_outputs"), manifest, "# Tiny\n")


def test_several_outputs_are_listed_when_nobody_chooses(tmp_path):
    assert "--output (which one has the scores; there are 0: Stateful" in refusal(
        tmp_path, content("two_outputs"), FEATURES
    )
    assert refusal(tmp_path, content("two_outputs"), Asked(output="scores")).startswith(
        "has no output 'scores'; it has"
    )


def test_what_the_user_says_wins_over_the_metadata(tmp_path):
    asked = Asked(name="mine", labels="a,b,c,d", sample_rate=8000, license="MIT")
    addition = add(tmp_path, described_model(), asked)
    manifest = addition.manifest
    assert (manifest.name, manifest.labels, manifest.license) == ("mine", tuple("abcd"), "MIT")
    assert manifest.input.sample_rate == 8000
    assert origins(addition)["input.sample_rate"] == "you"


def test_a_description_in_yaml_says_the_same_as_the_options(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "labels: [a, b, c, d]\ninput: {sample_rate: 16000, n_fft: 512, hop_length: 256, log: ln}\n"
        "license: MIT\ndecisions: {on: 0.9}\n",
        encoding="utf-8",
    )
    manifest = add(tmp_path, content("float32"), Asked(description=tmp_path / "mine.yaml")).manifest
    assert manifest.labels == tuple("abcd")
    assert manifest.input.log == "ln"
    assert manifest.decisions == Decisions(on=0.9)


def test_a_recommended_threshold_becomes_the_default_and_is_said_to(tmp_path):
    addition = add(tmp_path, described_model(units=[unit(THRESHOLDING, ("Float32", 0.3))]))
    assert addition.manifest.decisions == Decisions(on=0.3, off=0.21)
    assert origins(addition)["decisions.off"] == "inferred: a little below that"


@pytest.mark.parametrize(("transform", "g"), [(0, lambda x: x), (1, np.log), (2, lambda x: np.log(x) - np.log(1 - x))])
def test_scores_are_calibrated_as_the_metadata_says(tmp_path, backend, transform, g):
    lines = b"1.0,2.0,0.5\n\n0.9,-1.5,0.1,0.99\n0.8,3.0,-1.0,0.001\n"
    model = described_model(
        units=[unit(CALIBRATION, ("Int8", transform), ("Float32", 0.25))],
        files={"calibration.csv": lines},
        kinds={"calibration.csv": SCORE_CALIBRATION},
    )
    addition = add(tmp_path, model)
    names = ("identity", "log", "inverse-logistic")
    parameters = ((1.0, 2.0, 0.5), (), (0.9, -1.5, 0.1, 0.99), (0.8, 3.0, -1.0, 0.001))
    assert addition.manifest.output.calibration == Calibration(parameters, names[transform], 0.25)
    write_package(tmp_path / "tiny", model, addition.manifest, "# Tiny\n")
    classifier = Classifier(read_package(tmp_path / "tiny"), backend)
    window = self_test_window("noise", WAVEFORM)
    x = classifier.interpreter.run(window).astype(np.float64)
    fitted = [
        scale / (1 + np.exp(-(slope * g(score) + offset)))
        for score, (scale, slope, offset) in zip(x[[0, 3]], [parameters[0], parameters[3][:3]], strict=True)
    ]
    np.testing.assert_allclose(classifier.scores(window), [fitted[0], 0.25, 0.25, fitted[1]], atol=1e-6)
    assert add(tmp_path, model, Asked(calibrated=False)).manifest.output.calibration is None


def test_samples_are_scaled_as_the_metadata_normalises(tmp_path):
    scaled = described_model(input_units=[unit(NORMALIZATION, [0.0], [0.25])])
    assert add(tmp_path, scaled).manifest.input.full_scale == 4
    plain = described_model(input_units=[unit(NORMALIZATION, [0.0], [1.0])])
    assert add(tmp_path, plain).manifest.input.full_scale is None
    shifted = described_model(input_units=[unit(NORMALIZATION, [0.5], [1.0])])
    assert "--feature full_scale=… (its metadata subtracts (0.5,)" in refusal(tmp_path, shifted)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (b"", "is not a TFLite model (its identifier TFL3 is missing)"),
        (content("float32")[:60], "is damaged: what it says of its own contents does not fit its size"),
        (content("flex"), "needs TensorFlow's own (Flex) operators that no TFLite runtime here has: FlexMatrixDet"),
        (content("custom"), "needs custom operators that no TFLite runtime here has: MatrixDeterminant; convert it"),
        (content("stereo"), "reads sound of 2 channels (its input is 1×1600×2); audiomon gives one"),
        (content("any_length"), "reads windows of no fixed length (1×?×1): fix it with --feature samples=…"),
        (content("words"), "reads int32, which is neither sound nor features of it"),
        (content("two_inputs"), "has 2 inputs (serving_default_keras_tensor"),
        (described_model(channels=2), "reads sound of 2 channels (says its metadata); audiomon gives one"),
        (described_model(rate=7), "has a sample rate of 7 Hz in its metadata, which cannot be; say the right one with"),
        (
            described_model(b"a\nb\nc\n"),
            "gives 4 scores, but its label file labels.txt has 3 labels; give the right ones with --labels FILE",
        ),
        (
            described_model(b"a\nb\na\nd\n"),
            "its label file labels.txt: 'a' is on the lines 1, 3; labels must differ; give the right ones with",
        ),
        (
            described_model(b"a\n\nb\nc\nd\n"),
            "its label file labels.txt: line 2 is empty, but each line is a label, in the order of the scores; give",
        ),
        (
            described_model("a\nb\nJugé\nd\n".encode("latin-1")),
            "its label file labels.txt: line 3 is not UTF-8 text; save the file as UTF-8; give the right ones with",
        ),
        (described_model(b"\n\n"), "its label file labels.txt: holds no labels; give the right ones with --labels"),
        (
            with_metadata(b"not metadata"),
            "its metadata is damaged (the identifier M001 is missing)",
        ),
        (
            with_metadata(b"\xff\xff\xff\x00M001"),
            "its metadata is damaged: what it says of its own contents does not fit its size",
        ),
        (
            with_metadata(model_metadata(inputs=[tensor("a", rate=16000)], outputs=[tensor("b", files={"l.txt": 2})])),
            "the archive behind it, with 'l.txt', is damaged or cut off: File is not a zip file; give the right ones",
        ),
        (
            described_model(kinds={"calibration.csv": SCORE_CALIBRATION}),
            "its metadata names a file 'calibration.csv' that is not packed in it; --no-calibration does without",
        ),
        (
            described_model(files={"c.csv": b"1,2,3\n"}, kinds={"c.csv": SCORE_CALIBRATION}),
            "its calibration file c.csv has 1 lines for 4 labels; --no-calibration does without",
        ),
        (
            described_model(files={"c.csv": b"1,2\n"}, kinds={"c.csv": SCORE_CALIBRATION}),
            "its calibration file c.csv: line 1 has 2 numbers; it must be none, 3 or 4; --no-calibration",
        ),
        (
            described_model(files={"c.csv": b"1,2,x\n"}, kinds={"c.csv": SCORE_CALIBRATION}),
            "its calibration file c.csv: line 1 has something in it that is not a number; --no-calibration",
        ),
    ],
)
def test_what_cannot_be_added_is_said_in_one_line(tmp_path, model, said):
    assert refusal(tmp_path, model).startswith(said)


@pytest.mark.parametrize("cut", [1, 20, 100, 150])
def test_an_archive_that_is_cut_off_is_said_to_be(tmp_path, cut):
    said = refusal(tmp_path, described_model()[:-cut])
    assert said.startswith("the archive behind it, with 'labels.txt', is damaged or cut off: "), said
    assert said.endswith("; give the right ones with --labels FILE, one a line")
    # And what it has lost can be given.
    assert add(tmp_path, described_model()[:-cut], Asked(labels=LIST)).manifest.labels == LABELS


def test_a_packed_file_whose_bytes_have_changed_is_found_out(tmp_path):
    model = bytearray(described_model(b"".join(b"label %d\n" % number for number in range(4))))
    at = model.rindex(b"PK\x03\x04") + 30 + len("labels.txt") + 4
    model[at] ^= 0xFF
    assert "is damaged or cut off: " in refusal(tmp_path, bytes(model))


def test_a_packed_file_that_would_unpack_to_a_flood_is_not_unpacked(tmp_path):
    model = described_model(b"a" * (5 << 20))
    assert len(model) < 20_000
    assert "that is packed in it is larger than 1 MiB" in refusal(tmp_path, model)


def test_a_window_of_any_length_is_fixed_by_the_user(tmp_path, backend):
    said = refusal(tmp_path, content("any_length"), Asked(labels=LIST, sample_rate=16_000))
    assert said.startswith("reads windows of no fixed length (1×?×1): fix it with --feature samples=…, or convert it")
    asked = Asked(labels=LIST, sample_rate=16_000, features=("samples=1600",))
    addition = add(tmp_path, content("any_length"), asked)
    assert addition.manifest.input == WAVEFORM
    write_package(tmp_path / "tiny", content("any_length"), addition.manifest, "# Tiny\n", backend=backend)
    classifier = Classifier(read_package(tmp_path / "tiny"), backend)
    assert classifier.interpreter.input.shape == (1, 1600, 1)
    assert classifier.scores(np.zeros(1600, np.float32)).shape == (4,)


def test_features_that_a_quantised_input_cannot_hold_are_noticed(tmp_path, backend):
    bare = msgspec.structs.replace(LOG_MEL, normalization=Normalization())
    for spec, clipped in ((LOG_MEL, False), (bare, True)):
        described = msgspec.structs.replace(manifest("int8"), input=spec)
        share = write_package(tmp_path / "tiny", content("int8"), described, "# Tiny\n", tolerance=0.5, backend=backend)
        assert (share > MAX_CLIPPED) == clipped


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(labels="absent.txt"), "--labels absent.txt: cannot be read: No such file or directory"),
        (Asked(labels="no/such"), "--labels no/such: cannot be read: No such file or directory"),
        (Asked(labels="a,b"), "gives 4 scores, but --labels has 2 labels; give the right ones with --labels FILE"),
        (Asked(features=("samples",)), "--feature samples: must be KEY=VALUE"),
        (Asked(features=("sample=1",)), "--feature sample=1: there is no such option"),
        (Asked(sample_rate=7), "input.sample_rate: is 7, must be a whole number from 1000 to 192000"),
        (Asked(activation="sigmoid"), "gives scores that come from SOFTMAX, so they are softmax, not sigmoid"),
        (Asked(features=("full_scale=0",)), "input.full_scale: is 0, must be a number from 1e-09 to 1e+06"),
    ],
)
def test_what_the_user_says_wrong_is_said_in_one_line(tmp_path, asked, said):
    assert refusal(tmp_path, described_model(), asked).startswith(said)


@pytest.mark.parametrize(
    ("file", "name"),
    [("yamnet.tflite", "yamnet"), ("My model (2).tflite", "My-model-2"), ("….tflite", "model"), ("é" * 300, "model")],
)
def test_a_package_is_named_for_its_file(tmp_path, file, name):
    assert default_name(tmp_path / file) == name


def test_ten_thousand_labels_make_a_package_whose_self_test_names_the_highest(tmp_path, backend):
    labels = tuple(f"label {number}" for number in range(10_000))
    (tmp_path / "labels.txt").write_text("\n".join(labels))
    asked = Asked(labels=str(tmp_path / "labels.txt"), sample_rate=16_000)
    addition = add(tmp_path, content("many"), asked)
    assert origins(addition)["input.kind"] == "inferred: it reads 40000 values in a row"
    write_package(tmp_path / "tiny", content("many"), addition.manifest, "# Tiny\n")
    package = read_package(tmp_path / "tiny")
    assert package.manifest.labels == labels
    for test in package.manifest.self_test:
        assert len(test.expected) == 20
    classifier = Classifier(package, backend)
    classifier.self_test()
    # One click in the samples that the label stands for.
    window = np.zeros(40_000, np.float32)
    window[4 * 7777 : 4 * 7778] = 1
    assert labels[classifier.scores(window).argmax()] == "label 7777"


def test_a_self_test_that_names_a_score_that_differs_fails(tmp_path, backend):
    (tmp_path / "labels.txt").write_text("\n".join(f"label {number}" for number in range(10_000)))
    asked = Asked(labels=str(tmp_path / "labels.txt"), sample_rate=16_000)
    addition = add(tmp_path, content("many"), asked)
    write_package(tmp_path / "tiny", content("many"), addition.manifest, "# Tiny\n")
    manifest = tmp_path / "tiny" / "model.yaml"
    text = manifest.read_text(encoding="utf-8")
    name, score = next(iter(read_package(tmp_path / "tiny").manifest.self_test[1].expected.items()))
    assert f"{name}: {score}" in text
    manifest.write_text(text.replace(f"{name}: {score}", f"{name}: {score - 0.1:.6f}", 1), encoding="utf-8")
    with pytest.raises(ModelError, match=r"its self-test fails here: noise differs by 0\.1 "):
        Classifier(read_package(tmp_path / "tiny"), backend).self_test()


def test_the_extra_that_reading_a_file_needs_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "tflite", None)
    monkeypatch.delitem(sys.modules, "audiomon.models.importing.tflite_file")
    with pytest.raises(UserError, match=r"needs the packages tflite and flatbuffers: .*\[import\]"):
        importlib.import_module("audiomon.models.importing.tflite_file")
