"""What is inside a .tflite file: operators, what was fused into them, sizes of tensors, and what XNNPACK takes.

Reads; changes nothing.
"""

import dataclasses
import importlib
from dataclasses import dataclass

from audiomon.c_stderr import c_stderr_silenced
from audiomon.models.interpreter import Backend

_RUNTIME_MODULES: dict[Backend, str] = {
    "litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
}
_BYTES = {"float32": 4, "float16": 2, "int32": 4, "uint8": 1, "int64": 8, "int8": 1, "int16": 2, "bool": 1, "int4": 0.5}


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator of a converted model.

    Attributes:
        kind: ``CONV_2D``.
        activation: what is fused into it: ``RELU``, or ``NONE``.
        shape: of its first output, with the batch dimension.
        dtype: of its first output: ``float32``, ``int8`` …
        layers: of the original whose work it does, as far as the converter kept their names.
    """

    kind: str
    activation: str
    shape: tuple[int, ...]
    dtype: str
    layers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a .tflite file holds.

    Attributes:
        operators: in the order in which they run.
        weight_bytes: of all constant tensors.
        activation_bytes: of all other tensors, if each had memory of its own; the runtime's arena is smaller, and no
            runtime tells its size.
        file_bytes: of the file.
    """

    operators: tuple[Operator, ...]
    weight_bytes: int
    activation_bytes: int
    file_bytes: int

    @property
    def kinds(self) -> list[str]:
        """Names of the operators, in order."""
        return [operator.kind for operator in self.operators]


def contents(content: bytes, scopes: dict[str, str] | None = None) -> Contents:
    """Take a model apart.

    Args:
        content: a .tflite file.
        scopes: what each layer of the original is called in it (see `audiomon.lab.convert.Conversion`).

    Raises:
        ModelError: it is none, or it is damaged.
    """
    from audiomon.models.importing.tflite_file import read_tflite  # `audiomon train --help` does without its package

    file = read_tflite(content)
    operators = []
    for operator in file.operators:
        output = file.tensors[operator.outputs[0]]
        # The output is named for what the operator ends with, its constants for what went into it.
        names = [file.tensors[number].name for number in (*operator.outputs, *operator.inputs[1:]) if number >= 0]
        layers = _mentioned(scopes or {}, " ".join(names))
        operators.append(Operator(operator.kind, operator.activation, output.shape, output.dtype, layers))
    if scopes and operators and not operators[-1].layers:
        # The model's output is called Identity: give what stands at the end to the last layer that was found.
        operators = _end_given_to_last_layer(operators)
    sizes = [(tensor.size * _BYTES.get(tensor.dtype, 4), tensor.constant) for tensor in file.tensors]
    return Contents(
        tuple(operators),
        round(sum(size for size, constant in sizes if constant)),
        round(sum(size for size, constant in sizes if not constant)),
        len(content),
    )


def taken_by_xnnpack(content: bytes, backend: Backend) -> tuple[int, ...]:
    """Return the positions of the operators that XNNPACK runs in a runtime, in its default configuration.

    A runtime lists the operators as they are in the file, then one DELEGATE for each piece of the graph that XNNPACK
    took: what lies between its inputs and its outputs.
    """
    runtime = importlib.import_module(_RUNTIME_MODULES[backend])
    with c_stderr_silenced():
        interpreter = runtime.Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    operators = interpreter._get_ops_details()
    made_by = {
        int(output): position
        for position, operator in enumerate(operators)
        if operator["op_name"] != "DELEGATE"
        for output in operator["outputs"]
    }
    taken: set[int] = set()
    for operator in operators:
        if operator["op_name"] != "DELEGATE":
            continue
        outside = {int(tensor) for tensor in operator["inputs"]}
        waiting = [int(tensor) for tensor in operator["outputs"]]
        while waiting:
            tensor = waiting.pop()
            position = made_by.get(tensor)
            if tensor in outside or position is None or position in taken:
                continue
            taken.add(position)
            waiting += [int(source) for source in operators[position]["inputs"]]
    return tuple(sorted(taken))


def _end_given_to_last_layer(operators: list[Operator]) -> list[Operator]:
    named = max((index for index, operator in enumerate(operators) if operator.layers), default=-1)
    if named < 0:
        return operators
    last = operators[named].layers[-1:]
    return [
        *operators[: named + 1],
        *(dataclasses.replace(operator, layers=last) for operator in operators[named + 1 :]),
    ]


def _mentioned(scopes: dict[str, str], text: str) -> tuple[str, ...]:
    parts = {part for name in text.replace(";", " ").split() for part in name.split("/")}
    return tuple(name for name, scope in scopes.items() if scope in parts)
