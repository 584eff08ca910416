"""Models that read raw samples, by the same commands as all others."""

import numpy as np
import pytest
import soundfile

from audiomon.models.classifier import Classifier
from audiomon.models.interpreter import choose_backend
from audiomon.models.package import read_package
from tests.cli.command import noise
from tests.models.tiny import WAVEFORM, write_tiny

RATE, WINDOW = WAVEFORM.sample_rate, WAVEFORM.samples


@pytest.fixture(scope="module", params=["waveform", "waveform_pcm"])
def model(request, audiomon):
    write_tiny(audiomon.folder / "models" / request.param, request.param)
    return request.param


def test_every_window_of_a_recording_is_answered_as_by_the_model_alone(audiomon, model):
    path = audiomon.write_audio("heard.wav", noise(1.0))
    lines = audiomon("classify", "--json", "--hop", "0.05", path, model=model).json
    package = read_package(audiomon.folder / "models" / model)
    classifier = Classifier(package, choose_backend("auto"))
    samples = soundfile.read(path, dtype="int16")[0].astype(np.float32) / 32768
    starts = range(0, len(samples) - WINDOW + 1, RATE // 20)
    assert [line["position_s"] for line in lines] == [(start + WINDOW) / RATE for start in starts]
    for line, start in zip(lines, starts, strict=True):
        expected = classifier.scores(samples[start : start + WINDOW])
        assert np.array_equal(np.float32(list(line["scores"].values())), expected)


def test_the_hop_may_be_a_share_of_the_window(audiomon, model):
    config = audiomon.folder / "half.yaml"
    config.write_text(f"model: {model}\nhop_fraction: 0.5\n", encoding="utf-8")
    path = audiomon.write_audio("heard.wav", noise(1.0))
    options = ("run", "--json", "--config", config, "--input", path)
    assert audiomon(*options, model=None).json[0]["hop_s"] == WINDOW / 2 / RATE
    # What is typed holds over what is saved.
    assert audiomon(*options, "--hop", "0.02", model=None).json[0]["hop_s"] == 0.02
    assert "a prediction every 0.050 s" in audiomon("check", "--no-device", "--config", config, model=None).out


def test_a_recording_at_another_rate_is_resampled_to_the_models(audiomon, model):
    pytest.importorskip("soxr")
    path = audiomon.write_audio("fast.wav", noise(1.0, 48_000), 48_000)
    lines = audiomon("run", "--json", "--input", path, model=model).json
    assert lines[0]["sample_rate"] == 48_000
    predictions = [line for line in lines if line["type"] == "prediction"]
    assert [line["position_s"] for line in predictions] == pytest.approx(
        [0.1 * n for n in range(1, len(predictions) + 1)]
    )
    assert len(predictions) >= 9
