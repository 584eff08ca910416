"""A trained model before conversion, whatever file it came from: it can be called, and its layers are listed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        rows = [np.asarray(self.call(windows[index : index + 1])).ravel() for index in range(len(windows))]
        return np.asarray(rows, dtype=np.float32)
