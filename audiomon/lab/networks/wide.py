"""A wider network of the seed's kind, for data that the seed cannot hold: 76,156 parameters for 4 classes.

Four plain convolutions with max pooling between them, and at the end the strongest answer of each pattern, wherever in
the window it is.
"""

from typing import Any

_CHANNELS = (24, 48, 64, 64)


def build(shape: tuple[int, int], classes: int) -> Any:
    """Build it.

    Args:
        shape: (frames, n_mels) of the log-mel window.
        classes: how many.

    Returns:
        keras.Model, input (1 window at a time or a batch, frames, n_mels, 1) float32, output (batch, classes) softmax.
    """
    from tensorflow import keras

    layers = keras.layers
    stack: list[Any] = [keras.Input((*shape, 1))]
    for number, channels in enumerate(_CHANNELS):
        if number:
            stack.append(layers.MaxPooling2D(2, padding="same"))
        stack.append(layers.Conv2D(channels, 3, padding="same", use_bias=False))
        stack += [layers.BatchNormalization(), layers.ReLU()]
    stack += [layers.GlobalMaxPooling2D(), layers.Dropout(0.3), layers.Dense(classes, activation="softmax")]
    return keras.Sequential(stack, name="wide")
