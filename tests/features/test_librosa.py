"""Held to librosa itself, over combinations of options that nobody listed."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomon.features import LogMel
from audiomon.models.classifier import Classifier
from audiomon.models.interpreter import choose_backend
from audiomon.models.self_test import make_signal
from tests.features.grid import specs
from tests.features.oracle import allowed_in_bands, allowed_in_window, librosa_bands, librosa_window
from tests.features.signals import SIGNALS, everything
from tests.models.tiny import LOG_MEL, tiny_package

pytest.importorskip("librosa", reason="librosa is not installed; test_golden compares with what it once computed")

signals = st.sampled_from([*SIGNALS.values(), everything])


@settings(max_examples=150, deadline=None)
@given(spec=specs(), make=signals)
def test_bands_and_windows_are_those_of_librosa(spec, make):
    samples = make(spec.window_samples)
    expected = librosa_bands(samples, spec)

    linear = msgspec.structs.replace(spec, log="none", ref=1.0, top_db=None, normalization=None)
    assert np.all(np.abs(LogMel(linear).frames(samples) - expected) <= allowed_in_bands(expected, spec))

    front_end = LogMel(spec)
    window = front_end.finish(front_end.frames(samples))
    differences = np.abs(window - librosa_window(expected, spec))
    assert np.all(differences <= allowed_in_window(expected, spec))


def test_a_model_scores_our_windows_as_it_scores_those_of_librosa(tmp_path):
    classifier = Classifier(tiny_package(tmp_path / "tiny"), choose_backend("auto"))
    front_end = LogMel(LOG_MEL)
    sounds = [make(LOG_MEL.window_samples) for make in (*SIGNALS.values(), everything)]
    sounds += [
        make_signal(signal, LOG_MEL.window_samples, LOG_MEL.sample_rate) * np.float32(1 / 32768)
        for signal in ("silence", "noise", "chirp", "clicks")
    ]
    for samples in sounds:
        ours = classifier.scores(front_end.finish(front_end.frames(samples))).copy()
        theirs = classifier.scores(librosa_window(librosa_bands(samples, LOG_MEL, np.float32), LOG_MEL))
        assert np.abs(ours - theirs).max() < 1e-4
