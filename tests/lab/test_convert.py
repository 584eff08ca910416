"""Conversion with the real TensorFlow, to packages that the real runtimes run."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomon.errors import AudiomonError, InputError, ModelError, UserError
from audiomon.lab.conversion_report import ConversionReport
from audiomon.lab.convert_input import inferred_features
from audiomon.lab.convert_package import Request, convert_package
from audiomon.lab.proof import ProofError
from audiomon.lab.tensorflow_process import TensorFlowProcess
from audiomon.models.classifier import Classifier
from audiomon.models.importing.describe import describe
from audiomon.models.interpreter import Backend, choose_backend, installed_backends
from audiomon.models.package import read_package
from tests.cli.command import Audiomon
from tests.lab import keras_models
from tests.lab.keras_models import FEATURES, LABELS

pytestmark = [pytest.mark.tensorflow, pytest.mark.timeout(240)]

FORMS = {
    "architecture and weights of TF 2.1": ("vd_model.json", "model.30-0.97.h5"),
    "architecture and weights of Keras 3": ("keras3.json", "keras3.weights.h5"),
    "whole h5 of Keras 2": ("keras2.h5", None),
    "whole h5 of Keras 3": ("keras3.h5", None),
    "keras file of Keras 2": ("keras2.keras", None),
    "keras file of Keras 3": ("keras3.keras", None),
    "SavedModel of Keras 2": ("keras2_saved", None),
    "SavedModel of Keras 3": ("keras3_saved", None),
}


@pytest.fixture(scope="module")
def forms(tensorflow: TensorFlowProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forms")
    tensorflow.call(keras_models.write_forms, folder)
    return folder


@pytest.fixture(scope="module")
def odd(tensorflow: TensorFlowProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    tensorflow.call(keras_models.write_odd, folder)
    return folder


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise, a tone and near silence, in folders named for the labels."""
    folder = tmp_path_factory.mktemp("recordings")
    seconds = np.arange(8000 * 3) / 8000
    random = np.random.default_rng(3)
    for label, samples in (
        ("rain", random.uniform(-0.5, 0.5, len(seconds))),
        ("rooster", 0.5 * np.sin(2 * np.pi * 900 * seconds)),
        ("silence", random.uniform(-0.001, 0.001, len(seconds))),
    ):
        (folder / label).mkdir()
        soundfile.write(folder / label / "1.wav", samples, 8000)
    return folder


class Converting:
    """Converts with what most tests have in common."""

    def __init__(self, tensorflow: TensorFlowProcess, target: Path) -> None:
        self.tensorflow = tensorflow
        self.target = target
        self.stages: list[str] = []

    def __call__(
        self,
        model: Path,
        weights: Path | None = None,
        *,
        precision: str = "float32",
        labels: tuple[str, ...] = LABELS,
        features: tuple[str, ...] = FEATURES,
        activation: str | None = None,
        audio: Path | None = None,
        labelled: Path | None = None,
        backends: list[Backend] | None = None,
        chosen: str = "",
    ) -> ConversionReport:
        output = None if activation is None else {"activation": activation}
        described = describe(None, {"labels": list(labels), "output": output}, features)
        request = Request(
            model,
            weights,
            self.target,
            precision,  # type: ignore[arg-type]
            described,
            audio,
            labelled,
            backends or installed_backends(),
            False,
            chosen,
        )
        return convert_package(request, self.tensorflow, self.stages.append)

    def refused(self, *arguments: object, **options: object) -> str:
        """The one line that a failed conversion leaves, and no package."""
        with pytest.raises(AudiomonError) as caught:
            self(*arguments, **options)  # type: ignore[arg-type]
        assert not self.target.exists()
        assert "\n" not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def convert(tensorflow: TensorFlowProcess, tmp_path: Path) -> Converting:
    return Converting(tensorflow, tmp_path / "package")


def test_keras_3_refuses_the_architecture_that_tf_2_1_wrote(tensorflow, forms):
    assert tensorflow.call(keras_models.keras_3_refuses, forms / "vd_model.json")


@pytest.fixture(scope="module")
def converted(tensorflow, forms, tmp_path_factory) -> dict[str, tuple[ConversionReport, Path]]:
    """Each form's report and package."""
    results = {}
    for form, (model, weights) in FORMS.items():
        convert = Converting(tensorflow, tmp_path_factory.mktemp("converted") / "package")
        results[form] = convert(forms / model, forms / weights if weights else None), convert.target
    return results


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_a_package_that_answers_as_the_original(converted, form):
    report, folder = converted[form]
    assert report.proof.is_close
    assert report.proof.largest_difference < 1e-5
    assert {one.backend for one in report.proof.agreements} == set(installed_backends())
    assert report.inside.kinds == ["CONV_2D", "MAX_POOL_2D", "CONV_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]
    package = read_package(folder)
    assert package.manifest.labels == LABELS
    for backend in installed_backends():
        classifier = Classifier(package, backend)
        assert classifier.interpreter.input.shape == (1, *keras_models.SHAPE)
        classifier.self_test()


def test_the_same_network_gives_the_same_answers_whatever_form_it_came_in(converted):
    expected = [
        [test.expected for test in read_package(folder).manifest.self_test] for _report, folder in converted.values()
    ]
    assert np.ptp(expected[0]) > 0.01
    assert np.allclose(expected, expected[0], atol=2e-6)


def test_the_report_says_what_became_of_each_layer(converted):
    text = converted["architecture and weights of TF 2.1"][0].text
    lines = {line.split()[0]: line for line in text.splitlines() if "→" in line}
    assert "folded into 0 CONV_2D" in lines["batch_normalization"]
    assert "folded into 2 CONV_2D" in lines["batch_normalization_1"]
    assert "fused into 2 CONV_2D" in lines["re_lu_1"]
    assert "gone" in lines["dropout"]
    assert "FULLY_CONNECTED" in lines["dense"]
    assert "SOFTMAX" in lines["dense"]
    assert "CONV_2D + RELU" in text
    for backend in installed_backends():
        assert f"XNNPACK takes 6 of 6 in {backend}" in text
    assert "window=hann" in text


@pytest.mark.parametrize("precision", ["float16", "dynamic", "int8"])
def test_a_quantised_model_states_agreement_and_accuracy(convert, converted, forms, recordings, precision):
    report = convert(forms / "keras3.keras", precision=precision, audio=recordings, labelled=recordings)
    assert 0 < report.proof.largest_difference < 0.5
    assert report.proof.accuracy is not None
    assert report.proof.accuracy.windows == 3 * 15  # of 1664 samples each, 1536 apart, in 3 s
    assert f"right label on {report.proof.accuracy.windows} labelled windows" in report.text
    package = read_package(convert.target)
    assert report.inside.weight_bytes < 0.6 * converted["keras file of Keras 3"][0].inside.weight_bytes
    assert Classifier(package, installed_backends()[0]).interpreter.input.dtype == (
        np.int8 if precision == "int8" else np.float32
    )


def test_int8_is_calibrated_on_the_sounds_given(tensorflow, tmp_path, forms, recordings):
    scales = []
    for label in ("rain", "silence"):
        convert = Converting(tensorflow, tmp_path / label)
        convert(forms / "keras3.keras", precision="int8", audio=recordings / label)
        package = read_package(convert.target)
        scales.append(Classifier(package, installed_backends()[0]).interpreter.input.scale)
    assert scales[0] != scales[1]


def test_int8_without_recordings_is_refused(convert, forms):
    assert "--audio" in convert.refused(forms / "keras3.keras", precision="int8")


def test_a_calibration_folder_without_audio_is_refused(convert, forms, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("none")
    assert "holds no audio" in convert.refused(forms / "keras3.keras", precision="int8", audio=tmp_path / "empty")


def test_recordings_shorter_than_a_window_are_refused(convert, forms, tmp_path):
    soundfile.write(tmp_path / "short.wav", np.zeros(1000), 8000)
    refused = convert.refused(forms / "keras3.keras", precision="int8", audio=tmp_path)
    assert "shorter than one window (0.21 s)" in refused


def test_a_labelled_folder_that_is_no_label_is_refused(convert, forms, recordings):
    refused = convert.refused(forms / "keras3.keras", labels=("rain", "rooster", "sea"), labelled=recordings)
    assert "'silence', which is no label" in refused


def test_an_unsupported_layer_is_named(convert, odd):
    refused = convert.refused(odd / "counting.keras")
    assert "layer 'count_them' (CategoryEncoding)" in refused
    assert "DenseBincount" in refused


def test_a_lambda_is_named_and_not_run(convert, odd):
    assert "layer 'first_three' is a Lambda" in convert.refused(odd / "lambda.keras")


def test_a_custom_layer_is_named(convert, odd):
    refused = convert.refused(odd / "custom.h5")
    assert "layer 'look_there' is of the class Gaze" in refused
    assert "model.export" in refused


def test_one_of_several_outputs_must_be_named(convert, odd):
    assert "has 2 outputs; say which one has the scores: --output" in convert.refused(odd / "two.keras")
    assert "has no output 'third'" in convert.refused(odd / "two.keras", chosen="third")


def test_a_model_that_does_not_say_what_its_scores_are_is_asked_about(convert, odd):
    assert "--activation" in convert.refused(odd / "logits.keras")
    report = convert(odd / "logits.keras", activation="logits", backends=installed_backends()[:1])
    assert "not tried on" in report.text  # the other runtime
    assert read_package(convert.target).manifest.output.activation == "logits"


def test_a_wrong_activation_is_refused(convert, forms):
    assert "softmax, not sigmoid" in convert.refused(forms / "keras3.keras", activation="sigmoid")


def test_a_conversion_that_is_not_close_fails_and_leaves_no_package(convert, odd):
    with pytest.raises(ProofError, match="does not answer as the original") as caught:
        convert(odd / "dice")
    assert caught.value.exit_status == 1
    assert not convert.target.exists()


def test_weights_that_are_not_numbers_are_found(convert, odd):
    assert "NaN" in convert.refused(odd / "nan.keras")


@pytest.mark.parametrize("kept", [0, 100, 3000, -2000])
def test_a_corrupt_h5_is_refused(convert, forms, tmp_path, kept):
    broken = tmp_path / "broken.h5"
    broken.write_bytes((forms / "keras2.h5").read_bytes()[:kept])
    assert f"{broken}: is damaged" in convert.refused(broken)
    assert f"{broken}: is damaged" in convert.refused(forms / "vd_model.json", broken)


def test_a_truncated_keras_file_is_refused(convert, forms, tmp_path):
    broken = tmp_path / "broken.keras"
    broken.write_bytes((forms / "keras3.keras").read_bytes()[:-100])
    assert "is damaged" in convert.refused(broken)


def test_a_damaged_saved_model_is_refused(convert, forms, tmp_path):
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes((forms / "keras3_saved/saved_model.pb").read_bytes()[:999])
    assert "damaged SavedModel" in convert.refused(tmp_path / "saved")


def test_an_architecture_and_weights_that_disagree_are_refused(tensorflow, convert, forms):
    tensorflow.call(keras_models.write_other_shape, forms)
    refused = convert.refused(forms / "wider.json", forms / "model.30-0.97.h5")
    assert "wider.json and model.30-0.97.h5 do not belong together" in refused
    assert "dense" in refused


def test_an_architecture_without_weights_asks_for_them(convert, forms):
    assert "--weights" in convert.refused(forms / "vd_model.json")


def test_weights_without_an_architecture_ask_for_it(convert, forms):
    assert "holds weights only" in convert.refused(forms / "model.30-0.97.h5")


def test_labels_that_disagree_with_the_scores_are_refused(convert, forms):
    assert "3 scores, but there are 2 labels" in convert.refused(forms / "keras3.keras", labels=("rain", "sun"))


def test_features_that_disagree_with_the_input_are_refused(convert, forms):
    wrong = tuple(feature.replace("n_mels=8", "n_mels=9") for feature in FEATURES)
    refused = convert.refused(forms / "keras3.keras", features=wrong)
    assert "reads windows of 12×8×1, the description says frames × n_mels = 12×9" in refused


def test_frames_and_bands_the_other_way_round_are_noticed(convert, forms):
    wrong = ("sample_rate=8000", "n_fft=256", "hop_length=128", "n_mels=12", "frames=8")
    refused = convert.refused(forms / "keras3.keras", features=wrong)
    assert refused.endswith("; the axes are the other way round in this model: layout=bands-frames")


def test_a_model_whose_axes_are_the_other_way_round_is_converted_as_it_is(convert, forms):
    turned = ("sample_rate=8000", "n_fft=256", "hop_length=128", "n_mels=12", "frames=8", "layout=bands-frames")
    convert(forms / "keras3.keras", features=turned)
    assert Classifier(read_package(convert.target), choose_backend("auto")).spec.shape == (8, 12)


def test_what_is_no_model_is_refused(convert, tmp_path):
    (tmp_path / "w.h5").touch()
    for name, content, expected in (
        ("a.json", "{", "is not a Keras architecture"),
        ("b.json", "[]", "is not a Keras architecture"),
        ("c.txt", "", "give an architecture"),
    ):
        (tmp_path / name).write_text(content)
        assert expected in convert.refused(tmp_path / name, tmp_path / "w.h5" if name.endswith("json") else None)
    assert "no such file" in convert.refused(tmp_path / "none.keras")
    assert "none.h5: no such file" in convert.refused(tmp_path / "a.json", tmp_path / "none.h5")
    (tmp_path / "folder").mkdir()
    assert "no SavedModel" in convert.refused(tmp_path / "folder")


def test_errors_are_of_the_kind_that_the_command_line_turns_into_words(convert, forms, tmp_path):
    for expected, arguments, options in (
        (UserError, (forms / "keras3.keras",), {"labels": ("one",)}),
        (ModelError, (tmp_path / "none.keras",), {}),
        (InputError, (forms / "keras3.keras",), {"audio": tmp_path / "none"}),
    ):
        with pytest.raises(expected):
            convert(*arguments, **options)


@pytest.fixture(scope="module")
def kinds(tensorflow: TensorFlowProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kinds")
    tensorflow.call(keras_models.write_kinds, folder)
    return folder


WAVEFORM = ("kind=waveform", "sample_rate=8000", "samples=2000")


@pytest.mark.parametrize("name", ["hdf5.keras", "none", "zip.H5"])
def test_a_file_is_what_it_holds_whatever_it_is_called(tensorflow, kinds, name):
    given = ("sample_rate=8000", "n_fft=256", "hop_length=128")
    inferred = inferred_features(tensorflow, kinds / name, None, None, given, "")
    assert inferred == {"kind": "log-mel", "frames": 12, "n_mels": 8, "layout": "frames-bands"}


@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16", "float64"])
def test_a_model_of_another_precision_is_rebuilt_in_float32(convert, kinds, policy, suffix):
    report = convert(kinds / f"{policy}.{suffix}", backends=installed_backends()[:1])
    assert "calculates in float32 instead of" in report.origin
    assert report.proof.largest_difference < 1e-4


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("stateful.h5", "layer 'lstm' begins every window without state"),
        ("cudnn.h5", "layer 'cudnn': LSTM takes the place of CuDNNLSTM"),
    ],
)
def test_recurrent_layers_that_tflite_cannot_have_are_rebuilt_with_their_weights(convert, kinds, name, changed):
    report = convert(kinds / name, backends=installed_backends()[:1])
    assert changed in report.origin
    assert changed in report.text


@pytest.mark.parametrize("name", ["any_length", "no_batch", "any_rank", "batch"])
def test_a_saved_model_without_a_batch_a_length_or_a_usual_name_is_converted(convert, kinds, name):
    convert(kinds / name, features=WAVEFORM, backends=installed_backends()[:1])
    classifier = Classifier(read_package(convert.target), installed_backends()[0])
    assert classifier.interpreter.input.size == 2000


def test_a_saved_model_of_any_length_asks_for_it(tensorflow, kinds):
    for name in ("any_length", "any_rank"):
        with pytest.raises(ModelError, match="--feature samples="):
            inferred_features(tensorflow, kinds / name, None, None, ("sample_rate=8000",), "")


def test_a_model_that_keeps_state_is_refused_with_what_to_do(convert, kinds):
    assert "keeps state between windows" in convert.refused(kinds / "remembering", features=WAVEFORM)


def test_several_functions_are_named(convert, kinds):
    assert "has the functions one, two" in convert.refused(kinds / "two_functions", features=WAVEFORM)


def test_the_named_one_of_several_outputs_is_converted(convert, kinds):
    convert(kinds / "several", features=WAVEFORM, chosen="scores", backends=installed_backends()[:1])
    assert read_package(convert.target).manifest.output.activation == "sigmoid"


def test_a_tflite_file_is_sent_to_models_add(convert, tmp_path):
    (tmp_path / "a.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(50))
    assert "audiomon models add a.tflite" in convert.refused(tmp_path / "a.tflite")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--labels", "a"], "please give --sample-rate"),
        (["--describe", "misspelt.yaml"], "misspelt.yaml:2: input.n_ftt"),
        (["--describe", "twice.yaml"], "twice.yaml:1: labels: a is there more"),
    ],
)
def test_what_the_options_lack_is_said_before_anything_is_converted(forms, tmp_path, options, expected):
    (tmp_path / "misspelt.yaml").write_text("labels: [a, b]\ninput: {sample_rate: 8000, n_ftt: 256}\n")
    spec = "{sample_rate: 8000, n_fft: 256, hop_length: 128, n_mels: 8, frames: 12}"
    (tmp_path / "twice.yaml").write_text(f"labels: [a, a]\ninput: {spec}\n")
    said = Audiomon(tmp_path)("convert", forms / "keras3.keras", "--to", "a", *options, model=None)
    assert expected in said.refused()
