"""A .tflite file's graph, rewritten: cut at a tensor, and continued with operators of our own.

What no longer leads to the output (operators, tensors, weights, metadata) is left out. Nothing here runs a model.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
import tflite
from numpy.typing import NDArray

from audiomon.errors import ModelError
from audiomon.models.importing.tflite_file import builtin_options, damage_refused, read_tflite

# What the runtimes ask of the address of weights.
_ALIGNED_BYTES = 16


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
    """The graph of a .tflite file that has one.

    Args:
        content: of the file.

    Attributes:
        tensors: by number.
        operators: in the order in which they run.
        inputs: numbers of tensors.
        outputs: numbers of tensors.
        made_by: by number of a tensor, the number of the operator that makes it.

    Raises:
        ModelError: it is no such file, or is damaged.
    """

    def __init__(self, content: bytes) -> None:
        file = read_tflite(content)
        if file.graphs != 1:
            raise ModelError(f"has {file.graphs} graphs; only a model of one can be built on")
        self._root = file.root
        self._size = len(content)
        self.tensors = file.tensors
        self.operators = file.operators
        self.inputs = file.inputs
        self.outputs = file.outputs
        self.made_by = {tensor: number for number, one in enumerate(self.operators) for tensor in one.outputs}

    def constant(self, number: int) -> NDArray[np.float32] | None:
        """Return the values of a float32 constant; None of what is none.

        Raises:
            ModelError: the file is damaged.
        """
        tensor = self.tensors[number]
        if tensor.dtype != "float32" or not tensor.constant:
            return None
        with damage_refused():
            data = self._root.Buffers(self._root.Subgraphs(0).Tensors(number).Buffer())
            if data.DataLength() != 4 * tensor.size:
                return None
            return np.frombuffer(data.DataAsNumpy().tobytes(), dtype="<f4").reshape(tensor.shape)

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
        with damage_refused():
            return _Writer(self._root, self._size).written(kept, tensors, operators, output)

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
        options = builtin_options(operator)
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


def _array(numbers: Any) -> Any:
    """Return a vector of the flatbuffer; an empty one where the library has 0 for none."""
    return () if isinstance(numbers, int) else numbers
