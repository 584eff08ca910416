"""From a trained model's file to a model package: read, convert, prove, write.

In that order: what fails leaves no package behind.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiomon.errors import ModelError, UserError
from audiomon.features import FrontEnd
from audiomon.lab.conversion_report import ConversionReport, card, provenance
from audiomon.lab.convert import Precision, convert
from audiomon.lab.inspect_tflite import Contents, contents, taken_by_xnnpack
from audiomon.lab.keras_files import check_existence, read_keras
from audiomon.lab.original import Layer, OriginalModel
from audiomon.lab.proof import Answered, Labelled, Proof, ProofError, prove, random_windows
from audiomon.lab.recorded_windows import read_labelled_windows, read_windows
from audiomon.lab.tensorflow_process import Progress, TensorFlowProcess
from audiomon.models.importing.describe import Described, activation, check_shapes
from audiomon.models.importing.write import write_package
from audiomon.models.interpreter import Backend
from audiomon.models.manifest import Manifest, OutputSpec
from audiomon.models.package import MANIFEST

Float32 = NDArray[np.float32]

PROOF_WINDOWS = 100
STAGES = 6
_CALIBRATION_WINDOWS = 300
_LABELLED_WINDOWS_PER_LABEL = 100

# The least that a package's self-test allows a score to differ by: another processor's kernels sum in another order,
# and a quantised model turns the last bit of a sum into a step (int8 scores are whole 256ths; 0.012 was seen between
# x86 and ARM).
_LEAST_TOLERANCE: dict[Precision, float] = {"float32": 0.001, "float16": 0.002, "dynamic": 0.02, "int8": 0.04}
_LARGEST_TOLERANCE = 0.5
# Seen when every recording was alike and an activation hardly ever left 0.
_INT8_HINT = "; int8 needs recordings as varied as what the model will hear"


@dataclass(frozen=True, slots=True)
class Request:
    """What to convert, and into what.

    Attributes:
        model: the trained model's file or folder.
        weights: its weights, if it is an architecture .json.
        target: folder of the package.
        precision: of the converted model.
        described: labels, features and the rest that the file does not say.
        audio: folder of recordings for proof and calibration, or None.
        labelled: folder of recordings in folders named for labels, or None.
        backends: runtimes to prove it on; the first answers the self-test.
        replace: whether a package that is there may be replaced.
        output: name or number of the output that has the scores; empty if there is one.
    """

    model: Path
    weights: Path | None
    target: Path
    precision: Precision
    described: Described
    audio: Path | None
    labelled: Path | None
    backends: list[Backend]
    replace: bool
    output: str = ""

    @property
    def source(self) -> str:
        """The original's files, in words."""
        return self.model.name if self.weights is None else f"{self.model.name} + {self.weights.name}"

    @property
    def files(self) -> list[Path]:
        """The original's files."""
        if self.model.is_dir():
            return sorted(path for path in self.model.rglob("*") if path.is_file())
        return [self.model] if self.weights is None else [self.model, self.weights]


def check_request(request: Request) -> None:
    """Refuse early what can be refused without loading TensorFlow.

    Raises:
        ModelError: there is no such model.
        UserError: a package is in the way, or int8 has nothing to be calibrated on.
    """
    check_existence(request.model, request.weights)
    if (request.target / MANIFEST).exists() and not request.replace:
        raise UserError(f"{request.target}: is a model package already; --replace to replace it")
    if request.precision == "int8" and request.audio is None:
        raise UserError(
            "int8 is calibrated on real sound: --audio FOLDER with recordings like those the model will hear"
        )


def convert_package(request: Request, tensorflow: TensorFlowProcess, progress: Progress) -> ConversionReport:
    """Convert a model and write the package.

    Args:
        request: what to do.
        tensorflow: where TensorFlow runs.
        progress: called with what begins next, `STAGES` times.

    Returns:
        What was found out on the way.

    Raises:
        UserError: something about the model, its description or the recordings is wrong.
        ProofError: the result does not answer as the original does; no package is written.
    """
    check_request(request)
    progress("reading recordings")
    sounds = _sounds(request)
    calibrated = request.precision == "int8"
    converted = tensorflow.call(_convert, request, sounds, progress=progress)
    progress("proving")
    try:
        proof = prove(converted.content, request.backends, converted.compared, converted.labelled)
    except ModelError as error:
        raise ModelError(f"{request.source}: converted, but {error}{_INT8_HINT if calibrated else ''}") from None
    if request.precision == "float32" and not proof.is_close:
        raise ProofError(not_close(proof))
    report = ConversionReport(
        source=request.source,
        origin=converted.origin,
        layers=converted.layers,
        precision=request.precision,
        inside=converted.inside,
        xnnpack={backend: taken_by_xnnpack(converted.content, backend) for backend in request.backends},
        proof=proof,
        presumed=request.described.presumed,
        source_bytes=sum(path.stat().st_size for path in request.files),
    )
    progress("writing the package")
    _write(request, converted, report)
    return report


@dataclass(frozen=True, slots=True)
class _Sounds:
    """Windows of recordings, or None where no folder was given."""

    calibration: Float32 | None
    proof: Float32 | None
    labelled: tuple[Float32, NDArray[np.int64]] | None


@dataclass(frozen=True, slots=True)
class _Converted:
    """What comes back from TensorFlow's process."""

    origin: str
    layers: tuple[Layer, ...]
    content: bytes
    inside: Contents
    output: OutputSpec
    compared: dict[str, Answered]
    labelled: Labelled | None


def _sounds(request: Request) -> _Sounds:
    description = request.described.description
    calibration = proof = labelled = None
    if request.audio:
        calibration = _arranged(read_windows(request.audio, description.input, _CALIBRATION_WINDOWS), description.input)
        count = min(PROOF_WINDOWS, len(calibration))
        proof = calibration[[index * len(calibration) // count for index in range(count)]]
    if request.labelled:
        windows, right = read_labelled_windows(
            request.labelled, description.input, description.labels, _LABELLED_WINDOWS_PER_LABEL
        )
        labelled = _arranged(windows, description.input), right
    return _Sounds(calibration, proof, labelled)


def _arranged(windows: Float32, spec: FrontEnd) -> Float32:
    """Turn windows (n, …) of a spec's shape into the order in which the model reads them."""
    return windows.transpose(0, *(1 + axis for axis in spec.axis_order))


def _convert(progress: Progress, request: Request, sounds: _Sounds) -> _Converted:
    """Do what needs TensorFlow. Runs in its process."""
    progress("loading TensorFlow and the model")
    description = request.described.description
    original = read_keras(request.model, request.weights, output=request.output, window=window_shape(description.input))
    random = random_windows(original.input_shape, PROOF_WINDOWS)
    check_shapes(description, original.input_shape, original.answers(random[:1]).shape[1])
    progress("converting")
    calibration = sounds.calibration
    if calibration is not None:
        calibration = calibration.reshape(-1, *original.input_shape)
    conversion = convert(original, request.precision, calibration)
    inside = contents(conversion.content, conversion.scopes)
    output = activation(description, inside.kinds)
    progress("asking the original")
    compared = {"random": _answered(original, random)}
    if sounds.proof is not None:
        compared["recorded"] = _answered(original, sounds.proof)
    labelled = None
    if sounds.labelled is not None:
        windows, right = sounds.labelled
        labelled = Labelled(_answered(original, windows), right)
    return _Converted(original.origin, original.layers, conversion.content, inside, output, compared, labelled)


def window_shape(spec: FrontEnd) -> tuple[int, ...]:
    """Return the shape of a window as the model reads it."""
    return tuple(spec.shape[axis] for axis in spec.axis_order)


def _answered(original: OriginalModel, windows: Float32) -> Answered:
    windows = windows.reshape(-1, *original.input_shape)
    return Answered(windows, original.answers(windows))


def _write(request: Request, converted: _Converted, report: ConversionReport) -> None:
    description = request.described.description
    manifest = Manifest(
        format=1,
        name=request.target.name,
        description=description.description or f"Converted from {request.source}",
        sha256="0" * 64,
        labels=description.labels,
        input=description.input,
        self_test=(),
        license=description.license,
        output=converted.output,
        decisions=description.decisions,
        training={**provenance(report), "checksums": _checksums(request)},
    )
    write_package(
        request.target,
        converted.content,
        manifest,
        card(request.target.name, report, description.labels),
        tolerance=self_test_tolerance(request.precision, report.proof),
        backend=request.backends[0],
    )


def self_test_tolerance(precision: Precision, proof: Proof) -> float:
    """Return what a package's self-test allows a score to differ by on other machines."""
    return min(_LARGEST_TOLERANCE, max(_LEAST_TOLERANCE[precision], 4 * proof.between_runtimes))


def not_close(proof: Proof) -> str:
    """Say how far a converted model is from its original."""
    worst = max(proof.agreements, key=lambda agreement: agreement.windows - agreement.close)
    return (
        f"the converted model does not answer as the original does: {worst.windows - worst.close} of {worst.windows} "
        f"{worst.inputs} windows differ on {worst.backend}, by up to {worst.largest_difference:.3g}; "
        f"no package is written"
    )


def _checksums(request: Request) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in request.files}
