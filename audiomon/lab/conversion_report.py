"""What a conversion found out, in words: for the terminal, the model card and the manifest."""

import importlib.metadata
from dataclasses import dataclass
from typing import Any, get_args

from audiomon import __version__
from audiomon.lab.convert import Precision
from audiomon.lab.inspect_tflite import Contents
from audiomon.lab.original import Layer
from audiomon.lab.proof import ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE, Proof
from audiomon.models.importing.describe import times
from audiomon.models.interpreter import Backend, installed_backends

_ONLY_IN_TRAINING = {
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
}

# Operators whose weights can take in a scale and an offset.
_HAVE_WEIGHTS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "CONV_3D"}
_KIND_WIDTH = 40


@dataclass(frozen=True, slots=True)
class ConversionReport:
    """Everything worth saying about one conversion.

    Attributes:
        source: names of the original's files.
        origin: what form they are.
        layers: of the original.
        precision: of the converted model.
        inside: what the .tflite file holds.
        xnnpack: positions of the operators that XNNPACK takes, for each runtime.
        proof: comparison with the original.
        presumed: feature options that nobody gave, with their defaults.
        source_bytes: of the original's files.
    """

    source: str
    origin: str
    layers: tuple[Layer, ...]
    precision: Precision
    inside: Contents
    xnnpack: dict[Backend, tuple[int, ...]]
    proof: Proof
    presumed: dict[str, Any]
    source_bytes: int

    @property
    def text(self) -> str:
        """All of it, for a terminal."""
        return "\n\n".join("\n".join(part) for part in (self._before(), self._after(), self._sizes(), self._verdict()))

    def _before(self) -> list[str]:
        rows = [
            (
                layer.name,
                layer.kind if len(layer.kind) <= _KIND_WIDTH else layer.kind[: _KIND_WIDTH - 1] + "…",
                "" if layer.shape is None else times(layer.shape),
                "" if layer.parameters is None else f"{layer.parameters:,}",
                self._fate(layer),
            )
            for layer in self.layers
        ]
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
        return [
            f"{self.source} ({self.origin}), {len(self.layers)} layers:",
            *(
                f"  {name:<{widths[0]}}  {kind:<{widths[1]}}  {shape:>{widths[2]}}  {parameters:>{widths[3]}}  → {fate}"
                for name, kind, shape, parameters, fate in rows
            ),
        ]

    def _fate(self, layer: Layer) -> str:
        positions = [index for index, operator in enumerate(self.inside.operators) if layer.name in operator.layers]
        if positions:
            index = positions[-1]
            operator = self.inside.operators[index]
            if "BatchNorm" in layer.kind or "Rsqrt" in layer.kind:
                return (
                    f"folded into {index} {operator.kind}"
                    if operator.kind in _HAVE_WEIGHTS
                    else f"{index} {operator.kind}"
                )
            if operator.activation != "NONE" and operator.activation.replace("_", "") in layer.kind.upper():
                return f"fused into {index} {operator.kind}"
            return ", ".join(f"{number} {self.inside.operators[number].kind}" for number in positions)
        if "BatchNorm" in layer.kind:
            return "folded into its neighbours' weights"  # whose names alone the converter kept
        return "gone: only for training" if layer.kind in _ONLY_IN_TRAINING else "gone: nothing to do"

    def _after(self) -> list[str]:
        operators = self.inside.operators
        lines = [f"model.tflite ({self.precision}, batch fixed at 1), {len(operators)} operators:"]
        for index, operator in enumerate(operators):
            kind = operator.kind if operator.activation == "NONE" else f"{operator.kind} + {operator.activation}"
            lines.append(f"  {index:>2} {kind:<28} {times(operator.shape):>14} {operator.dtype}")
        for backend, taken in self.xnnpack.items():
            left = [f"{index} {operators[index].kind}" for index in range(len(operators)) if index not in taken]
            rest = f"; not {', '.join(left)}" if left and taken else ""
            lines.append(f"  XNNPACK takes {len(taken)} of {len(operators)} in {backend}{rest}")
        return lines

    def _sizes(self) -> list[str]:
        inside = self.inside
        return [
            f"files     {_kib(self.source_bytes)} before, {_kib(inside.file_bytes)} after",
            f"tensors   {_kib(inside.weight_bytes)} of constants, {_kib(inside.activation_bytes)} of the rest if "
            f"nothing shared memory (the runtimes do not tell their arena)",
        ]

    def _verdict(self) -> list[str]:
        lines = [
            f"against the original, np.isclose (rtol {RELATIVE_TOLERANCE:g}, atol {ABSOLUTE_TOLERANCE:g}):",
            *(
                f"  {one.backend + ' ' + one.version:<22} {one.windows} {one.inputs + ' windows':<17} "
                f"{one.close:>3} close, same label {one.same_label}, largest difference {one.largest_difference:.2g}"
                for one in self.proof.agreements
            ),
        ]
        if len(self.xnnpack) > 1:
            lines.append(f"  largest difference between the runtimes {self.proof.between_runtimes:.2g}")
        lines += [
            f"  not tried on {backend}{_why_not(backend)}"
            for backend in get_args(Backend)
            if backend not in self.xnnpack
        ]
        accuracy = self.proof.accuracy
        if accuracy:
            lines.append(
                f"  right label on {accuracy.windows} labelled windows: {accuracy.original} before "
                f"({accuracy.original / accuracy.windows:.1%}), {accuracy.converted} after "
                f"({accuracy.converted / accuracy.windows:.1%})"
            )
        elif self.precision != "float32":
            lines.append("  accuracy not measured: --labelled FOLDER with recordings in folders named for the labels")
        if self.presumed:
            options = ", ".join(f"{key}={'null' if value is None else value}" for key, value in self.presumed.items())
            lines += ["", f"feature options not given, so librosa's defaults: {options}"]
        return lines


def provenance(report: ConversionReport) -> dict[str, Any]:
    """Say where a package comes from, for its manifest's ``training``: plain data."""
    proof = report.proof
    return {
        "converted_from": report.source,
        "form": report.origin,
        "precision": report.precision,
        "command": "audiomon convert",
        "versions": {
            "audiomon": __version__,
            **{name: importlib.metadata.version(name) for name in ("tensorflow", "keras") if _installed(name)},
        },
        "proof": {
            "is_close": proof.is_close,
            "largest_difference": float(f"{proof.largest_difference:.3g}"),
            "same_label": f"{sum(one.same_label for one in proof.agreements)} of "
            f"{sum(one.windows for one in proof.agreements)}",
            "runtimes": sorted({f"{one.backend} {one.version}" for one in proof.agreements}),
        },
    }


def card(name: str, report: ConversionReport, labels: tuple[str, ...]) -> str:
    """Write a model card, Markdown."""
    return (
        f"# {name}\n\nConverted by `audiomon convert` from {report.source}.\n\n"
        f"Labels: {', '.join(labels)}.\n\n```\n{report.text}\n```\n"
    )


def _why_not(backend: Backend) -> str:
    return "" if backend in installed_backends() else ", which is not installed here"


def _kib(size: int) -> str:
    return f"{size / 1024:.1f} KiB"


def _installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
