"""Reads a TensorFlow SavedModel: a graph with one serving function, and names where Keras had layers."""

from collections import Counter
from pathlib import Path
from typing import Any

from audiomon.errors import ModelError
from audiomon.lab.original import Layer, OriginalModel
from audiomon.lab.tensorflow_process import import_tensorflow

_SERVING = ("serving_default", "serve")
# Operations that only carry values about; a layer is not known by them.
_PLUMBING = {"Const", "Identity", "NoOp", "ReadVariableOp", "Placeholder", "StatefulPartitionedCall", "PartitionedCall"}


def read_saved_model(folder: Path) -> OriginalModel:
    """Read a SavedModel.

    Raises:
        ModelError: it is damaged, or has no serving function of one input and one output.
    """
    if not (folder / "saved_model.pb").exists():
        raise ModelError(f"{folder}: is a folder, but no SavedModel: it has no saved_model.pb")
    tensorflow = import_tensorflow()
    try:
        loaded = tensorflow.saved_model.load(str(folder))
    except Exception as error:  # whatever comes out of a damaged protocol buffer or checkpoint
        raise ModelError(f"{folder}: is a damaged SavedModel: {' '.join(str(error).split())[:200]}") from None
    signatures = loaded.signatures
    name = next((name for name in _SERVING if name in signatures), None)
    if name is None:
        raise ModelError(
            f"{folder}: has no serving function ({' or '.join(_SERVING)}); save it with model.export('folder')"
        )
    function = signatures[name]
    inputs = function.structured_input_signature[1]
    outputs = function.structured_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(
            f"{folder}: its serving function has {len(inputs)} inputs and {len(outputs)} outputs; "
            f"a model that listens has one of each"
        )
    (argument, spec), result = next(iter(inputs.items())), next(iter(outputs))
    shape = tuple(spec.shape)[1:]
    if any(size is None for size in shape):
        raise ModelError(f"{folder}: its input has no fixed size ({spec.shape}); save it with a fixed one")
    return OriginalModel(
        origin="SavedModel",
        call=_Serving(loaded, function, argument, result),
        input_shape=tuple(map(int, shape)),
        layers=scoped_layers(function.graph.as_graph_def()),
        keras_model=None,
    )


class _Serving:
    """A serving function as a plain call; holds on to the loaded object, without which its variables vanish."""

    def __init__(self, loaded: Any, function: Any, argument: str, result: str) -> None:
        self._loaded = loaded
        self._function = function
        self._argument = argument
        self._result = result

    def __call__(self, windows: Any) -> Any:
        tensorflow = import_tensorflow()
        return self._function(**{self._argument: tensorflow.convert_to_tensor(windows)})[self._result]


def scoped_layers(graph: Any) -> tuple[Layer, ...]:
    """List the names that a graph's operations are grouped under, in order, with the operations as their kind.

    Args:
        graph: a GraphDef; functions in it are looked into.
    """
    groups: dict[str, Counter[str]] = {}
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    for node in nodes:
        parts = node.name.split("/")
        if len(parts) >= 3 and node.op not in _PLUMBING:
            groups.setdefault(parts[-2] if len(parts) == 3 else parts[1], Counter())[node.op] += 1
    return tuple(Layer(name, " + ".join(operations), None, None) for name, operations in groups.items())
