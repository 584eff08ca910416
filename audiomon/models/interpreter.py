"""The TFLite interpreter behind one small interface: LiteRT, or its predecessor tflite-runtime.

A damaged model can crash either, so only one that the checking process (`audiomon.models.classifier`) has passed should
be loaded here.
"""

import importlib
import importlib.util
import math
import re
import sys
from typing import Any, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.c_stderr import c_stderr_silenced
from audiomon.errors import ModelError

Float32 = NDArray[np.float32]
Backend = Literal["litert", "tflite-runtime"]

# Backend -> what it is installed as, and imported as.
_DISTRIBUTIONS: dict[Backend, str] = {"litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime"}
_PACKAGES: dict[Backend, str] = {"litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}

# Longer than any that a converter makes; names are quoted in errors and kept.
MAX_NAME_CHARS = 1000
_MAX_OUTPUTS_SHOWN = 8
_MAX_NAME_SHOWN = 60

# How the runtimes say which operator they lack: a custom one, or one of TensorFlow's own.
_FOREIGN_OPERATOR = re.compile(r"unresolved custom op: (\w+)|\((Flex\w+)\) failed to prepare")


class InterpreterError(ModelError):
    """A runtime refuses a model, or fails in it; also for want of memory, which it does not say."""


class Tensor(msgspec.Struct, frozen=True):
    """One input or output of a model.

    Attributes:
        index: the interpreter's number for it.
        name: as the model has it.
        shape: with the batch dimension.
        dtype: of its elements.
        scale: of a quantised tensor: real = scale · (stored - zero_point); 0 when it is not quantised.
        zero_point: see scale.
        fixed: whether the shape is always this one, save for the batch dimension.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero_point: int
    fixed: bool = True

    @property
    def is_pcm(self) -> bool:
        """Whether it holds plain 16-bit samples: integers that stand for nothing but themselves."""
        return bool(self.dtype == np.int16 and self.scale == 0)

    @property
    def limits(self) -> tuple[float, float] | None:
        """What it can hold, a step more at each end; None where that is anything, or plain samples."""
        if self.dtype.kind not in "iu" or self.scale == 0:
            return None
        stored = np.iinfo(self.dtype)
        return self.scale * (stored.min - self.zero_point - 1), self.scale * (stored.max - self.zero_point + 1)

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

    def resize_tensor_input(self, input_index: int, tensor_size: list[int]) -> None: ...

    def invoke(self) -> None: ...

    def reset_all_variables(self) -> None: ...

    def _get_ops_details(self) -> list[dict[str, Any]]: ...

    def get_tensor(self, index: int) -> NDArray[Any]: ...


def installed_backends() -> list[Backend]:
    """Return the runtimes that are installed and can work, best first."""
    found = [backend for backend in _PACKAGES if _is_installed(backend)]
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0" and "tflite-runtime" in found:
        found.remove("tflite-runtime")  # it imports, and then fails when an interpreter is made
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
        if _is_installed(wanted):
            raise ModelError(
                f"interpreter: tflite-runtime needs NumPy 1, here is {np.__version__}: pip install 'numpy<2'"
            )
        there = f"; installed here: {', '.join(installed)}" if installed else ""
        raise ModelError(f"interpreter: {wanted} is not installed: pip install {_DISTRIBUTIONS[wanted]}{there}")
    return wanted


class Interpreter:
    """A model, ready to run. Belongs to one thread at a time.

    Args:
        content: the bytes of a .tflite file.
        backend: which runtime.
        threads: for the kernels that use several.
        output: which one, if the model has several: its name or its number.
        values: in one window, for a model whose input has one dimension of any size.

    Raises:
        ModelError: the runtime cannot be loaded or refuses the model, or the model does not have one input and an
            output of numbers.
    """

    def __init__(
        self,
        content: bytes,
        backend: Backend,
        threads: int = 1,
        output: str | int | None = None,
        values: int = 0,
    ) -> None:
        if content[4:8] != b"TFL3":
            raise ModelError("is not a TFLite model (its identifier TFL3 is missing)")
        self.backend = backend
        self._fixed = False
        runtime, self.version = import_runtime(backend)
        try:
            with c_stderr_silenced():
                self._engine: _Engine = runtime.Interpreter(model_content=content, num_threads=threads)
                if values:
                    self._fix_input(values)
                self._engine.allocate_tensors()
            inputs = [_tensor(detail) for detail in self._engine.get_input_details()]
            self.outputs = tuple(_tensor(detail) for detail in self._engine.get_output_details())
        except (ValueError, RuntimeError) as error:  # a ValueError too when a name is not UTF-8
            foreign = _FOREIGN_OPERATOR.search(str(error))
            if foreign:
                raise ModelError(
                    f"needs the operator {_cut(foreign[1] or foreign[2])}, which {backend} has not"
                ) from None
            raise InterpreterError(f"{backend} refuses it: {_first_line(error)}") from None
        if len(inputs) != 1 or not self.outputs:
            raise ModelError(
                f"has {len(inputs)} inputs and {len(self.outputs)} outputs; audiomon needs one input and an output"
            )
        self.input = inputs[0]
        self.output = _chosen(self.outputs, output)
        if not (self.input.fixed or self._fixed):
            raise ModelError(
                "reads windows of no fixed length: convert it with a fixed input shape (in Keras, a batch_shape)"
            )
        self._reads_floats = self.input.dtype == np.float32
        self._gives_floats = self.output.dtype == np.float32
        for tensor, role in ((self.input, "reads"), (self.output, "gives")):
            quantised = tensor.dtype.kind in "iu" and tensor.scale > 0
            if tensor.dtype != np.float32 and not quantised and not (tensor is self.input and tensor.is_pcm):
                raise ModelError(
                    f"{role} {tensor.dtype}; it must be float32, or integers with a scale and a zero point"
                )

    def run(self, window: Float32) -> Float32:
        """Run the model once.

        Args:
            window: float32, as many elements as the input tensor, in its order. Quantised here if the model wants
                integers: stored = round(real / scale) + zero_point, held to the type's range; plain 16-bit integers
                have a scale of 1.

        Returns:
            float32, shape (output elements,), freshly made; real values if the model's are quantised.

        Raises:
            InterpreterError: an operation of the model fails.
        """
        tensor = self.input
        try:
            value = window.reshape(tensor.shape)
            # A recurrent layer's state, which TFLite would carry into the next window.
            self._engine.reset_all_variables()
            self._engine.set_tensor(tensor.index, value if self._reads_floats else _quantized(value, tensor))
            self._engine.invoke()
            result = self._engine.get_tensor(self.output.index).ravel()
        except (ValueError, RuntimeError) as error:
            raise InterpreterError(f"fails in {self.backend}: {_first_line(error)}") from None
        return result if self._gives_floats else _real(result, self.output)

    def _fix_input(self, values: int) -> None:
        """Give the input's one dimension of any size, save for the batch's, the size that makes that many values."""
        details = self._engine.get_input_details()
        if not details:
            return
        signature = [int(size) for size in details[0]["shape_signature"]]
        if len(signature) > 1 and signature[0] < 0:
            signature[0] = 1
        known = math.prod(size for size in signature if size >= 0)
        if signature.count(-1) == 1 and known and values % known == 0:
            shape = [values // known if size < 0 else size for size in signature]
            self._engine.resize_tensor_input(int(details[0]["index"]), shape)
            self._fixed = True

    def keeps_state(self) -> bool:
        """Whether the model keeps resource variables, which no runtime can reset, from one run to the next.

        Raises:
            InterpreterError: the runtime cannot list its operators.
        """
        try:
            # Neither runtime has a public way to list operators.
            return any(detail["op_name"] == "VAR_HANDLE" for detail in self._engine._get_ops_details())
        except ValueError as error:  # a name is not UTF-8
            raise InterpreterError(f"{self.backend} refuses it: {_first_line(error)}") from None


def _tensor(detail: dict[str, Any]) -> Tensor:
    if len(detail["name"]) > MAX_NAME_CHARS:
        raise ModelError(f"has a tensor whose name is {len(detail['name'])} characters long; is it damaged?")
    scale, zero_point = detail["quantization"]
    shape = tuple(int(size) for size in detail["shape"])
    # A first dimension of any size is the batch's, where others follow it.
    rest = detail["shape_signature"][1:] if len(shape) > 1 else detail["shape_signature"]
    fixed = all(size >= 0 for size in rest)
    return Tensor(int(detail["index"]), str(detail["name"]), shape, np.dtype(detail["dtype"]), scale, zero_point, fixed)


def _chosen(outputs: tuple[Tensor, ...], wanted: str | int | None) -> Tensor:
    """Return the output that is wanted; without a wish, the only one."""
    if wanted is None and len(outputs) == 1:
        return outputs[0]
    for number, tensor in enumerate(outputs):
        if wanted in (number, tensor.name):
            return tensor
    there = ", ".join(
        f"{number}: {_cut(tensor.name)} ({'×'.join(map(str, tensor.shape))})"
        for number, tensor in enumerate(outputs[:_MAX_OUTPUTS_SHOWN])
    ) + (", …" if len(outputs) > _MAX_OUTPUTS_SHOWN else "")
    if wanted is None:
        raise ModelError(f"has {len(outputs)} outputs; say which one has the scores (output.tensor): {there}")
    raise ModelError(f"has no output {_cut(str(wanted))!r}; it has {there}")


def _cut(name: str) -> str:
    return name if len(name) <= _MAX_NAME_SHOWN else name[:_MAX_NAME_SHOWN] + "…"


def _quantized(value: Float32, tensor: Tensor) -> NDArray[Any]:
    limits = np.iinfo(tensor.dtype)
    stored = np.rint(value / np.float32(tensor.scale or 1)) + tensor.zero_point
    integers: NDArray[Any] = np.clip(stored, limits.min, limits.max).astype(tensor.dtype)
    return integers


def _real(stored: NDArray[Any], tensor: Tensor) -> Float32:
    return (stored.astype(np.float32) - np.float32(tensor.zero_point)) * np.float32(tensor.scale)


def _is_installed(backend: Backend) -> bool:
    # Not importlib.metadata: importing that costs 20 ms at every start.
    return importlib.util.find_spec(_PACKAGES[backend]) is not None


def import_runtime(backend: Backend) -> tuple[Any, str]:
    """Import a runtime.

    Returns:
        Its module, and its version.

    Raises:
        ModelError: it does not work here.
    """
    package = _PACKAGES[backend]
    try:
        module = importlib.import_module(f"{package}.interpreter")
    except ImportError as error:
        raise ModelError(f"interpreter: {backend} is installed but does not work here: {_first_line(error)}") from None
    return module, str(sys.modules[package].__version__)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
