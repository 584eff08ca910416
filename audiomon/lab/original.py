"""A trained model before conversion, whatever file it came from: it can be called, and its layers are listed."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomon.errors import AudiomonError, ModelError

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, as the user named it.

    Attributes:
        name: ``conv2d_1``.
        kind: ``Conv2D``; for a SavedModel, which keeps no layers, the operations under that name.
        shape: of its output without the batch dimension; None where the file does not say.
        parameters: how many numbers it learned (or keeps); None where the file does not say.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...] | None
    parameters: int | None


@dataclass(frozen=True, slots=True)
class OriginalModel:
    """A model as it was trained.

    Attributes:
        origin: which form it came in, for reports: ``Keras 2.2.4-tf architecture and weights``.
        call: a batch in, a batch out; can be traced by ``tf.function``.
        input_shape: without the batch dimension.
        layers: in order.
        keras_model: the Keras model itself; None for a SavedModel.
    """

    origin: str
    call: Callable[[Any], Any]
    input_shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    keras_model: Any

    def answers(self, windows: Float32) -> Float32:
        """Run it on one window at a time, as a listener does.

        Args:
            windows: float32, shape (n, *input_shape).

        Returns:
            float32, shape (n, scores).
        """
        try:
            rows = [np.asarray(self.call(windows[index : index + 1])).ravel() for index in range(len(windows))]
        except AudiomonError:
            raise
        except Exception as error:  # TensorFlow raises whatever comes to hand
            shape = "×".join(map(str, self.input_shape))
            raise ModelError(f"the model cannot be run on windows of {shape}: {in_short(error)}") from None
        return np.asarray(rows, dtype=np.float32)


def chosen_output(path: Path, names: list[str], wanted: str) -> int:
    """Return the number of the output that has the scores.

    Args:
        path: of the model, for messages.
        names: of its outputs.
        wanted: one of them, or its number; empty where there is one.

    Raises:
        ModelError: there is no such output, or several and none is named.
    """
    listed = ", ".join(f"{number}: {name}" for number, name in enumerate(names))
    if not wanted and len(names) == 1:
        return 0
    for number, name in enumerate(names):
        if wanted in (str(number), name):
            return number
    if wanted:
        raise ModelError(f"has no output {wanted!r}; it has {listed}", path=path)
    raise ModelError(f"has {len(names)} outputs; say which one has the scores: --output, of {listed}", path=path)


def fitted(shape: Sequence[int | None], window: tuple[int, ...]) -> tuple[int, ...] | None:
    """Fill the sizes that an input leaves open from a window's shape; None if the two do not fit.

    Args:
        shape: of the input, without a batch; None where any size will do.
        window: what is to be read; sizes of 1 may be anywhere.
    """
    wanted = [size for size in window if size != 1]
    if len(shape) == 1 and shape[0] is None:
        return (math.prod(window),)
    filled: list[int] = []
    # A size that is left open may be one of 1, as that of channels.
    spare = len(shape) - len([size for size in shape if size == 1]) - len(wanted)
    for size in reversed(shape):
        if size == 1 or (size is None and spare > 0):
            spare -= size is None
            filled.append(1)
        elif not wanted or (size is not None and size != wanted[-1]):
            return None
        else:
            filled.append(wanted.pop())
    return None if wanted else tuple(reversed(filled))


def in_short(error: Exception) -> str:
    """Return the first sentence of what TensorFlow says of an error, which may be pages."""
    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    useful = [
        line for line in lines if line and not line.startswith(("Graph execution error", "Detected at", "Arguments"))
    ]
    return (useful or [type(error).__name__])[0][:240]
