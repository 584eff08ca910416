"""Undoes what the converter fused, to measure what that was worth.

The result gives the same answers; it is for measuring only.
"""

import copy
from typing import Any

import numpy as np

_HAVE_BATCH_NORMALIZATION = ("CONV_2D", "DEPTHWISE_CONV_2D")


def unfused(content: bytes) -> bytes:
    """Put batch normalisation and ReLU back behind each convolution as operators of their own: MUL, ADD, RELU.

    The scale is 1 and the offset 0, since the real ones are in the convolution's weights already: the answers stay the
    same, and a multiplication by 1 costs what any other does.

    Args:
        content: a float32 .tflite file.

    Returns:
        A .tflite file. Needs TensorFlow in this process, whose converter knows the format.
    """
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    editor = _Editor(schema, model, graph)
    operators = []
    for operator in graph.operators:
        operators.append(operator)
        name = editor.kind(operator)
        options = operator.builtinOptions
        if name not in _HAVE_BATCH_NORMALIZATION:
            continue
        relu = options.fusedActivationFunction == schema.ActivationFunctionType.RELU
        if options.fusedActivationFunction not in (0, schema.ActivationFunctionType.RELU):
            continue
        options.fusedActivationFunction = 0
        output = operator.outputs[0]
        operator.outputs = [editor.like(output)]
        channels = int(graph.tensors[output].shape[-1])
        scaled, shifted = editor.like(output), editor.like(output)
        operators.append(editor.elementwise("MUL", operator.outputs[0], editor.constant(np.ones(channels)), scaled))
        last = shifted if relu else output
        operators.append(editor.elementwise("ADD", scaled, editor.constant(np.zeros(channels)), last))
        if relu:
            operators.append(editor.relu(shifted, output))
    graph.operators = operators
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class _Editor:
    """Adds tensors and operators to one graph."""

    def __init__(self, schema: Any, model: Any, graph: Any) -> None:
        self._schema = schema
        self._model = model
        self._graph = graph
        self._names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}

    def kind(self, operator: Any) -> str:
        code = self._model.operatorCodes[operator.opcodeIndex]
        name: str = self._names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        return name

    def like(self, tensor: int) -> int:
        """Add a tensor of the same shape."""
        twin = copy.deepcopy(self._graph.tensors[tensor])
        twin.name = f"unfused_{len(self._graph.tensors)}".encode()
        self._graph.tensors.append(twin)
        return len(self._graph.tensors) - 1

    def constant(self, values: Any) -> int:
        """Add a float32 vector."""
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(np.asarray(values, dtype=np.float32).tobytes(), dtype=np.uint8)
        self._model.buffers.append(buffer)
        tensor = self._schema.TensorT()
        tensor.shape = [len(values)]
        tensor.type = self._schema.TensorType.FLOAT32
        tensor.buffer = len(self._model.buffers) - 1
        tensor.name = f"unfused_{len(self._graph.tensors)}".encode()
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def elementwise(self, kind: str, left: int, right: int, output: int) -> Any:
        """Make a MUL or an ADD."""
        options = self._schema.MulOptionsT() if kind == "MUL" else self._schema.AddOptionsT()
        union = self._schema.BuiltinOptions
        return self._operator(
            kind, [left, right], output, union.MulOptions if kind == "MUL" else union.AddOptions, options
        )

    def relu(self, source: int, output: int) -> Any:
        """Make a RELU."""
        return self._operator("RELU", [source], output, 0, None)

    def _operator(self, kind: str, inputs: list[int], output: int, union: int, options: Any) -> Any:
        operator = self._schema.OperatorT()
        operator.opcodeIndex = self._code(kind)
        operator.inputs = inputs
        operator.outputs = [output]
        operator.builtinOptionsType = union
        operator.builtinOptions = options
        return operator

    def _code(self, kind: str) -> int:
        number = getattr(self._schema.BuiltinOperator, kind)
        for index, code in enumerate(self._model.operatorCodes):
            if max(code.builtinCode, code.deprecatedBuiltinCode) == number:
                return index
        code = self._schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = number
        code.version = 1
        self._model.operatorCodes.append(code)
        return len(self._model.operatorCodes) - 1
