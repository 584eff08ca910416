"""Model packages made of the small .tflite files in ``fixtures/``; `make_models` makes those."""

import functools
import hashlib
import tempfile
from pathlib import Path

import msgspec

from audiomon.config import Decisions
from audiomon.features import LogMelSpec, Normalization, WaveformSpec
from audiomon.models.importing.write import write_package
from audiomon.models.interpreter import Backend
from audiomon.models.manifest import Manifest, OutputSpec, SelfTest
from audiomon.models.package import ModelPackage, read_package

FIXTURES = Path(__file__).parent / "fixtures"
LABELS = ("background", "baby_cry", "dog_bark", "speech")
LOG_MEL = LogMelSpec(
    sample_rate=16_000,
    n_fft=512,
    hop_length=256,
    n_mels=16,
    frames=20,
    normalization=Normalization(mean=-40.0, std=30.0),
)
WAVEFORM = WaveformSpec(sample_rate=16_000, samples=1600)

BANDS_FIRST = msgspec.structs.replace(LOG_MEL, layout="bands-frames")
METADATA_ROOM = b"room for metadata".ljust(2048, b".")  # in metadata_room.tflite
SCORES = "StatefulPartitionedCall_1:1"  # of the two outputs, the one that is not an embedding

# Every fixture that audiomon can run, and what its manifest has to say of it.
RUNNABLE = {
    "float32": (LOG_MEL, "softmax"),
    "float16": (LOG_MEL, "softmax"),
    "dynamic_int8": (LOG_MEL, "softmax"),
    "int8": (LOG_MEL, "softmax"),
    "uint8": (LOG_MEL, "softmax"),
    "dynamic_batch": (LOG_MEL, "softmax"),
    "logits": (LOG_MEL, "logits"),
    "sigmoid": (LOG_MEL, "sigmoid"),
    "waveform": (WAVEFORM, "softmax"),
    "waveform_pcm": (WAVEFORM, "softmax"),
    "bands_first": (BANDS_FIRST, "softmax"),
    "flat": (LOG_MEL, "softmax"),
    "two_outputs": (LOG_MEL, "softmax"),
}


def content(model: str) -> bytes:
    return (FIXTURES / f"{model}.tflite").read_bytes()


def manifest(model: str = "float32") -> Manifest:
    """A manifest whose checksum and self-test are yet to be filled in, as `write_package` takes it."""
    spec, activation = RUNNABLE.get(model, (LOG_MEL, "softmax"))
    return Manifest(
        format=1,
        name="tiny",
        description="Never trained; for tests.",
        sha256="0" * 64,
        labels=LABELS,
        input=spec,
        self_test=(SelfTest(signal="silence", expected=(0.0,) * len(LABELS)),),
        license="MIT",
        output=OutputSpec(activation=activation, tensor=SCORES if model == "two_outputs" else None),
        decisions=Decisions(deny=("background",)),
    )


def write_tiny(folder: Path, model: str = "float32", *, backend: Backend | None = None) -> Path:
    """Write a package that passes its checks."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, written in _package_files(model, backend).items():
        (folder / name).write_bytes(written.replace(b"\nname: tiny\n", f"\nname: {folder.name}\n".encode()))
    return folder


@functools.cache  # checking a package takes as long as starting Python twice
def _package_files(model: str, backend: Backend | None) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "tiny"
        write_package(folder, content(model), manifest(model), "# Tiny\n", tolerance=tolerance(model), backend=backend)
        return {path.name: path.read_bytes() for path in folder.iterdir()}


def tiny_package(folder: Path, model: str = "float32", *, backend: Backend | None = None) -> ModelPackage:
    return read_package(write_tiny(folder, model, backend=backend))


def tolerance(model: str) -> float:
    return 0.02 if "int8" in model else 0.001


def replace_in_manifest(folder: Path, old: str, new: str) -> None:
    """Edit a package's model.yaml as a person would."""
    path = folder / "model.yaml"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, text
    path.write_text(text.replace(old, new), encoding="utf-8")


def replace_weights(folder: Path, damaged: bytes) -> None:
    """Put other bytes into a package, and the checksum that goes with them."""
    old = hashlib.sha256((folder / "model.tflite").read_bytes()).hexdigest()
    (folder / "model.tflite").write_bytes(damaged)
    replace_in_manifest(folder, old, hashlib.sha256(damaged).hexdigest())
