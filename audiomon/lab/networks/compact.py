"""A depthwise-separable CNN for people with CPU to spare: about 71,000 parameters.

After MobileNet (Howard et al. 2017): a 3×3 filter for each channel, then 1×1 products across channels.
"""

from typing import Any

# Channels and stride of each block; the first halving of the window is the entry convolution's.
_ENTRY = 24
_BLOCKS = ((48, 2), (64, 1), (96, 2), (96, 1), (160, 2), (160, 1))
# Of the running statistics: a few hundred steps are all that a small data set gets.
_MOMENTUM = 0.97


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

    def normalized(x: Any) -> Any:
        return layers.ReLU()(layers.BatchNormalization(momentum=_MOMENTUM)(x))

    window = keras.Input((*shape, 1))
    x = normalized(layers.Conv2D(_ENTRY, 3, strides=2, padding="same", use_bias=False)(window))
    for channels, stride in _BLOCKS:
        x = normalized(layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(x))
        x = normalized(layers.Conv2D(channels, 1, use_bias=False)(x))
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(window, layers.Dense(classes, activation="softmax")(x), name="compact")
