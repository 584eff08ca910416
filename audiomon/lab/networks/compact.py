"""A depthwise-separable CNN for people with CPU to spare: about 125,000 parameters.

After MobileNet (Howard et al. 2017): a 3×3 filter for each channel, then 1×1 products across channels.
"""

from typing import Any

# Channels and stride of each block. The first halving is the entry convolution's.
_BLOCKS = ((64, 1), (64, 1), (128, 2), (128, 1), (128, 1), (192, 2), (192, 1))


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
    window = keras.Input((*shape, 1))
    x = layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False)(window)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for channels, stride in _BLOCKS:
        x = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Conv2D(channels, 1, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(window, layers.Dense(classes, activation="softmax")(x), name="compact")
