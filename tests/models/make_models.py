"""Makes the small .tflite files in ``fixtures/``: ``python -m tests.models.make_models``, where TensorFlow is.

They were never trained: their weights come from a seed, picked so that each self-test sound gets another label.
The files are committed, so that tests need no TensorFlow.
"""

from collections.abc import Callable, Iterator

import flatbuffers
import numpy as np
import tensorflow as tf

from audiomon.features import InputSpec
from audiomon.models.classifier import self_test_window
from audiomon.models.importing.write import SIGNALS
from tests.models.tiny import FIXTURES, LOG_MEL, METADATA_ROOM, WAVEFORM


def log_mel_network(activation: str | None, batch: int | None = 1) -> tf.keras.Model:
    """The shape of the home model's network, smaller: 20x16 -> 4."""
    tf.keras.utils.set_random_seed(SEED)
    return tf.keras.Sequential(
        [
            tf.keras.Input((*LOG_MEL.shape, 1), batch_size=batch),
            tf.keras.layers.Conv2D(4, 3, padding="same", activation="relu"),
            tf.keras.layers.MaxPooling2D(2),
            tf.keras.layers.Flatten(),
            # 1280 weights: the converter leaves tensors of fewer than 1024 elements in float32.
            tf.keras.layers.Dense(4, activation=activation, kernel_initializer=_spread(0.3)),
        ]
    )


def waveform_network() -> tf.keras.Model:
    """Raw samples, without a channel dimension: 1600 -> 4."""
    tf.keras.utils.set_random_seed(SEED)
    return tf.keras.Sequential(
        [
            tf.keras.Input(WAVEFORM.shape, batch_size=1),
            tf.keras.layers.Reshape((*WAVEFORM.shape, 1)),
            tf.keras.layers.Conv1D(6, 32, strides=16, activation="relu", kernel_initializer=_spread(0.5)),
            tf.keras.layers.GlobalAveragePooling1D(),
            tf.keras.layers.Dense(4, activation="softmax", kernel_initializer=_spread(4.0)),
        ]
    )


def pcm_network() -> tf.keras.Model:
    """The samples as a sound card gives them, int16, with a channel dimension: 1600x1 -> 4."""
    tf.keras.utils.set_random_seed(SEED)
    samples = tf.keras.Input((*WAVEFORM.shape, 1), batch_size=1, dtype="int16")
    scaled = tf.keras.layers.Rescaling(1 / 32768)(tf.keras.layers.Lambda(lambda pcm: tf.cast(pcm, tf.float32))(samples))
    convolved = tf.keras.layers.Conv1D(
        6, 32, strides=16, activation="relu", kernel_initializer=_spread(0.5), bias_initializer="zeros"
    )(scaled)
    pooled = tf.keras.layers.GlobalAveragePooling1D()(convolved)
    scores = tf.keras.layers.Dense(4, activation="softmax", kernel_initializer=_spread(4.0))(pooled)
    return tf.keras.Model(samples, scores)


def bands_first_network() -> tf.keras.Model:
    """The float32 model behind a transposition: 16x20 -> 4."""
    inner = log_mel_network("softmax")
    return tf.keras.Sequential(
        [tf.keras.Input((*LOG_MEL.shape[::-1], 1), batch_size=1), tf.keras.layers.Permute((2, 1, 3)), inner]
    )


def flat_network() -> tf.keras.Model:
    """The float32 model behind a reshape, as Edge Impulse exports its classifiers: 320 -> 4."""
    inner = log_mel_network("softmax")
    frames, bands = LOG_MEL.shape
    return tf.keras.Sequential(
        [tf.keras.Input((frames * bands,), batch_size=1), tf.keras.layers.Reshape((frames, bands, 1)), inner]
    )


def two_output_network() -> tf.keras.Model:
    """An embedding beside the scores, as YAMNet's relatives have it: 20x16 -> 6 and 4."""
    tf.keras.utils.set_random_seed(SEED)
    window = tf.keras.Input((*LOG_MEL.shape, 1), batch_size=1)
    flat = tf.keras.layers.Flatten()(tf.keras.layers.MaxPooling2D(2)(window))
    embedding = tf.keras.layers.Dense(6, activation="relu", kernel_initializer=_spread(0.3))(flat)
    scores = tf.keras.layers.Dense(4, activation="softmax", kernel_initializer=_spread(0.3))(embedding)
    return tf.keras.Model(window, [embedding, scores])


def stereo_network() -> tf.keras.Model:
    """Two channels: what audiomon has only one of."""
    samples = tf.keras.Input((*WAVEFORM.shape, 2), batch_size=1)
    pooled = tf.keras.layers.GlobalAveragePooling1D()(samples)
    return tf.keras.Model(samples, tf.keras.layers.Dense(4, activation="softmax")(pooled))


def any_length_network() -> tf.keras.Model:
    """As many samples as one likes."""
    samples = tf.keras.Input((None, 1), batch_size=1)
    pooled = tf.keras.layers.GlobalAveragePooling1D()(samples)
    return tf.keras.Model(samples, tf.keras.layers.Dense(4, activation="softmax")(pooled))


class OperatorOfTensorFlow(tf.keras.layers.Layer):
    """What TFLite has no operator of its own for."""

    def call(self, scores: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(scores * tf.linalg.det(tf.reshape(scores, (2, 2))))


def foreign_network() -> tf.keras.Model:
    """An operator that TFLite lacks: TensorFlow's own, or a custom one, as one converts it."""
    tf.keras.utils.set_random_seed(SEED)
    samples = tf.keras.Input(WAVEFORM.shape, batch_size=1)
    return tf.keras.Model(samples, OperatorOfTensorFlow()(tf.keras.layers.Dense(4, use_bias=False)(samples[:, :16])))


def with_room_for_metadata(content: bytes) -> bytes:
    """Add an embedded metadata buffer that holds nothing yet; tests write theirs into it."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    room = schema.BufferT()
    room.data = np.frombuffer(METADATA_ROOM, dtype=np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = b"TFLITE_METADATA", len(model.buffers)
    model.buffers.append(room)
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(len(content) + len(METADATA_ROOM))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def many_network() -> tf.keras.Model:
    """Sums of four samples each, 10 000 of them: as many labels as there may be, and no weights."""
    samples = tf.keras.Input((40_000, 1), batch_size=1)
    summed = tf.keras.layers.AveragePooling1D(4)(samples)
    return tf.keras.Model(samples, tf.keras.layers.Activation("sigmoid")(tf.keras.layers.Flatten()(summed)))


def two_input_network() -> tf.keras.Model:
    """Two log-mel windows, added: what audiomon cannot feed."""
    first, second = (tf.keras.Input((*LOG_MEL.shape, 1), batch_size=1) for _ in range(2))
    pooled = tf.keras.layers.GlobalAveragePooling2D()(tf.keras.layers.Add()([first, second]))
    return tf.keras.Model([first, second], tf.keras.layers.Dense(4, activation="softmax")(pooled))


def word_network() -> tf.keras.Model:
    """Word numbers in, not audio."""
    words = tf.keras.Input((8,), batch_size=1, dtype="int32")
    pooled = tf.keras.layers.GlobalAveragePooling1D()(tf.keras.layers.Embedding(10, 4)(words))
    return tf.keras.Model(words, tf.keras.layers.Dense(4, activation="softmax")(pooled))


def convert(model: tf.keras.Model, **settings: object) -> bytes:
    """Convert to .tflite with the converter's attributes set."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    for name, value in settings.items():
        if name == "supported_types":
            converter.target_spec.supported_types = value
        elif name == "supported_ops":
            converter.target_spec.supported_ops = value
        else:
            setattr(converter, name, value)
    return bytes(converter.convert())


def calibration(spec: InputSpec) -> Callable[[], Iterator[list[np.ndarray]]]:
    """The self-test sounds, as the converter wants to see them."""

    def windows() -> Iterator[list[np.ndarray]]:
        for signal in SIGNALS:
            yield [self_test_window(signal, spec).reshape(1, *spec.shape, 1)]

    return windows


def main() -> None:
    """Write all of them."""
    quantised = {
        "optimizations": [tf.lite.Optimize.DEFAULT],
        # One scale for each output of a dense layer is FULLY_CONNECTED version 12, which tflite-runtime 2.14 lacks.
        "_experimental_disable_per_channel_quantization_for_dense_layers": True,
    }
    whole = {
        **quantised,
        "representative_dataset": calibration(LOG_MEL),
        "supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8],
    }
    softmax = log_mel_network("softmax")
    for name, content in {
        "float32": convert(softmax),
        "float16": convert(softmax, **quantised, supported_types=[tf.float16]),
        "dynamic_int8": convert(softmax, **quantised),
        "int8": convert(softmax, **whole, inference_input_type=tf.int8, inference_output_type=tf.int8),
        "uint8": convert(softmax, **whole, inference_input_type=tf.uint8, inference_output_type=tf.uint8),
        "dynamic_batch": convert(log_mel_network("softmax", batch=None)),
        "logits": convert(log_mel_network(None)),
        "sigmoid": convert(log_mel_network("sigmoid")),
        "waveform": convert(waveform_network()),
        "two_inputs": convert(two_input_network()),
        "words": convert(word_network()),
        "waveform_pcm": convert(pcm_network()),
        "bands_first": convert(bands_first_network()),
        "flat": convert(flat_network()),
        "two_outputs": convert(two_output_network()),
        "stereo": convert(stereo_network()),
        "any_length": convert(any_length_network()),
        "many": convert(many_network()),
        "metadata_room": with_room_for_metadata((FIXTURES / "waveform.tflite").read_bytes()),
        "flex": convert(
            foreign_network(), supported_ops=[tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
        ),
        "custom": convert(foreign_network(), allow_custom_ops=True),
    }.items():
        (FIXTURES / f"{name}.tflite").write_bytes(content)
        print(f"{name}.tflite: {len(content)} bytes, {answers(content)}")


def answers(content: bytes) -> str:
    """What a model says to the self-test sounds, to see that it is worth testing with."""
    interpreter = tf.lite.Interpreter(model_content=content)
    try:
        interpreter.allocate_tensors()
    except RuntimeError as error:
        return f"not run: {str(error)[:60]}"
    inputs, output = interpreter.get_input_details(), interpreter.get_output_details()[0]
    sizes = {np.prod(spec.shape): spec for spec in (LOG_MEL, WAVEFORM)}
    spec = sizes.get(np.prod(inputs[0]["shape"]))
    if len(inputs) > 1 or inputs[0]["dtype"] != np.float32 or spec is None:
        return "not run"
    lines = []
    for signal in SIGNALS:
        interpreter.set_tensor(inputs[0]["index"], self_test_window(signal, spec).reshape(inputs[0]["shape"]))
        interpreter.invoke()
        lines.append(f"{signal} {np.round(interpreter.get_tensor(output['index']).ravel(), 3).tolist()}")
    return "; ".join(lines)


def _spread(deviation: float) -> tf.keras.initializers.Initializer:
    return tf.keras.initializers.RandomNormal(stddev=deviation, seed=SEED)


SEED = 66

if __name__ == "__main__":
    main()
