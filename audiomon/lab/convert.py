"""Converts a trained model to TFLite, with the batch dimension fixed at 1.

Only TFLite's own operators are used: neither runtime of a Pi has TensorFlow's to fall back on. Nothing here judges the
result; `audiomon.lab.proof` does.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from audiomon.errors import ModelError
from audiomon.lab.original import OriginalModel, in_short
from audiomon.lab.tensorflow_process import import_tensorflow

Float32 = NDArray[np.float32]
Precision = Literal["float32", "float16", "dynamic", "int8"]
# Numbers of TensorFlow's types.
_OTHER_FLOATS = {2: "float64", 14: "bfloat16", 19: "float16"}
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True, slots=True)
class Conversion:
    """A converted model.

    Attributes:
        content: a .tflite file.
        scopes: what each layer of the original is called in the names of its tensors, by the layer's name.
    """

    content: bytes
    scopes: dict[str, str]


def convert(
    original: OriginalModel, precision: Precision, calibration: Float32 | None = None, batch: int | None = 1
) -> Conversion:
    """Convert a model.

    Args:
        original: what was trained.
        precision: ``float32``; ``float16``: weights stored in half precision; ``dynamic``: weights in 8 bits; ``int8``:
            weights, activations, input and output in 8 bits.
        calibration: for int8: windows of real sound, float32, shape (n, *input_shape); from them the converter learns
            the range of every activation.
        batch: the batch dimension; None leaves it open, which only a comparison wants.

    Raises:
        ModelError: an operation has no TFLite counterpart; the message names the layer and what to do.
    """
    tensorflow = import_tensorflow()
    frozen = _frozen(original, batch)
    converter = tensorflow.lite.TFLiteConverter.from_concrete_functions([frozen])
    if precision != "float32":
        converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
        # A scale for each output of a dense layer makes it FULLY_CONNECTED version 12, which tflite-runtime lacks.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    if precision == "float16":
        converter.target_spec.supported_types = [tensorflow.float16]
    if precision == "int8":
        if calibration is None:
            raise ValueError("int8 needs calibration windows")
        windows = calibration
        converter.representative_dataset = lambda: ([windows[index : index + 1]] for index in range(len(windows)))
        converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tensorflow.int8
        converter.inference_output_type = tensorflow.int8
    nodes = _nodes(frozen)
    scopes = _scopes(nodes, [layer.name for layer in original.layers])
    try:
        return Conversion(bytes(converter.convert()), scopes)
    except Exception as error:  # the converter raises whatever comes to hand
        raise _explained(str(error), nodes, scopes, original) from None


def _frozen(original: OriginalModel, batch: int | None) -> Any:
    """Trace the model for one batch and turn its variables into constants.

    Without that, tflite-runtime meets variables that it cannot read, and with an open batch dimension it does not hand
    the graph to XNNPACK.
    """
    tensorflow = import_tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    window = tensorflow.TensorSpec((batch, *original.input_shape), tensorflow.float32, name="window")
    try:
        function = tensorflow.function(original.call).get_concrete_function(window)
        _refuse_state(function, original)
        return convert_variables_to_constants_v2(function)
    except ModelError:
        raise
    except Exception as error:  # TensorFlow raises whatever comes to hand
        raise ModelError(f"TensorFlow cannot trace the model: {in_short(error)}") from None


def _refuse_state(function: Any, original: OriginalModel) -> None:
    """Refuse a graph that keeps something from one window to the next: order would change its answers."""
    nodes = _nodes(function)
    scopes = {scope: name for name, scope in _scopes(nodes, [layer.name for layer in original.layers]).items()}
    for node in nodes:
        if node.op.startswith("Assign") and node.op.endswith("VariableOp"):
            name = next((scopes[part] for part in node.name.split("/") if part in scopes), node.name.split("/")[0])
            raise ModelError(
                f"layer {name!r} keeps state between windows, so that their order would change its answers; build it "
                f"without (stateful=False), load the weights, and save again"
            )


def _nodes(frozen: Any) -> list[Any]:
    """Return all nodes of a graph, those inside its functions too."""
    graph = frozen.graph.as_graph_def()
    return [*graph.node, *(node for function in graph.library.function for node in function.node_def)]


def _scopes(nodes: list[Any], names: list[str]) -> dict[str, str]:
    """Find each layer's name among those of the graph, where ``conv2d`` may have become ``conv2d_1``.

    Layers come in the order in which they run, and so do nodes: the first name that fits and is not taken is it.
    """
    parts = list(dict.fromkeys(part for node in nodes for part in node.name.split("/")[:-1]))
    scopes: dict[str, str] = {}
    for name in names:
        alike = re.compile(re.escape(name) + r"(_\d+)*")
        found = next((part for part in parts if alike.fullmatch(part) and part not in scopes.values()), None)
        if found is not None:
            scopes[name] = found
    return scopes


def _explained(message: str, nodes: list[Any], scopes: dict[str, str], original: OriginalModel) -> ModelError:
    """Name the layers behind what the converter complains of."""
    unsupported = sorted(set(re.findall(r"'tf\.(\w+)' op is neither a custom op nor a flex op", message)))
    if not unsupported:
        line = next((line for line in message.splitlines() if "error:" in line), message.splitlines()[0])
        return ModelError(f"TensorFlow cannot convert it: {' '.join(line.split())[:300]}")
    kinds = {layer.name: layer.kind for layer in original.layers}
    layer_of = {scope: name for name, scope in scopes.items()}
    culprits: dict[str, set[str]] = {}
    types = {node.attr["T"].type for node in nodes if node.op in unsupported}
    others = {name for number, name in _OTHER_FLOATS.items() if number in types}
    if others:
        return ModelError(
            f"it calculates in {' and '.join(sorted(others))}, which TFLite does not; the weights are fine: "
            f"build it with the policy float32, load them, and save again, or convert the Keras file itself"
        )
    for node in nodes:
        if node.op in unsupported:
            name = next((layer_of[part] for part in node.name.split("/") if part in layer_of), node.name)
            culprits.setdefault(name, set()).add(node.op)
    named = "; ".join(
        f"layer {name!r} ({kinds.get(name, 'graph')}) uses {', '.join(sorted(operations))}"
        for name, operations in culprits.items()
    )
    return ModelError(
        f"{named or 'it uses ' + ', '.join(unsupported)}, which TFLite does not have. Cut the model before that layer "
        f"and do its work outside, or replace it by layers made of convolution, pooling, matrix products and "
        f"elementwise arithmetic, and train again"
    )
