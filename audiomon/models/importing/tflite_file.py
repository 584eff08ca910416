"""Takes a .tflite file apart: tensors, operators and metadata. Reads; never runs a model, and changes nothing.

By TFLite's published schema, through the `tflite` package. That package verifies nothing, so here is where a damaged
file is found out.
"""

import contextlib
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from audiomon.errors import ModelError, UserError
from audiomon.extras import install_extra

try:
    import tflite
except ImportError:
    raise UserError(
        f"reading a model file needs the packages tflite and flatbuffers: {install_extra('import')}"
    ) from None

# What a damaged file makes of the flatbuffers library.
_DAMAGES = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError, AssertionError, MemoryError)
# In all lists and names together, far more than any model has: a damaged length says billions, and many lists may lie
# in one place.
_MAX_ITEMS = 10_000_000
_METADATA = "TFLITE_METADATA"


def _names(constants: Any) -> dict[int, str]:
    return {value: name for name, value in vars(constants).items() if isinstance(value, int)}


_KINDS = _names(tflite.BuiltinOperator)
_DTYPES = {value: name.lower() for value, name in _names(tflite.TensorType).items()}
_ACTIVATIONS = _names(tflite.ActivationFunctionType)
_OPTIONS = _names(tflite.BuiltinOptions)


@dataclass(frozen=True, slots=True)
class TfliteTensor:
    """A tensor of the file.

    Attributes:
        number: in the file.
        name: as the file has it.
        shape: with the batch dimension.
        signature: the same, with -1 where a size is not fixed.
        dtype: ``float32``, ``int8`` …
        constant: whether the file has its values.
        quantised: whether its integers stand for real numbers.
        scale: of a tensor that is quantised as a whole: real = scale · (stored - zero_point); otherwise 0.
        zero_point: see scale.
    """

    number: int
    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    dtype: str
    constant: bool
    quantised: bool
    scale: float
    zero_point: int

    @property
    def size(self) -> int:
        """Elements in all."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class TfliteOperator:
    """An operator of the file.

    Attributes:
        kind: ``CONV_2D``; ``CUSTOM`` for one that is none of TFLite's own.
        inputs: numbers of tensors; -1 for one that is left out.
        outputs: numbers of tensors.
        activation: fused into it: ``RELU``, or ``NONE``.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: str


@dataclass(frozen=True, slots=True)
class TfliteFile:
    """A .tflite file. Tensors and operators are those of its first graph, the one that runs.

    Attributes:
        root: the flatbuffer's, for what copies parts of it.
        graphs: how many it has.
        tensors: by number.
        operators: in the order in which they run.
        inputs: numbers of tensors.
        outputs: numbers of tensors.
        custom: names of the operators, in any graph, that are none of TFLite's own.
        metadata: what TFLite's tools embedded, a flatbuffer of its own; None if they did not.
    """

    root: Any
    graphs: int
    tensors: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    custom: tuple[str, ...]
    metadata: bytes | None


def read_tflite(content: bytes) -> TfliteFile:
    """Take a .tflite file apart.

    Raises:
        ModelError: it is none, or it is damaged.
    """
    if content[4:8] != b"TFL3":
        raise ModelError("is not a TFLite model (its identifier TFL3 is missing)")
    with damage_refused():
        return _Reader(content).read()


@contextlib.contextmanager
def damage_refused(what: str = "") -> Iterator[None]:
    """Name damage for what it is, while a flatbuffer is read.

    Args:
        what: is damaged, as in ``its metadata``; empty for the model itself.

    Raises:
        ModelError: it is damaged.
    """
    try:
        yield
    except _DAMAGES:
        said = f"{what} is damaged".lstrip()
        raise ModelError(f"{said}: what it says of its own contents does not fit its size") from None


def builtin_options(operator: Any) -> Any:
    """Return the flatbuffer's table of an operator's options; None if it has none.

    Args:
        operator: the flatbuffer's.
    """
    table = operator.BuiltinOptions()
    kind = _OPTIONS.get(operator.BuiltinOptionsType(), "NONE")
    if table is None or kind == "NONE":
        return None
    options = getattr(tflite, kind)()
    options.Init(table.Bytes, table.Pos)
    return options


class _Reader:
    """Reads one file, with an account of what it has read. Raises what damage makes of it."""

    def __init__(self, content: bytes) -> None:
        self._root = tflite.Model.GetRootAs(content, 0)
        self._left = _MAX_ITEMS

    def read(self) -> TfliteFile:
        root = self._root
        graphs = root.SubgraphsLength()
        if not graphs:
            raise ValueError(graphs)
        graph = root.Subgraphs(0)
        codes = [root.OperatorCodes(index) for index in self._each(root.OperatorCodesLength())]
        kinds = [_kind(code) for code in codes]
        filled = [root.Buffers(index).DataLength() > 0 for index in self._each(root.BuffersLength())]
        count = graph.TensorsLength()
        return TfliteFile(
            root,
            graphs,
            tuple(self._tensor(graph.Tensors(number), number, filled) for number in self._each(count)),
            tuple(
                self._operator(graph.Operators(index), kinds, count) for index in self._each(graph.OperatorsLength())
            ),
            self._tensors(graph.InputsAsNumpy(), 0, count),
            self._tensors(graph.OutputsAsNumpy(), 0, count),
            tuple(self._text(code.CustomCode()) for code, kind in zip(codes, kinds, strict=True) if kind == "CUSTOM"),
            self._metadata(len(filled)),
        )

    def _tensor(self, tensor: Any, number: int, filled: list[bool]) -> TfliteTensor:
        shape = self._numbers(tensor.ShapeAsNumpy())
        quantization = tensor.Quantization()
        scales = 0 if quantization is None else quantization.ScaleLength()
        return TfliteTensor(
            number,
            self._text(tensor.Name()),
            shape,
            self._numbers(tensor.ShapeSignatureAsNumpy()) or shape,
            _DTYPES.get(tensor.Type(), f"type {tensor.Type()}"),
            filled[tensor.Buffer()],
            scales > 0,
            float(quantization.Scale(0)) if scales == 1 else 0.0,
            int(quantization.ZeroPoint(0)) if scales == 1 and quantization.ZeroPointLength() else 0,
        )

    def _operator(self, operator: Any, kinds: list[str], tensors: int) -> TfliteOperator:
        fused = getattr(builtin_options(operator), "FusedActivationFunction", None)
        return TfliteOperator(
            kinds[operator.OpcodeIndex()],
            self._tensors(operator.InputsAsNumpy(), -1, tensors),
            self._tensors(operator.OutputsAsNumpy(), -1, tensors),
            _ACTIVATIONS.get(fused(), "NONE") if fused else "NONE",
        )

    def _metadata(self, buffers: int) -> bytes | None:
        for index in self._each(self._root.MetadataLength()):
            entry = self._root.Metadata(index)
            if self._text(entry.Name()) == _METADATA:
                if entry.Buffer() >= buffers:
                    raise IndexError(entry.Buffer())
                return bytes(self._root.Buffers(entry.Buffer()).DataAsNumpy())
        return None

    def _tensors(self, vector: Any, first: int, count: int) -> tuple[int, ...]:
        numbers = self._numbers(vector)
        if numbers and not first <= min(numbers) <= max(numbers) < count:
            raise IndexError(numbers)
        return numbers

    def _numbers(self, vector: Any) -> tuple[int, ...]:
        if isinstance(vector, int):  # the library's word for none
            return ()
        self._count(len(vector))
        return tuple(vector.tolist())

    def _text(self, text: bytes | None) -> str:
        self._count(len(text or b""))
        return (text or b"").decode(errors="replace")

    def _each(self, length: int) -> range:
        self._count(length)
        return range(length)

    def _count(self, items: int) -> None:
        self._left -= items
        if self._left < 0:
            raise ValueError(items)


def _kind(code: Any) -> str:
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    return _KINDS.get(number, f"operator {number}")
