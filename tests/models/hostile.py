"""Makes small .tflite files that no converter would: what they do depends on how loud the window is, or is plain wrong.

By TFLite's published schema: each table's fields in its order, None where a field is left out.
"""

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

import flatbuffers
import msgspec
import numpy as np
import tflite
import yaml

from audiomon.models.manifest import Manifest, SelfTest
from tests.models.metadata import Table
from tests.models.tiny import WAVEFORM, manifest

# A window's peak from which the models here misbehave; the self-test of their packages is silence.
LOUD = 0.05
_DTYPES = {"float32": "FLOAT32", "int32": "INT32", "bool": "BOOL", "resource": "RESOURCE"}


class File:
    """A .tflite file in the making; its first graph is the one that runs."""

    def __init__(self) -> None:
        self.buffers: list[bytes] = [b""]
        self.kinds: list[str] = []
        self.graphs: list[Graph] = []

    def graph(self) -> "Graph":
        self.graphs.append(Graph(self))
        return self.graphs[-1]

    def content(self) -> bytes:
        kinds = [getattr(tflite.BuiltinOperator, kind) for kind in self.kinds]
        root = Table(
            ("Uint32", 3),
            [Table(("Int8", min(kind, 127)), None, ("Int32", 1), ("Int32", kind)) for kind in kinds],
            [graph.table() for graph in self.graphs],
            "made by hand",
            [Table(np.frombuffer(data, np.uint8) if data else None) for data in self.buffers],
        )
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(root.write(builder), b"TFL3")
        return bytes(builder.Output())


class Graph:
    """One of a file's graphs. Tensors are numbers."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._tensors: list[Table] = []
        self._operators: list[Table] = []
        self.inputs: list[int] = []
        self.outputs: list[int] = []

    def tensor(self, shape: Sequence[int], dtype: str = "float32", *, name: str = "", data: bytes = b"") -> int:
        if data:
            self._file.buffers.append(data)
        buffer = len(self._file.buffers) - 1 if data else 0
        kind = getattr(tflite.TensorType, _DTYPES[dtype])
        number = len(self._tensors)
        self._tensors.append(Table(np.array(shape, np.int32), ("Int8", kind), ("Uint32", buffer), name or f"t{number}"))
        return number

    def input(self, shape: Sequence[int], name: str = "") -> int:
        self.inputs.append(self.tensor(shape, name=name))
        return self.inputs[-1]

    def constant(self, values: object, dtype: str = "float32") -> int:
        array = np.array(values, dtype)
        return self.tensor(array.shape, dtype, data=array.tobytes())

    def operator(
        self,
        kind: str,
        inputs: Sequence[int],
        shape: Sequence[int] | None,
        *options: object,
        dtype: str = "float32",
        name: str = "",
    ) -> int:
        """Add an operator with one output of this shape, or with none; return the output."""
        if kind not in self._file.kinds:
            self._file.kinds.append(kind)
        outputs = [] if shape is None else [self.tensor(shape, dtype, name=name)]
        camel = {"REDUCE_MAX": "Reducer"}.get(kind) or "".join(word.capitalize() for word in kind.split("_"))
        union = getattr(tflite.BuiltinOptions, f"{camel}Options", 0)
        self._operators.append(
            Table(
                ("Uint32", self._file.kinds.index(kind)),
                np.array(inputs, np.int32),
                np.array(outputs, np.int32),
                ("Uint8", union),
                Table(*options) if union else None,
            )
        )
        return outputs[0] if outputs else -1

    def table(self) -> Table:
        return Table(
            self._tensors, np.array(self.inputs, np.int32), np.array(self.outputs, np.int32), self._operators, "graph"
        )


def _listening() -> tuple[File, Graph, int]:
    """A graph that knows the peak of its window, in a tensor of the shape (1, 1)."""
    file = File()
    graph = file.graph()
    window = graph.input((1, *WAVEFORM.shape), name="window")
    louder = graph.operator("ABS", [window], (1, *WAVEFORM.shape))
    return file, graph, graph.operator("REDUCE_MAX", [louder, graph.constant([1], "int32")], (1, 1), ("Bool", True))


def _ended(file: File, graph: Graph, one: int, factors: Sequence[float] = (1, 1, 1, 1), name: str = "scores") -> bytes:
    """Let four scores be the multiples of one number."""
    graph.outputs.append(graph.operator("MUL", [one, graph.constant([list(factors)])], (1, len(factors)), name=name))
    return file.content()


def _copies(graph: Graph, peak: int, at_rest: int, factor: float) -> int:
    """A tensor (2,) that has TILE make ``at_rest`` columns, and ``factor`` more for a peak of 1."""
    scaled = graph.operator("MUL", [peak, graph.constant([[factor]])], (1, 1))
    whole = graph.operator("CAST", [scaled], (1, 1), dtype="int32")
    flat = graph.operator(
        "RESHAPE", [whole, graph.constant([1], "int32")], (1,), np.array([1], np.int32), dtype="int32"
    )
    number = graph.operator("ADD", [flat, graph.constant([at_rest], "int32")], (1,), dtype="int32")
    return graph.operator("CONCATENATION", [graph.constant([1], "int32"), number], (2,), ("Int32", 0), dtype="int32")


def other_number_of_scores(always: int, when_loud: int = 0) -> bytes:
    """Declares four scores, and gives more or fewer."""
    file, graph, peak = _listening()
    copies = _copies(graph, peak, 4 + always, when_loud / LOUD)
    graph.outputs.append(graph.operator("TILE", [graph.constant([[0.25]]), copies], (1, 4), name="scores"))
    return file.content()


def _middling(graph: Graph, peak: int) -> int:
    """A tensor (1, 1) that is above 1 for a peak of about 0.09, and 0 for every sound of a self-test."""
    above = graph.operator("SUB", [peak, graph.constant([[LOUD]])], (1, 1))
    below = graph.operator("SUB", [graph.constant([[3 * LOUD]]), peak], (1, 1))
    kept = [graph.operator("RELU", [one], (1, 1)) for one in (above, below)]
    return graph.operator("MUL", [graph.operator("MUL", kept, (1, 1)), graph.constant([[1e4]])], (1, 1))


def not_numbers(*, value: str, middling: bool = False) -> bytes:
    """Gives NaN, or infinite scores, once the window is loud: by the root of, or a division by, what is left to it."""
    file, graph, peak = _listening()
    if middling:
        peak = _middling(graph, peak)
    left = graph.operator("SUB", [graph.constant([[LOUD]]), peak], (1, 1))
    if value == "nan":
        return _ended(file, graph, graph.operator("SQRT", [left], (1, 1)))
    kept = graph.operator("RELU", [left], (1, 1))
    return _ended(file, graph, graph.operator("DIV", [graph.constant([[0.01]]), kept], (1, 1)))


def endless(*, when_loud: bool, middling: bool = False) -> bytes:
    """Loops without end."""
    file, graph, peak = _listening()
    if middling:
        peak = _middling(graph, peak)
    flat = graph.operator("RESHAPE", [peak, graph.constant([1], "int32")], (1,), np.array([1], np.int32))
    condition, body = file.graph(), file.graph()
    level = condition.input((1,))
    limit = condition.constant([LOUD if when_loud else -1.0])
    condition.outputs.append(condition.operator("GREATER", [level, limit], (1,), dtype="bool"))
    before = body.input((1,))
    body.outputs.append(body.operator("MUL", [before, body.constant([1.0])], (1,)))
    return _ended(file, graph, graph.operator("WHILE", [flat], (1,), ("Int32", 1), ("Int32", 2)))


def huge(*, gigabytes: float, middling: bool = False) -> bytes:
    """Fills that much memory, whatever it hears."""
    file, graph, peak = _listening()
    columns = int(gigabytes * (1 << 30) / 4)
    copies = _copies(graph, _middling(graph, peak), 1, columns / 32) if middling else _copies(graph, peak, columns, 0.0)
    many = graph.operator("TILE", [graph.constant([[0.25]]), copies], (1, 1))
    return _ended(
        file, graph, graph.operator("REDUCE_MAX", [many, graph.constant([1], "int32")], (1, 1), ("Bool", True))
    )


@functools.cache  # writing many takes seconds
def slow_to_load(tensors: int) -> bytes:
    """Has that many tensors in use at once, for which the runtime finds places in quadratic time."""
    file, graph, peak = _listening()
    parts = [graph.operator("ABS", [peak], (1, 1), name=" ") for _ in range(tensors)]
    return _ended(file, graph, graph.operator("ADD_N", parts, (1, 1)), factors=(0, 0, 0, 0))


def remembering() -> bytes:
    """Adds the peak of each window to what it keeps in a resource variable."""
    file, graph, peak = _listening()
    handle = graph.operator("VAR_HANDLE", [], (), "", "kept", dtype="resource")
    before = graph.operator("READ_VARIABLE", [handle], (1, 1))
    total = graph.operator("ADD", [before, peak], (1, 1))
    graph.operator("ASSIGN_VARIABLE", [handle, total], None)
    return _ended(file, graph, total)


def long_name(characters: int, outputs: int = 1) -> bytes:
    """Has an output with a name of that length, and perhaps more of them."""
    file, graph, peak = _listening()
    for number in range(outputs):
        content = _ended(file, graph, peak, factors=(0, 0, 0, 0), name="y" * characters + str(number))
    return content


def without_inputs() -> bytes:
    """Answers without having heard anything."""
    file = File()
    graph = file.graph()
    graph.outputs.append(graph.operator("ABS", [graph.constant([[0.25] * 4])], (1, 4)))
    return file.content()


def write_package_of(folder: Path, content: bytes, expected: Sequence[float] = (0.25,) * 4) -> Path:
    """Put a model into a package that says four scores of silence, as a stranger would write it: unchecked."""
    test = SelfTest(signal="silence", expected=tuple(expected), tolerance=0.5)
    whole: Manifest = msgspec.structs.replace(
        manifest("waveform"), name=folder.name, sha256=hashlib.sha256(content).hexdigest(), self_test=(test,)
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.tflite").write_bytes(content)
    (folder / "model.yaml").write_text(yaml.safe_dump(msgspec.to_builtins(whole)), encoding="utf-8")
    return folder
