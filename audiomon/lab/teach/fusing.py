"""Finds a network's embedding, and makes one .tflite file of the network up to there and a head of one's own.

What a head does to an embedding is defined here twice, as arithmetic (`features`) and as operators (`fused`), and the
two give the same scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomon.errors import ModelError, UserError
from audiomon.lab.teach.graph import Graph, NewOperator, NewTensor
from audiomon.models.importing.tflite_file import TfliteTensor

Float32 = NDArray[np.float32]

# Of an operator: the name of its table, and what is in it.
Options = tuple[str, dict[str, Any]]

# A narrower layer has thrown away what tells new sounds apart.
MIN_EMBEDDING = 32
_MAX_EMBEDDING = 10_000
# Between a layer of weights and the scores: these change how numbers are written, or squash them.
_AFTER_SCORES = ("SOFTMAX", "LOGISTIC", "QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE", "LOG_SOFTMAX")
_SCORING = ("FULLY_CONNECTED", "CONV_2D")
# These pass on what is not negative as not negative.
_SIGN_KEEPING = (
    "MEAN", "AVERAGE_POOL_2D", "MAX_POOL_2D", "REDUCE_MAX", "RESHAPE", "SQUEEZE", "QUANTIZE", "DEQUANTIZE",
    "STRIDED_SLICE",
)  # fmt: skip
_NEVER_NEGATIVE = ("RELU", "RELU6", "RELU_0_TO_1", "LOGISTIC", "SOFTMAX")
_LEAST_STORED = {"int8": -128, "uint8": 0, "int16": -32768}
# Of a fused activation, in the file.
_RELU = 1
# Below this, TFLite's L2_NORMALIZATION divides by this instead of the norm.
_LEAST_NORM = 1e-6
_MAX_NAMED = 6


@dataclass(frozen=True, slots=True)
class Embedding:
    """Where a network's last wide layer is.

    Attributes:
        tensor: its number in the file.
        name: its name there.
        size: values in it.
        rooted: whether its values are never negative, so that their square roots may be taken.
        quantised: whether it is stored as integers.
    """

    tensor: int
    name: str
    size: int
    rooted: bool
    quantised: bool


@dataclass(frozen=True, slots=True)
class Head:
    """A layer of scores.

    Attributes:
        weights: float32, shape (labels, embedding).
        bias: float32, shape (labels,).
        many: whether several labels may be on at a time: a sigmoid for each, instead of one softmax.
    """

    weights: Float32
    bias: Float32
    many: bool

    def scores(self, features: Float32) -> Float32:
        """Return the scores of features, shape (n, embedding), as the fused model gives them: shape (n, labels)."""
        logits = features @ self.weights.T + self.bias
        if self.many:
            return np.asarray((1 + np.tanh(logits / 2)) / 2, dtype=np.float32)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


def find_embedding(content: bytes, output: str | int | None = None, wanted: str | None = None) -> Embedding:
    """Find the layer before a network's scores.

    Args:
        content: a .tflite file.
        output: which of its outputs has the scores, by name or number; None for the first.
        wanted: name of the tensor to take instead.

    Raises:
        ModelError: there is none that is wide enough, or the file cannot be built on.
        UserError: there is no tensor of that name.
    """
    graph = Graph(content)
    if wanted is not None:
        return _embedding(graph, _named(graph, wanted))
    tensor = _scores(graph, output)
    while (maker := graph.made_by.get(tensor)) is not None and graph.operators[maker].kind in _AFTER_SCORES:
        tensor = graph.operators[maker].inputs[0]
    if maker is None or graph.operators[maker].kind not in _SCORING:
        kind = "nothing" if maker is None else graph.operators[maker].kind
        raise ModelError(f"has no embedding to build on: its scores come from {kind}, not from a layer of weights")
    found = graph.tensors[graph.operators[maker].inputs[0]]
    if graph.operators[maker].kind == "CONV_2D" and found.size != found.shape[-1]:
        raise ModelError("has no embedding to build on: its scores come from a convolution over time")
    if found.size < MIN_EMBEDDING:
        raise ModelError(
            f"has no embedding to build on: the layer before its scores has {found.size} values, and fewer than "
            f"{MIN_EMBEDDING} do not tell new sounds apart; --embedding names another tensor"
        )
    return _embedding(graph, found)


def cut(content: bytes, embedding: Embedding) -> bytes:
    """Return the network up to its embedding, which becomes its output: float32, shape (1, size)."""
    graph = Graph(content)
    tail = _Tail(graph)
    return tail.file(embedding, tail.real(embedding))


def fused(content: bytes, embedding: Embedding, head: Head) -> bytes:
    """Return the network up to its embedding with a head on it: one file, whose output is the scores.

    Raises:
        ModelError: the file cannot be built on.
    """
    graph = Graph(content)
    tail = _Tail(graph)
    last = tail.real(embedding)
    if embedding.rooted:
        last = tail.computed("SQRT", (last,), embedding.size)
    last = tail.computed("L2_NORMALIZATION", (last,), embedding.size, ("L2NormOptions", {}))
    labels = len(head.bias)
    weights, bias = tail.constant("head/weights", head.weights), tail.constant("head/bias", head.bias)
    last = tail.computed("FULLY_CONNECTED", (last, weights, bias), labels, ("FullyConnectedOptions", {}))
    if head.many:
        last = tail.computed("LOGISTIC", (last,), labels)
    else:
        last = tail.computed("SOFTMAX", (last,), labels, ("SoftmaxOptions", {"Beta": 1.0}))
    return tail.file(embedding, last)


@dataclass(frozen=True, slots=True)
class Exceptional:
    """What a correction adds to one label, near some embeddings alone.

    Attributes:
        label: its number.
        examples: features of what was heard wrongly, float32, shape (n, embedding), each of length 1.
        reach: cosine to the nearest of them from which on it is this sound: from here it grows, and is whole at 1.
        strength: what it adds to the label's logit where it is whole.
    """

    label: int
    examples: Float32
    reach: float
    strength: float

    def added(self, features: Float32) -> Float32:
        """Return what is added to the label's logit, by features, shape (n, embedding): shape (n,)."""
        near = (features @ self.examples.T).max(axis=1)
        return np.asarray(self.strength * np.maximum(0, near - self.reach) / (1 - self.reach), dtype=np.float32)


def scoring_layer(content: bytes, output: str | int | None = None) -> Head:
    """Return the layer of weights that makes a network's scores, a softmax over float32.

    Raises:
        ModelError: they are made otherwise.
    """
    graph = Graph(content)
    scores = graph.operators[graph.made_by[_scores(graph, output)]]
    layer = graph.operators[graph.made_by[scores.inputs[0]]] if scores.kind == "SOFTMAX" else None
    if layer is not None and layer.kind == "FULLY_CONNECTED" and layer.activation == "NONE":
        weights = graph.constant(layer.inputs[1])
        left_out = layer.inputs[2:] in ((), (-1,))
        if weights is not None:
            bias = np.zeros(len(weights), dtype=np.float32) if left_out else graph.constant(layer.inputs[2])
            if bias is not None:
                return Head(weights, bias, many=False)
    raise ModelError("cannot be corrected: its scores are no softmax over a layer of float32 weights")


def corrected(
    content: bytes, embedding: Embedding, exceptions: Sequence[Exceptional], output: str | int | None = None
) -> bytes:
    """Return a network of which all that it was stays, with exceptions added to its logits: one file.

    Args:
        content: a .tflite file, as `scoring_layer` takes it.
        embedding: its.
        exceptions: at least one.
        output: which of its outputs has the scores, by name or number; None for the first.
    """
    graph = Graph(content)
    logits = last_logits = graph.operators[graph.made_by[_scores(graph, output)]].inputs[0]
    labels = graph.tensors[logits].size
    tail = _Tail(graph)
    last = tail.real(embedding)
    if embedding.rooted:
        last = tail.computed("SQRT", (last,), embedding.size)
    features = tail.computed("L2_NORMALIZATION", (last,), embedding.size, ("L2NormOptions", {}))
    for number, one in enumerate(exceptions):
        count, whole = len(one.examples), 1 - one.reach
        weights = tail.constant(f"exception{number}/examples", (one.examples / whole).astype(np.float32))
        bias = tail.constant(f"exception{number}/reach", np.full(count, -one.reach / whole, dtype=np.float32))
        relu = ("FullyConnectedOptions", {"FusedActivationFunction": _RELU})
        near = tail.computed("FULLY_CONNECTED", (features, weights, bias), count, relu)
        axis = tail.constant(f"exception{number}/axis", np.array([1], dtype=np.int32))
        nearest = tail.computed("REDUCE_MAX", (near, axis), 1, ("ReducerOptions", {"KeepDims": True}))
        slope = np.zeros((labels, 1), dtype=np.float32)
        slope[one.label] = one.strength
        slopes = tail.constant(f"exception{number}/strength", slope)
        nothing = tail.constant(f"exception{number}/nothing", np.zeros(labels, dtype=np.float32))
        added = tail.computed("FULLY_CONNECTED", (nearest, slopes, nothing), labels, ("FullyConnectedOptions", {}))
        logits = tail.computed("ADD", (logits, added), labels, ("AddOptions", {}))
    scores = tail.computed("SOFTMAX", (logits,), labels, ("SoftmaxOptions", {"Beta": 1.0}))
    # The old logits depend on the embedding: all of the network but its softmax stays.
    return tail.file_from(last_logits, scores)


def features(embeddings: Float32, embedding: Embedding) -> Float32:
    """Return what a head reads: an embedding's square root, where it has one, at length 1.

    The square root makes the few loud channels count less, the length how loud the sound was.

    Args:
        embeddings: float32, shape (n, size).
        embedding: which.

    Returns:
        float32, same shape.
    """
    values = np.sqrt(embeddings) if embedding.rooted else embeddings
    norms = np.sqrt(np.square(values).sum(axis=1, keepdims=True))
    return np.asarray(values / np.maximum(norms, np.float32(_LEAST_NORM)), dtype=np.float32)


class _Tail:
    """Tensors and operators that are added to a graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._tensors: list[NewTensor] = []
        self._operators: list[NewOperator] = []

    def real(self, embedding: Embedding) -> int:
        """Return the tensor of the embedding's real values, shape (1, size)."""
        last = embedding.tensor
        if embedding.quantised:
            stored = self._graph.tensors[last]
            # Version 2 is the first that knows int8, 3 the first that knows int16.
            version = {"uint8": 1, "int8": 2}.get(stored.dtype, 3)
            last = self.computed("DEQUANTIZE", (last,), stored.shape, ("DequantizeOptions", {}), version)
        if self._graph.tensors[embedding.tensor].shape != (1, embedding.size):
            shape = self.constant("embedding/shape", np.array([1, embedding.size], dtype=np.int32))
            last = self.computed("RESHAPE", (last, shape), embedding.size)
        return last

    def constant(self, name: str, values: NDArray[np.generic]) -> int:
        return self._add(NewTensor(name, values.shape, values))

    def computed(
        self,
        kind: str,
        inputs: tuple[int, ...],
        size: int | tuple[int, ...],
        options: Options | None = None,
        version: int = 1,
    ) -> int:
        output = self._add(NewTensor(kind.lower(), (1, size) if isinstance(size, int) else size))
        self._operators.append(NewOperator(kind, inputs, (output,), options, version))
        return output

    def file(self, embedding: Embedding, output: int) -> bytes:
        return self.file_from(embedding.tensor, output)

    def file_from(self, tensor: int, output: int) -> bytes:
        """Return the file of all that leads to a tensor, and of what is added."""
        return self._graph.continued(tensor, self._tensors, self._operators, output)

    def _add(self, tensor: NewTensor) -> int:
        self._tensors.append(tensor)
        return len(self._graph.tensors) + len(self._tensors) - 1


def _scores(graph: Graph, output: str | int | None) -> int:
    for number, tensor in enumerate(graph.outputs):
        if output in (None, number, graph.tensors[tensor].name):
            return tensor
    raise ModelError(f"has no output {output!r}")


def _named(graph: Graph, name: str) -> TfliteTensor:
    candidates = [tensor for tensor in graph.tensors if tensor.number in graph.made_by and _fits(tensor)]
    for tensor in candidates:
        if tensor.name == name:
            return tensor
    # The last ones are the likely ones.
    there = ", ".join(f"{tensor.name} ({tensor.size})" for tensor in candidates[: -_MAX_NAMED - 1 : -1])
    raise UserError(f"has no tensor {name!r} that could be an embedding; it has {there or 'none'}")


def _fits(tensor: TfliteTensor) -> bool:
    stored = tensor.dtype == "float32" or (tensor.dtype in _LEAST_STORED and tensor.scale > 0)
    return stored and MIN_EMBEDDING <= tensor.size <= _MAX_EMBEDDING and max(tensor.shape) == tensor.size


def _embedding(graph: Graph, tensor: TfliteTensor) -> Embedding:
    quantised = tensor.dtype != "float32"
    if quantised and (tensor.dtype not in _LEAST_STORED or tensor.scale <= 0):
        raise ModelError(f"has an embedding of {tensor.dtype}, which cannot be built on")
    if tensor.size > _MAX_EMBEDDING:
        raise ModelError(
            f"has {tensor.size} values before its scores, too many to build on (at most {_MAX_EMBEDDING}); "
            f"--embedding names another tensor"
        )
    return Embedding(tensor.number, tensor.name, tensor.size, _never_negative(graph, tensor), quantised)


def _never_negative(graph: Graph, tensor: TfliteTensor) -> bool:
    if tensor.dtype != "float32" and tensor.zero_point == _LEAST_STORED.get(tensor.dtype):
        return True
    while (maker := graph.made_by.get(tensor.number)) is not None:
        operator = graph.operators[maker]
        if operator.kind in _NEVER_NEGATIVE or operator.activation in _NEVER_NEGATIVE:
            return True
        if operator.kind not in _SIGN_KEEPING:
            return False
        tensor = graph.tensors[operator.inputs[0]]
    return False
