"""The small CNN that audiomon began with: 5,124 parameters for 43 frames, 40 bands and 4 classes."""

from typing import Any


def build(shape: tuple[int, int], classes: int) -> Any:
    """Build it.

    Global max pooling after the second convolution: a class is recognised by 32 local patterns of 8 frames × 8 bands,
    wherever in the window they occur.

    Args:
        shape: (frames, n_mels) of the log-mel window.
        classes: how many.

    Returns:
        keras.Model, input (1 window at a time or a batch, frames, n_mels, 1) float32, output (batch, classes) softmax.
    """
    from tensorflow import keras

    layers = keras.layers
    pooled = tuple(-(-size // 2) for size in shape)
    return keras.Sequential(
        [
            keras.Input((*shape, 1)),
            layers.Conv2D(16, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(2, padding="same"),
            layers.Conv2D(32, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(pooled),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(classes, activation="softmax"),
        ],
        name="seed",
    )
