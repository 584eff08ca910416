"""A package in an interpreter, and the process that checks it first."""

import msgspec
import numpy as np
import pytest

from audiomon.errors import ConfigError, ModelError
from audiomon.models.checking_process import CheckingProcess
from audiomon.models.classifier import Classifier, self_test_window
from audiomon.models.importing.write import SIGNALS
from audiomon.models.package import read_package
from tests.models.tiny import (
    LABELS,
    RUNNABLE,
    content,
    replace_in_manifest,
    replace_weights,
    tiny_package,
    tolerance,
    write_tiny,
)


@pytest.mark.parametrize("model", RUNNABLE)
def test_every_kind_of_model_passes_its_own_check(model, tmp_path, backend):
    package = tiny_package(tmp_path / "tiny", model, backend=backend)
    CheckingProcess(package.folder, backend).wait()
    classifier = Classifier(package, backend)
    classifier.self_test()
    classifier.warm()
    for sound in SIGNALS:
        scores = classifier.scores(self_test_window(sound, classifier.spec))
        assert scores.dtype == np.float32
        assert scores.shape == (len(LABELS),)
        assert 0 <= scores.min() <= scores.max() <= 1


def test_logits_come_out_as_softmax(tmp_path, backend):
    logits = Classifier(tiny_package(tmp_path / "logits", "logits"), backend)
    softmax = Classifier(tiny_package(tmp_path / "softmax", "float32"), backend)
    for sound in SIGNALS:
        window = self_test_window(sound, logits.spec)
        raw = logits.interpreter.run(window).astype(np.float64)
        expected = np.exp(raw) / np.exp(raw).sum()
        np.testing.assert_allclose(logits.scores(window), expected, atol=1e-6)
        np.testing.assert_allclose(softmax.scores(window), expected, atol=1e-6)


def test_huge_logits_do_not_overflow(tmp_path, backend):
    classifier = Classifier(tiny_package(tmp_path / "logits", "logits"), backend)
    scores = classifier.scores(np.full(classifier.spec.shape, 1e6, dtype=np.float32))
    assert np.isfinite(scores).all()
    assert scores.sum() == pytest.approx(1)


def test_logits_of_several_labels_at_once_come_out_as_sigmoid_whatever_their_size(tmp_path, backend):
    folder = write_tiny(tmp_path / "logits", "logits")
    replace_in_manifest(folder, "activation: logits", "activation: sigmoid-logits")
    classifier = Classifier(read_package(folder), backend)
    for sound in SIGNALS:
        window = self_test_window(sound, classifier.spec)
        raw = classifier.interpreter.run(window).astype(np.float64)
        np.testing.assert_allclose(classifier.scores(window), 1 / (1 + np.exp(-raw)), atol=1e-6)
    huge = classifier.scores(np.full(classifier.spec.shape, 1e6, dtype=np.float32))
    assert set(huge.tolist()) <= {0.0, 1.0}


def test_the_same_network_answers_alike_whatever_the_order_of_its_axes(tmp_path, backend):
    plain, flat = (Classifier(tiny_package(tmp_path / model, model), backend) for model in ("float32", "flat"))
    for sound in SIGNALS:
        window = self_test_window(sound, plain.spec)
        np.testing.assert_array_equal(plain.scores(window), flat.scores(window))
    turned = Classifier(tiny_package(tmp_path / "turned", "bands_first"), backend)
    for sound in SIGNALS:
        window = self_test_window(sound, turned.spec)
        np.testing.assert_array_equal(turned.scores(window), turned.interpreter.run(np.ascontiguousarray(window.T)))


def test_a_model_of_16_bit_samples_gets_them_as_they_were_captured(tmp_path, backend):
    classifier = Classifier(tiny_package(tmp_path / "pcm", "waveform_pcm"), backend)
    samples = np.random.default_rng(3).integers(-32768, 32768, classifier.spec.samples).astype(np.int16)
    given = []
    engine = classifier.interpreter._engine
    set_tensor = engine.set_tensor
    engine.set_tensor = lambda index, value: (given.append(value.copy()), set_tensor(index, value))
    classifier.scores(samples.astype(np.float32) / 32768)
    assert given[0].dtype == np.int16
    np.testing.assert_array_equal(given[0].ravel(), samples)


def test_samples_are_scaled_as_the_manifest_says(tmp_path, backend):
    folder = write_tiny(tmp_path / "tiny", "waveform")
    plain = Classifier(read_package(folder), backend)
    replace_in_manifest(folder, "full_scale: null", "full_scale: 0.5")
    halved = Classifier(read_package(folder), backend)
    window = self_test_window("chirp", plain.spec)
    np.testing.assert_array_equal(halved.scores(window), plain.scores(window / 2))


def refusal(folder, backend) -> str:
    """What loading says about a package, without its folder."""
    with pytest.raises((ConfigError, ModelError)) as caught:
        Classifier(read_package(folder), backend).self_test()
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith(str(folder))
    assert_the_checking_process_says(message, folder, backend)
    return message.removeprefix(str(folder))


def assert_the_checking_process_says(message: str, folder, backend) -> None:
    with pytest.raises((ConfigError, ModelError)) as caught:
        CheckingProcess(folder, backend).wait()
    assert str(caught.value) == message


def test_a_spec_that_disagrees_with_the_input_tensor_is_refused(folder, backend):
    replace_in_manifest(folder, "  frames: 20", "  frames: 21")
    assert refusal(folder, backend) == "/model.yaml:7: input: describes windows of 21×16, the model reads 1×20×16×1"


def test_axes_the_other_way_round_are_refused_with_what_would_be_right(tmp_path, backend):
    folder = write_tiny(tmp_path / "tiny")
    replace_in_manifest(folder, "layout: frames-bands", "layout: bands-frames")
    assert refusal(folder, backend) == (
        "/model.yaml:7: input: has the axes the other way round: the model reads 1×20×16×1; "
        "layout: frames-bands is right"
    )


def test_a_model_that_wants_stereo_is_refused_by_name(tmp_path, backend):
    folder = write_tiny(tmp_path / "tiny", "waveform")
    replace_weights(folder, content("stereo"))
    assert refusal(folder, backend) == (
        "/model.yaml:7: input: describes one channel, the model reads 2 (1×1600×2); audiomon is mono"
    )


def test_labels_that_disagree_with_the_output_tensor_are_refused(folder, backend):
    text = (folder / "model.yaml").read_text(encoding="utf-8")
    fewer = text.replace(", speech]", "]")
    for test in read_package(folder).manifest.self_test:
        written = f"expected: [{', '.join(f'{score:g}' for score in test.expected)}]"
        assert written in fewer
        fewer = fewer.replace(written, "expected: [0.5, 0.3, 0.2]")
    (folder / "model.yaml").write_text(fewer, encoding="utf-8")
    assert refusal(folder, backend) == "/model.yaml:6: labels: there are 3, the model gives 4 scores (1×4)"


def test_a_self_test_that_fails_says_which_sound_and_by_how_much(folder, backend):
    expected = read_package(folder).manifest.self_test[1].expected[1]
    replace_in_manifest(folder, f"{expected:g}", f"{expected - 0.25:g}")
    assert refusal(folder, backend) == (": its self-test fails here: noise differs by 0.25 (at most 0.001 is allowed)")


def test_a_difference_within_the_tolerance_passes(folder, backend):
    expected = read_package(folder).manifest.self_test[1].expected[1]
    replace_in_manifest(folder, f"{expected:g}", f"{expected - 0.0009:g}")
    Classifier(read_package(folder), backend).self_test()


def test_logits_that_are_called_softmax_are_refused(tmp_path, backend):
    folder = write_tiny(tmp_path / "tiny", "logits")
    replace_in_manifest(folder, "activation: logits", "activation: softmax")
    said = refusal(folder, backend)
    assert "output.activation: is softmax, which gives scores from 0 to 1, but this model gives -" in said
    assert said.endswith("; are they logits?")


@pytest.mark.parametrize("cut", [8, 100, 5000])
def test_a_truncated_model_with_a_fitting_checksum_is_refused_by_its_check(folder, backend, cut):
    replace_weights(folder, content("float32")[:cut])
    with pytest.raises(ModelError) as caught:
        CheckingProcess(folder, backend).wait()
    message = str(caught.value)
    assert message.startswith(f"{folder}/model.tflite: ")
    assert message.isprintable()
    assert backend in message


def test_the_answers_of_a_written_package_are_the_models_own(tmp_path, backend):
    for model in ("float32", "int8", "waveform"):
        package = tiny_package(tmp_path / model, model, backend=backend)
        classifier = Classifier(package, backend)
        assert [test.signal for test in package.manifest.self_test] == list(SIGNALS)
        for test in package.manifest.self_test:
            assert test.tolerance == tolerance(model)
            scores = classifier.scores(self_test_window(test.signal, classifier.spec))
            assert test.expected == tuple(round(float(score), 6) for score in scores)


def test_the_fingerprint_covers_all_that_the_manifest_says(folder):
    package = read_package(folder)
    again = read_package(folder)
    assert package.fingerprint == again.fingerprint
    other = msgspec.structs.replace(package.manifest, description="Another.")
    assert type(package)(package.folder, other, package.document, package.content).fingerprint != package.fingerprint


def test_scores_that_are_not_numbers_are_an_error_and_not_an_answer(folder, backend):
    classifier = Classifier(read_package(folder), backend)
    with pytest.raises(ModelError, match=r"model\.tflite: answers with scores that are not numbers"):
        classifier.scores(np.full(classifier.spec.shape, np.nan, dtype=np.float32))
