"""Reads a TensorFlow SavedModel: a graph with one serving function, and names where Keras had layers."""

from collections import Counter
from pathlib import Path
from typing import Any

from audiomon.errors import ModelError
from audiomon.lab.original import Layer, OriginalModel, chosen_output, fitted, in_short
from audiomon.lab.tensorflow_process import import_tensorflow
from audiomon.models.importing.describe import times

_SERVING = ("serving_default", "serve")
# Operations that only carry values about; a layer is not known by them.
_PLUMBING = {"Const", "Identity", "NoOp", "ReadVariableOp", "Placeholder", "StatefulPartitionedCall", "PartitionedCall"}


def read_saved_model(folder: Path, *, output: str = "", window: tuple[int, ...] | None = None) -> OriginalModel:
    """Read a SavedModel.

    Args:
        folder: of it.
        output: name or number of the output that has the scores; empty if there is one.
        window: shape of a window, if it is known: for an input of any size or rank.

    Raises:
        ModelError: it is damaged, or has no function of one input that fits the window.
    """
    if not (folder / "saved_model.pb").exists():
        raise ModelError("is a folder, but no SavedModel: it has no saved_model.pb", path=folder)
    tensorflow = import_tensorflow()
    try:
        loaded = tensorflow.saved_model.load(str(folder))
    except Exception as error:  # whatever comes out of a damaged protocol buffer or checkpoint
        raise ModelError(f"is a damaged SavedModel: {in_short(error)}", path=folder) from None
    function = _function(folder, loaded)
    inputs, outputs = function.structured_input_signature[1], function.structured_outputs
    if len(inputs) != 1:
        raise ModelError(f"its function has {len(inputs)} inputs; a model that listens has one", path=folder)
    names = sorted(outputs)
    result = names[chosen_output(folder, names, output)]
    argument, spec = next(iter(inputs.items()))
    shape, has_batch = _window_shape(folder, spec.shape, window)
    graph = function.graph.as_graph_def()
    return OriginalModel(
        origin="SavedModel",
        call=_Serving(loaded, function, argument, result, spec.dtype, None if has_batch else shape),
        input_shape=shape,
        layers=scoped_layers(graph),
        keras_model=None,
    )


def _function(folder: Path, loaded: Any) -> Any:
    """Return the function that serves: the one of that name, or the only one."""
    signatures = dict(loaded.signatures)
    name = next((name for name in _SERVING if name in signatures), None)
    if name is None and len(signatures) == 1:
        name = next(iter(signatures))
    if name is not None:
        return signatures[name]
    if signatures:
        raise ModelError(
            f"{folder}: has the functions {', '.join(sorted(signatures))}, and none is called {_SERVING[0]}; save the "
            f"one that listens under that name"
        )
    raise ModelError(
        f"{folder}: has no function that can be called ({' or '.join(_SERVING)}); save it with "
        f"model.export('folder'), or with tf.saved_model.save(model, 'folder', signatures=model.call)"
    )


def _window_shape(folder: Path, spec: Any, window: tuple[int, ...] | None) -> tuple[tuple[int, ...], bool]:
    """Return the shape of one window, and whether the function wants a batch of them."""
    hint = "say what it reads, with --feature samples=… or --feature frames=… and --feature n_mels=…"
    if spec.rank is None:
        if window is None:
            raise ModelError(f"its input is of any shape; {hint}", path=folder)
        return window, True
    sizes = [None if size is None else int(size) for size in spec.as_list()]
    # One dimension is samples in a row; several that are all fixed, and a window, lack a batch.
    bare = [size for size in sizes if size != 1]
    if len(sizes) == 1 or (
        window is not None and None not in sizes and sizes[0] != 1 and bare == _without_ones(window)
    ):
        shape = fitted(sizes, window) if None in sizes and window else tuple(size for size in sizes if size)
        if shape and len(shape) == len(sizes):
            return shape, False
    elif None not in sizes[1:]:
        return tuple(size or 1 for size in sizes[1:]), True
    elif window is not None and (found := fitted(sizes[1:], window)) is not None:
        return found, True
    raise ModelError(f"its input has no fixed size ({times(tuple(sizes))}); {hint}", path=folder)


def _without_ones(shape: tuple[int, ...]) -> list[int]:
    return [size for size in shape if size != 1]


class _Serving:
    """A serving function as a plain call; holds on to the loaded object, without which its variables vanish."""

    def __init__(
        self, loaded: Any, function: Any, argument: str, result: str, dtype: Any, bare: tuple[int, ...] | None
    ) -> None:
        self._loaded = loaded
        self._dtype = dtype
        self._bare = bare  # shape of a window where the function wants no batch
        self._function = function
        self._argument = argument
        self._result = result

    def __call__(self, windows: Any) -> Any:
        tensorflow = import_tensorflow()
        given = tensorflow.cast(tensorflow.convert_to_tensor(windows), self._dtype)
        if self._bare is not None:
            given = tensorflow.reshape(given, self._bare)
        return tensorflow.cast(self._function(**{self._argument: given})[self._result], tensorflow.float32)


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
