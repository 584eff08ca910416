"""The model that ships works, and hears in the recording that ships what is in it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomon.config import Decisions, decision_rules
from audiomon.features import LogMel, LogMelSpec
from audiomon.models.checking_process import CheckingProcess
from audiomon.models.classifier import Classifier
from audiomon.models.interpreter import installed_backends
from audiomon.models.package import read_package

HOME = Path(__file__).parents[2] / "models" / "home"
SAMPLE = HOME / "sample.flac"
# Seconds of the sample that hold nothing but one thing, a window's length and a bit from its edges.
KNOWN = [
    ("background", 0.0, 2.9),
    ("speech", 3.5, 7.8),
    ("background", 8.4, 10.3),
    ("dog_bark", 10.4, 12.9),
    ("baby_cry", 15.2, 18.7),
]


@pytest.fixture(scope="module")
def package():
    return read_package(HOME)


@pytest.fixture(scope="module", params=installed_backends())
def classifier(request, package):
    return Classifier(package, request.param)


def windows_of(samples, spec, hop_frames=4):
    """Yield (start in seconds, window)."""
    front_end = LogMel(spec)
    frames = front_end.frames(samples)
    for start in range(0, len(frames) - spec.frames + 1, hop_frames):
        yield start * spec.hop_length / spec.sample_rate, front_end.finish(frames[start : start + spec.frames])


def test_it_has_the_four_labels_and_the_input_that_it_was_trained_with(package):
    assert package.manifest.labels == ("baby_cry", "background", "dog_bark", "speech")
    spec = package.manifest.input
    assert isinstance(spec, LogMelSpec)
    assert (spec.sample_rate, spec.n_fft, spec.hop_length) == (22_050, 2048, 512)
    assert spec.shape == (43, 40)
    # Above this, a 16 kHz recording is empty, and the training speech is 16 kHz.
    assert spec.fmax is not None
    assert spec.fmax <= 7600


def test_background_makes_no_events_by_default(package):
    rules = decision_rules(package.manifest.labels, package.manifest.decisions, Decisions())
    assert set(rules.thresholds) == {"baby_cry", "dog_bark", "speech"}


def test_it_passes_its_check_with_every_runtime(package):
    for backend in installed_backends():
        CheckingProcess(package.folder, backend).wait()


def test_it_reads_one_window_at_a_time(classifier):
    assert classifier.interpreter.input.shape == (1, 43, 40, 1)


def test_the_sample_is_small_and_at_the_rate_of_the_model(package):
    assert SAMPLE.stat().st_size <= 400_000
    assert soundfile.info(SAMPLE).samplerate == package.manifest.input.sample_rate


@pytest.mark.parametrize(("label", "start_s", "end_s"), KNOWN)
def test_it_hears_what_the_sample_holds(classifier, label, start_s, end_s):
    samples, rate = soundfile.read(SAMPLE, dtype="float32")
    heard = [
        classifier.labels[int(classifier.scores(window).argmax())]
        for at_s, window in windows_of(samples, classifier.spec)
        if start_s <= at_s and at_s + classifier.spec.window_samples / rate <= end_s
    ]
    assert len(heard) >= 5
    assert heard.count(label) >= 0.9 * len(heard), heard


@pytest.mark.parametrize("level_db", [-100, -80, -60, -40, -20, -3])
def test_noise_is_background_at_every_level(classifier, level_db):
    noise = np.random.default_rng(4).standard_normal(3 * 22_050) * 10 ** (level_db / 20)
    samples = (np.rint(noise * 32768).clip(-32768, 32767) / 32768).astype(np.float32)
    for _, window in windows_of(samples, classifier.spec):
        assert classifier.labels[classifier.scores(window).argmax()] == "background"


def test_digital_silence_is_background(classifier):
    for _, window in windows_of(np.zeros(30_000, dtype=np.float32), classifier.spec):
        assert classifier.scores(window)[classifier.labels.index("background")] > 0.9


@pytest.mark.parametrize("frequency_hz", [50, 100, 440, 1000, 3000, 6000])
def test_a_steady_tone_is_background(classifier, frequency_hz):
    time = np.arange(2 * 22_050) / 22_050
    tone = (0.1 * np.sin(2 * np.pi * frequency_hz * time)).astype(np.float32)
    noise = 1e-4 * np.random.default_rng(4).standard_normal(len(tone)).astype(np.float32)
    for _, window in windows_of(tone + noise, classifier.spec):
        assert classifier.labels[classifier.scores(window).argmax()] == "background"
