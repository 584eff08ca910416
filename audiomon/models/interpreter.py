"""The TFLite interpreter behind one small interface: LiteRT, or its predecessor tflite-runtime.

A damaged model can crash either, so nothing but `audiomon.models.package.open_model` and the checking process should
load one here.
"""

import importlib
import importlib.metadata
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from audiomon.errors import ModelError

Float32 = NDArray[np.float32]
Backend = Literal["litert", "tflite-runtime"]

_MODULES: dict[Backend, tuple[str, str]] = {
    "litert": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    "tflite-runtime": ("tflite_runtime.interpreter", "tflite-runtime"),
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output of a model.

    Attributes:
        index: the interpreter's number for it.
        name: as the model has it.
        shape: with the batch dimension.
        dtype: of its elements.
        scale: of a quantised tensor: real = scale · (stored - zero_point); 0 when it is not quantised.
        zero_point: see scale.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero_point: int

    @property
    def size(self) -> int:
        """Elements in all."""
        return int(np.prod(self.shape))


class _Engine(Protocol):
    """What both runtimes' ``Interpreter`` classes have."""

    def allocate_tensors(self) -> None: ...

    def get_input_details(self) -> list[dict[str, Any]]: ...

    def get_output_details(self) -> list[dict[str, Any]]: ...

    def set_tensor(self, index: int, value: NDArray[Any]) -> None: ...

    def invoke(self) -> None: ...

    def get_tensor(self, index: int) -> NDArray[Any]: ...


def installed_backends() -> list[Backend]:
    """Return the runtimes that are installed and can work, best first."""
    found: list[Backend] = []
    for backend, (_, distribution) in _MODULES.items():
        try:
            importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
        if backend == "tflite-runtime" and np.lib.NumpyVersion(np.__version__) >= "2.0.0":
            continue  # imports, and then fails when an interpreter is made
        found.append(backend)
    return found


def choose_backend(wanted: Literal["auto"] | Backend) -> Backend:
    """Turn the configuration's ``interpreter`` into one that is installed.

    Raises:
        ModelError: it is not, or none is.
    """
    installed = installed_backends()
    if wanted == "auto":
        if not installed:
            raise ModelError("no TFLite interpreter is installed: pip install ai-edge-litert (or tflite-runtime)")
        return installed[0]
    if wanted not in installed:
        if wanted == "tflite-runtime" and not _missing("tflite-runtime"):
            raise ModelError(
                f"interpreter: tflite-runtime needs NumPy 1, here is {np.__version__}: pip install 'numpy<2'"
            )
        there = f"; installed here: {', '.join(installed)}" if installed else ""
        raise ModelError(f"interpreter: {wanted} is not installed: pip install {_MODULES[wanted][1]}{there}")
    return wanted


class Interpreter:
    """A model, ready to run. Belongs to one thread at a time.

    Args:
        content: the bytes of a .tflite file.
        backend: which runtime.
        threads: for the kernels that use several.

    Raises:
        ModelError: the runtime refuses the model, or it has more than one input, or an input of unknown size.
    """

    def __init__(self, content: bytes, backend: Backend, threads: int = 1) -> None:
        if content[4:8] != b"TFL3":
            raise ModelError("is not a TFLite model (its identifier TFL3 is missing)")
        module, distribution = _MODULES[backend]
        runtime = importlib.import_module(module)
        self.backend = backend
        self.version = importlib.metadata.version(distribution)
        try:
            self._engine: _Engine = runtime.Interpreter(model_content=content, num_threads=threads)
            self._engine.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{backend} refuses it: {_first_line(error)}") from None
        inputs = [_tensor(detail) for detail in self._engine.get_input_details()]
        if len(inputs) != 1:
            raise ModelError(f"has {len(inputs)} inputs; only models with one are supported")
        self.input = inputs[0]
        self.outputs = tuple(_tensor(detail) for detail in self._engine.get_output_details())
        self.output = self.outputs[0]

    def run(self, window: Float32) -> Float32:
        """Run the model once.

        Args:
            window: float32, as many elements as the input tensor, in its order. Quantised here if the model wants
                integers: stored = round(real / scale) + zero_point, held to the type's range.

        Returns:
            float32, shape (output elements,), freshly made; real values if the model's are quantised.
        """
        tensor = self.input
        value = window.reshape(tensor.shape)
        self._engine.set_tensor(tensor.index, value if tensor.dtype == np.float32 else _quantized(value, tensor))
        self._engine.invoke()
        result = self._engine.get_tensor(self.output.index).ravel()
        return result if self.output.dtype == np.float32 else _real(result, self.output)


def _tensor(detail: dict[str, Any]) -> Tensor:
    scale, zero_point = detail["quantization"]
    shape = tuple(int(size) for size in detail["shape"])
    return Tensor(int(detail["index"]), str(detail["name"]), shape, np.dtype(detail["dtype"]), scale, zero_point)


def _quantized(value: Float32, tensor: Tensor) -> NDArray[Any]:
    if tensor.scale == 0:
        return value.astype(tensor.dtype)
    limits = np.iinfo(tensor.dtype)
    stored = np.rint(value / np.float32(tensor.scale)) + tensor.zero_point
    integers: NDArray[Any] = np.clip(stored, limits.min, limits.max).astype(tensor.dtype)
    return integers


def _real(stored: NDArray[Any], tensor: Tensor) -> Float32:
    if tensor.scale == 0:
        return stored.astype(np.float32)
    return (stored.astype(np.float32) - np.float32(tensor.zero_point)) * np.float32(tensor.scale)


def _missing(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return True
    return False


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
