"""What every kind of input owes, and a third kind, which no other package has heard of."""

import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile

from audiomon.features import InputSpec, LogMelSpec, WaveformSpec, whole_window
from tests.features.blocks import REGISTRATION
from tests.features.signals import noise
from tests.models.tiny import WAVEFORM, replace_in_manifest, write_tiny

REPOSITORY = Path(__file__).resolve().parents[2]
SPECS = {
    "log-mel": LogMelSpec(sample_rate=8000, n_fft=256, hop_length=100, n_mels=12, frames=9),
    "log-mel, turned": LogMelSpec(n_fft=64, hop_length=64, n_mels=4, frames=7, layout="bands-frames"),
    "waveform": WaveformSpec(sample_rate=8000, samples=900),
}


def test_every_kind_is_tried_here():
    assert {type(spec) for spec in SPECS.values()} == set(get_args(InputSpec))


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("hop_s", [0.001, 0.05, 60.0])
def test_a_cutter_s_hop_is_the_one_that_the_spec_promises_and_it_keeps_less_than_a_window(spec, hop_s):
    cutter = spec.cutter(hop_s)
    assert cutter.hop_samples / spec.sample_rate == spec.nearest_hop_s(hop_s)
    assert 0 < cutter.hop_samples <= spec.window_samples
    assert cutter.kept_samples + cutter.hop_samples <= spec.window_samples


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_window_has_the_shape_and_the_bits_that_it_has_on_its_own(spec):
    cutter = spec.cutter(spec.window_s / 3)
    samples = noise(spec.window_samples + 5 * cutter.hop_samples)
    assert whole_window(spec, samples[: spec.window_samples]).shape == spec.shape
    assert sorted(spec.axis_order) == list(range(len(spec.shape)))
    cutter.cut(samples[: spec.window_samples], first=True)
    for end in range(spec.window_samples + cutter.hop_samples, len(samples) + 1, cutter.hop_samples):
        window = cutter.cut(samples[end - cutter.hop_samples - cutter.kept_samples : end], first=False)
        np.testing.assert_array_equal(window, whole_window(spec, samples[end - spec.window_samples : end]))


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_what_a_kind_says_of_its_fields_names_fields_that_it_has(spec):
    assert {*spec.must_be_said, *spec.assumable} <= set(spec.__struct_fields__)
    assert not set(spec.must_be_said) & set(spec.assumable)
    assert spec.summary.startswith(spec.title)


def audiomon(start: Path, *arguments: object) -> str:
    command = [sys.executable, "-m", "audiomon", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": f"{start}:{REPOSITORY}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_third_kind_of_input_is_read_shown_and_classified_and_only_its_registration_knows_it(tmp_path):
    """It has the values of a waveform in another shape, so its scores must be the waveform's."""
    folder, wav = write_tiny(tmp_path / "tiny", "waveform"), tmp_path / "noise.wav"
    soundfile.write(wav, noise(3 * WAVEFORM.sample_rate), WAVEFORM.sample_rate, "PCM_16")
    classify = ("classify", "--csv", "-j", 1, "--model", folder, wav)
    as_waveform = audiomon(tmp_path, *classify)
    assert len(as_waveform.splitlines()) > 5
    replace_in_manifest(folder, "kind: waveform", "kind: blocks")
    replace_in_manifest(folder, ", full_scale: null", "")
    replace_in_manifest(folder, f"samples: {WAVEFORM.samples}", f"rows: 16, row_samples: {WAVEFORM.samples // 16}")
    (tmp_path / "sitecustomize.py").write_text(REGISTRATION)
    assert audiomon(tmp_path, *classify) == as_waveform
    assert "blocks, 16 rows of 100, 0.100 s at 16000 Hz" in audiomon(tmp_path, "models", "show", folder)
