"""A .tflite file's graph, rewritten: cut at a tensor, and continued with operators of our own.

By TFLite's published schema, through the `tflite` package. What no longer leads to the output (operators, tensors,
weights, metadata) is left out. Nothing here runs a model.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
import tflite
from numpy.typing import NDArray

from audiomon.errors import ModelError

# What a damaged file makes of the flatbuffers library, which verifies nothing.
_DAMAGES = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError, AssertionError, MemoryError)
# What the runtimes ask of the address of weights.
_ALIGNED_BYTES = 16
_KINDS = {value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)}
_TYPES = {value: name.lower() for name, value in vars(tflite.TensorType).items() if isinstance(value, int)}
_OPTIONS = {value: name for name, value in vars(tflite.BuiltinOptions).items() if isinstance(value, int)}


@dataclass(frozen=True, slots=True)
class GraphTensor:
    """A tensor of the file.

    Attributes:
        number: in the file.
        name: as the file has it.
        shape: with the batch dimension.
        dtype: ``float32``, ``int8`` …
        scale: of a quantised tensor: real = scale · (stored - zero_point); 0 when it is not quantised.
        zero_point: see scale.
    """

    number: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int

    @property
    def size(self) -> int:
        """Elements in all."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class GraphOperator:
    """An operator of the file.

    Attributes:
        kind: ``CONV_2D``.
        inputs: numbers of tensors; -1 for one that is left out.
        outputs: numbers of tensors.
        activation: fused into it: ``RELU``, or ``NONE``.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: str


@dataclass(frozen=True, slots=True)
class NewTensor:
    """A float32 or int32 tensor to add.

    Attributes:
        name: for people.
        shape: of it.
        values: of a constant; None for a tensor that is computed.
    """

    name: str
    shape: tuple[int, ...]
    values: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True)
class NewOperator:
    """An operator to add.

    Attributes:
        kind: ``FULLY_CONNECTED``.
        inputs: numbers of tensors: the file's, then those that are added, in their order.
        outputs: the same.
        options: name of its table of options, and their values; None if it has none.
        version: of the operator, that a runtime must know.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: tuple[str, dict[str, Any]] | None = None
    version: int = 1


class Graph:
    """A .tflite file, taken apart.

    Args:
        content: of the file.

    Raises:
        ModelError: it is none, is damaged, or has parts that cannot be carried over.
    """

    def __init__(self, content: bytes) -> None:
        if content[4:8] != b"TFL3":
            raise ModelError("is not a TFLite model (its identifier TFL3 is missing)")
        self._size = len(content)
        self._read(lambda: self._open(content))

    def _open(self, content: bytes) -> None:
        self._model = tflite.Model.GetRootAs(content, 0)
        if self._model.SubgraphsLength() != 1:
            raise ModelError(f"has {self._model.SubgraphsLength()} graphs; only a model of one can be built on")
        self._graph = self._model.Subgraphs(0)
        self.tensors = tuple(self._tensor(number) for number in range(self._graph.TensorsLength()))
        self.operators = tuple(self._operator(number) for number in range(self._graph.OperatorsLength()))
        self.inputs = tuple(int(number) for number in self._graph.InputsAsNumpy())
        self.outputs = tuple(int(number) for number in self._graph.OutputsAsNumpy())
        self.made_by = {tensor: number for number, one in enumerate(self.operators) for tensor in one.outputs}

    def constant(self, number: int) -> NDArray[np.float32] | None:
        """Return the values of a float32 constant; None of what is none.

        Raises:
            ModelError: the file is damaged.
        """

        def values() -> NDArray[np.float32] | None:
            data = self._model.Buffers(self._graph.Tensors(number).Buffer())
            if data.DataIsNone() or data.DataLength() != 4 * tensor.size:
                return None
            return np.frombuffer(data.DataAsNumpy().tobytes(), dtype="<f4").reshape(tensor.shape)

        tensor = self.tensors[number]
        found: NDArray[np.float32] | None = self._read(values) if tensor.dtype == "float32" else None
        return found

    def continued(
        self, last: int, tensors: Sequence[NewTensor], operators: Sequence[NewOperator], output: int
    ) -> bytes:
        """Cut the graph at a tensor and go on from there.

        Args:
            last: number of the tensor; what does not lead to it is left out.
            tensors: to add; the first one's number is the count of the file's tensors.
            operators: to add, in the order in which they run.
            output: number of the only output.

        Returns:
            The new file.

        Raises:
            ModelError: the file has parts that cannot be carried over, or is damaged.
        """
        kept = self._leading_to(last)
        written: bytes = self._read(lambda: _Writer(self._model, self._size).written(kept, tensors, operators, output))
        return written

    def _read(self, reading: Callable[[], Any]) -> Any:
        try:
            return reading()
        except _DAMAGES:
            raise ModelError("is damaged: what it says of its own contents does not fit its size") from None

    def _leading_to(self, last: int) -> list[int]:
        """Return the operators that a tensor depends on, in the order in which they run."""
        kept: set[int] = set()
        waiting = [last]
        while waiting:
            number = self.made_by.get(waiting.pop())
            if number is not None and number not in kept:
                kept.add(number)
                waiting += self.operators[number].inputs
        return sorted(kept)

    def _tensor(self, number: int) -> GraphTensor:
        tensor = self._graph.Tensors(number)
        quantization = tensor.Quantization()
        scaled = quantization is not None and quantization.ScaleLength() == 1
        return GraphTensor(
            number,
            (tensor.Name() or b"").decode(errors="replace"),
            tuple(int(size) for size in _array(tensor.ShapeAsNumpy())),
            _TYPES.get(tensor.Type(), f"type {tensor.Type()}"),
            float(quantization.Scale(0)) if scaled else 0.0,
            int(quantization.ZeroPoint(0)) if scaled and quantization.ZeroPointLength() else 0,
        )

    def _operator(self, number: int) -> GraphOperator:
        operator = self._graph.Operators(number)
        code = self._model.OperatorCodes(operator.OpcodeIndex())
        kind = _KINDS.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "unknown")
        options = _options(operator)
        fused = getattr(options, "FusedActivationFunction", None)
        names = {value: name for name, value in vars(tflite.ActivationFunctionType).items() if isinstance(value, int)}
        return GraphOperator(
            kind,
            tuple(int(tensor) for tensor in _array(operator.InputsAsNumpy())),
            tuple(int(tensor) for tensor in _array(operator.OutputsAsNumpy())),
            names.get(fused(), "NONE") if fused else "NONE",
        )


class _Writer:
    """Writes a file out of parts of another and new ones."""

    def __init__(self, model: Any, size: int) -> None:
        self._model = model
        self._graph = model.Subgraphs(0)
        self._builder = flatbuffers.Builder(size + (1 << 16))
        self._codes: list[int] = []
        self._code_numbers: dict[Any, int] = {}
        # Buffer 0 is the empty one, by the format's definition.
        self._buffers: list[int] = [self._buffer(None)]

    def written(
        self, kept: list[int], new_tensors: Sequence[NewTensor], new_operators: Sequence[NewOperator], output: int
    ) -> bytes:
        old_count = self._graph.TensorsLength()
        inputs = [int(number) for number in self._graph.InputsAsNumpy()]
        used = set(inputs) | {output}
        for number in kept:
            operator = self._graph.Operators(number)
            for tensors in (operator.InputsAsNumpy(), operator.OutputsAsNumpy(), operator.IntermediatesAsNumpy()):
                used.update(int(tensor) for tensor in _array(tensors))
        for new in new_operators:
            used.update((*new.inputs, *new.outputs))
        order = sorted(used - {-1})
        places = {-1: -1, **{number: place for place, number in enumerate(order)}}
        tensors = [
            self._old_tensor(number) if number < old_count else self._new_tensor(new_tensors[number - old_count])
            for number in order
        ]
        operators = [self._old_operator(number, places) for number in kept]
        operators += [self._new_operator(new, places) for new in new_operators]
        graph = self._made(
            "SubGraph",
            Tensors=self._offsets(tensors),
            Inputs=self._numbers(places[number] for number in inputs),
            Outputs=self._numbers([places[output]]),
            Operators=self._offsets(operators),
            Name=self._builder.CreateString("main"),
        )
        root = self._made(
            "Model",
            Version=3,
            OperatorCodes=self._offsets(self._codes),
            Subgraphs=self._offsets([graph]),
            Description=self._builder.CreateString("audiomon"),
            Buffers=self._offsets(self._buffers),
        )
        self._builder.Finish(root, b"TFL3")
        return bytes(self._builder.Output())

    def _old_tensor(self, number: int) -> int:
        tensor = self._graph.Tensors(number)
        if tensor.Sparsity() is not None or tensor.VariantTensorsLength():
            raise ModelError("has sparse weights; it cannot be built on")
        quantization = tensor.Quantization()
        changed: dict[str, Any] = {"Sparsity": None, "VariantTensors": None, "Quantization": None}
        if quantization is not None:
            changed["Quantization"] = self._copied(
                "QuantizationParameters", quantization, Details=None, DetailsType=None
            )
        old = self._model.Buffers(tensor.Buffer())
        if old.Offset() > 1:
            raise ModelError("keeps its weights outside of its flatbuffer; it cannot be built on")
        changed["Buffer"] = self._added_buffer(None if old.DataIsNone() else old.DataAsNumpy())
        return self._copied("Tensor", tensor, **changed)

    def _new_tensor(self, new: NewTensor) -> int:
        whole = new.values is not None and new.values.dtype.kind == "i"
        data = None
        if new.values is not None:
            data = np.frombuffer(new.values.astype("<i4" if whole else "<f4").tobytes(), dtype=np.uint8)
        return self._made(
            "Tensor",
            Shape=self._numbers(new.shape),
            Type=tflite.TensorType.INT32 if whole else tflite.TensorType.FLOAT32,
            Buffer=self._added_buffer(data),
            Name=self._builder.CreateString(new.name),
        )

    def _old_operator(self, number: int, places: dict[int, int]) -> int:
        operator = self._graph.Operators(number)
        if operator.BuiltinOptions2() is not None or operator.LargeCustomOptionsSize():
            raise ModelError("has operators of a kind that cannot be carried over; it cannot be built on")
        options = _options(operator)
        written = None if options is None else self._copied(type(options).__name__, options)
        code = self._model.OperatorCodes(operator.OpcodeIndex())
        return self._copied(
            "Operator",
            operator,
            OpcodeIndex=self._code(("old", operator.OpcodeIndex()), lambda: self._copied("OperatorCode", code)),
            Inputs=self._numbers(places[int(tensor)] for tensor in _array(operator.InputsAsNumpy())),
            Outputs=self._numbers(places[int(tensor)] for tensor in _array(operator.OutputsAsNumpy())),
            Intermediates=self._numbers(places[int(tensor)] for tensor in _array(operator.IntermediatesAsNumpy())),
            BuiltinOptions=written,
            BuiltinOptions2=None,
            DebugMetadataIndex=None,
        )

    def _new_operator(self, new: NewOperator, places: dict[int, int]) -> int:
        kind = getattr(tflite.BuiltinOperator, new.kind)

        def code() -> int:
            # The old place for the number holds 127 where it has no room for it.
            return self._made(
                "OperatorCode", DeprecatedBuiltinCode=min(kind, 127), BuiltinCode=kind, Version=new.version
            )

        fields: dict[str, Any] = {
            "OpcodeIndex": self._code((kind, new.version), code),
            "Inputs": self._numbers(places[tensor] for tensor in new.inputs),
            "Outputs": self._numbers(places[tensor] for tensor in new.outputs),
        }
        if new.options is not None:
            name, values = new.options
            fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, name)
            fields["BuiltinOptions"] = self._made(name, **values)
        return self._made("Operator", **fields)

    def _code(self, key: Any, write: Callable[[], int]) -> int:
        if key not in self._code_numbers:
            self._code_numbers[key] = len(self._codes)
            self._codes.append(write())
        return self._code_numbers[key]

    def _added_buffer(self, data: NDArray[np.uint8] | None) -> int:
        if data is None:
            return 0
        self._buffers.append(self._buffer(data))
        return len(self._buffers) - 1

    def _buffer(self, data: NDArray[np.uint8] | None) -> int:
        if data is None:
            return self._made("Buffer")
        builder = self._builder
        builder.StartVector(1, len(data), _ALIGNED_BYTES)
        builder.head -= len(data)
        builder.Bytes[builder.head : builder.head + len(data)] = data.tobytes()
        return self._made("Buffer", Data=builder.EndVector())

    def _copied(self, name: str, table: Any, **changed: Any) -> int:
        """Copy a table, but for some fields; those that are None are left out."""
        fields: dict[str, Any] = {}
        for field in _fields(name):
            if field in changed:
                fields[field] = changed[field]
            elif hasattr(table, f"{field}AsNumpy"):
                array = getattr(table, f"{field}AsNumpy")()
                fields[field] = None if isinstance(array, int) else self._builder.CreateNumpyVector(array)
            else:
                value = getattr(table, field)()
                fields[field] = self._builder.CreateString(value) if isinstance(value, bytes) else value
        return self._made(name, **fields)

    def _made(self, name: str, **fields: Any) -> int:
        """Write a table; offsets and numbers by field."""
        getattr(tflite, f"{name}Start")(self._builder)
        for field, value in fields.items():
            if value is not None:
                getattr(tflite, f"{name}Add{field}")(self._builder, value)
        return int(getattr(tflite, f"{name}End")(self._builder))

    def _numbers(self, numbers: Iterable[int]) -> int:
        return int(self._builder.CreateNumpyVector(np.array(list(numbers), dtype="<i4")))

    def _offsets(self, offsets: Sequence[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())


def _fields(name: str) -> list[str]:
    prefix = f"{name}Add"
    return [function.removeprefix(prefix) for function in dir(tflite) if function.startswith(prefix)]


def _options(operator: Any) -> Any:
    """Return an operator's table of options; None if it has none."""
    table = operator.BuiltinOptions()
    kind = _OPTIONS.get(operator.BuiltinOptionsType(), "NONE")
    if table is None or kind == "NONE":
        return None
    options = getattr(tflite, kind)()
    options.Init(table.Bytes, table.Pos)
    return options


def _array(numbers: Any) -> Any:
    """Return a vector of the flatbuffer; an empty one where the library has 0 for none."""
    return () if isinstance(numbers, int) else numbers
