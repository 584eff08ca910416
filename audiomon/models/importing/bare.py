"""What a bare .tflite file says of itself: tensors, operators, and the metadata in it. Reads; never runs the model.

By the published schema of TFLite, through the `tflite` package; nothing here is needed once a package has been made.
"""

import struct
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

# What a damaged file makes of the flatbuffers library, which verifies nothing.
_DAMAGES = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError, AssertionError, MemoryError)
# Far more than any model has; a damaged length says billions.
_MAX_ITEMS = 100_000
_METADATA = "TFLITE_METADATA"
# Operators that change how scores are stored, but not what they are.
_REPACKING = ("QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CAST")
# Custom operators that TFLite's runtimes bring along all the same.
_KNOWN_CUSTOM = ("Mfcc", "AudioSpectrogram", "TFLite_Detection_PostProcess", "NumericVerify")


@dataclass(frozen=True, slots=True)
class BareTensor:
    """An input or output.

    Attributes:
        name: as the file has it.
        shape: with the batch dimension; -1 where a size is not fixed.
        dtype: ``float32``, ``int8`` …
        quantised: whether its integers stand for real numbers.
        made_by: the operator that makes its values, those left out that only store them in another way; empty for an
            input.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantised: bool
    made_by: str = ""

    @property
    def axes(self) -> tuple[int, ...]:
        """Its shape without a batch of any size and without sizes of 1."""
        shape = self.shape[1:] if len(self.shape) > 1 and self.shape[0] == -1 else self.shape
        return tuple(size for size in shape if size != 1)


@dataclass(frozen=True, slots=True)
class BareModel:
    """A .tflite file.

    Attributes:
        inputs: in the file's order.
        outputs: in the file's order.
        foreign: operators that no TFLite runtime brings along, as ``FlexErf``.
        integers: whether it calculates with 8-bit integers somewhere.
        metadata: what TFLite's tools embedded, a flatbuffer of its own; None if they did not.
    """

    inputs: tuple[BareTensor, ...]
    outputs: tuple[BareTensor, ...]
    foreign: tuple[str, ...]
    integers: bool
    metadata: bytes | None


def read_bare(content: bytes) -> BareModel:
    """Take a .tflite file apart.

    Raises:
        ModelError: it is none, or it is damaged.
    """
    if content[4:8] != b"TFL3":
        raise ModelError("is not a TFLite model (its identifier TFL3 is missing)")
    try:
        return _read(tflite.Model.GetRootAs(content, 0))
    except _DAMAGES:
        raise ModelError("is damaged: what it says of its own contents does not fit its size") from None


def _read(model: Any) -> BareModel:
    graph = model.Subgraphs(0)
    codes = [_code(model.OperatorCodes(index)) for index in _each(model.OperatorCodesLength())]
    makers = _makers(graph, [name for name, _ in codes])
    types = _names(tflite.TensorType)
    stored = {types.get(graph.Tensors(index).Type(), "") for index in _each(graph.TensorsLength())}
    return BareModel(
        tuple(_tensor(graph, graph.Inputs(index), types, {}) for index in _each(graph.InputsLength())),
        tuple(_tensor(graph, graph.Outputs(index), types, makers) for index in _each(graph.OutputsLength())),
        tuple(name for name, custom in codes if custom and name not in _KNOWN_CUSTOM),
        bool(stored & {"INT8", "UINT8"}),
        _metadata(model),
    )


def _code(code: Any) -> tuple[str, bool]:
    """Return an operator's name, and whether it is a custom one."""
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if number == tflite.BuiltinOperator.CUSTOM:
        return _text(code.CustomCode()), True
    return _names(tflite.BuiltinOperator).get(number, f"operator {number}"), False


def _makers(graph: Any, kinds: list[str]) -> dict[int, str]:
    """Return, by tensor, the operator that makes its values."""
    makers: dict[int, str] = {}
    for index in _each(graph.OperatorsLength()):
        operator = graph.Operators(index)
        kind = kinds[operator.OpcodeIndex()]
        if kind in _REPACKING:
            kind = makers.get(operator.Inputs(0), kind)
        makers.update((operator.Outputs(position), kind) for position in _each(operator.OutputsLength()))
    return makers


def _tensor(graph: Any, index: int, types: dict[int, str], makers: dict[int, str]) -> BareTensor:
    tensor = graph.Tensors(index)
    shape = [tensor.Shape(axis) for axis in _each(tensor.ShapeLength())]
    signature = [tensor.ShapeSignature(axis) for axis in _each(tensor.ShapeSignatureLength())]
    quantization = tensor.Quantization()
    return BareTensor(
        _text(tensor.Name()),
        tuple(int(size) for size in signature or shape),
        types.get(tensor.Type(), f"type {tensor.Type()}").lower(),
        quantization is not None and quantization.ScaleLength() > 0,
        makers.get(index, ""),
    )


def _metadata(model: Any) -> bytes | None:
    for index in _each(model.MetadataLength()):
        entry = model.Metadata(index)
        if _text(entry.Name()) == _METADATA:
            return bytes(model.Buffers(entry.Buffer()).DataAsNumpy())
    return None


def _each(length: int) -> range:
    if length > _MAX_ITEMS:
        raise ValueError(length)
    return range(length)


def _names(constants: Any) -> dict[int, str]:
    return {value: name for name, value in vars(constants).items() if isinstance(value, int)}


def _text(text: bytes | None) -> str:
    return (text or b"").decode(errors="replace")
