"""Small Keras models in every form that people have them in. The functions run in TensorFlow's process."""

import json
from pathlib import Path
from typing import Any

# frames × n_mels, and what goes with it: 12 frames of 256 samples, 128 apart, at 8 kHz.
SHAPE = (12, 8, 1)
LABELS = ("rain", "rooster", "silence")
FEATURES = ("sample_rate=8000", "n_fft=256", "hop_length=128", "n_mels=8", "frames=12")


def _networks() -> tuple[Any, Any]:
    """keras (3) and tf_keras (2)."""
    from audiomon.lab.tensorflow_process import import_legacy_keras

    legacy = import_legacy_keras()
    import keras

    return keras, legacy


def build(keras: Any, seed: int = 1) -> Any:
    """A small relative of the seed network, its BatchNormalization far from doing nothing."""
    import numpy as np

    layers = keras.layers
    sound = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same", name="conv2d")(sound)
    x = layers.BatchNormalization(name="batch_normalization")(x)
    x = layers.ReLU(name="re_lu")(x)
    x = layers.MaxPooling2D(2, name="max_pooling2d")(x)
    x = layers.Conv2D(32, 3, padding="same", name="conv2d_1")(x)
    x = layers.BatchNormalization(name="batch_normalization_1")(x)
    x = layers.ReLU(name="re_lu_1")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(len(LABELS), activation="softmax", name="dense")(x)
    model = keras.Model(sound, x)
    random = np.random.default_rng(seed)
    for layer in model.layers:
        low, high = (0.5, 1.0) if "batch" in layer.name else (-0.3, 0.3)
        layer.set_weights([random.uniform(low, high, array.shape) for array in layer.get_weights()])
    return model


def as_tf_2_1(model: Any) -> str:
    """A tf-keras model's architecture, to the letter as TF 2.1 wrote it (Keras 3 refuses it)."""
    later = {"module", "registered_name", "build_config", "optional", "groups", "keepdims", "synchronized"}

    def older(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: older(inner) for key, inner in value.items() if key not in later}
        return [older(inner) for inner in value] if isinstance(value, list) else value

    return json.dumps({**older(json.loads(model.to_json())), "class_name": "Model", "keras_version": "2.2.4-tf"})


def as_tf_2_1_weights(model: Any, path: Path) -> None:
    """A tf-keras model's weights as TF 2.1 wrote them: its version as bytes."""
    import h5py
    import numpy as np

    model.save_weights(str(path))
    with h5py.File(path, "a") as file:
        file.attrs["keras_version"] = np.bytes_(b"2.2.4-tf")
        file.attrs["backend"] = np.bytes_(b"tensorflow")


def write_forms(_: Any, folder: Path) -> None:
    """The same network in every form."""
    keras, legacy = _networks()
    old, new = build(legacy), build(keras)
    (folder / "vd_model.json").write_text(as_tf_2_1(old))
    as_tf_2_1_weights(old, folder / "model.30-0.97.h5")
    (folder / "keras3.json").write_text(new.to_json())
    new.save_weights(str(folder / "keras3.weights.h5"))
    for name, model in (("keras2", old), ("keras3", new)):
        model.save(str(folder / f"{name}.h5"))
        model.save(str(folder / f"{name}.keras"))
    old.save(str(folder / "keras2_saved"))
    new.export(str(folder / "keras3_saved"), verbose=False)


def keras_3_refuses(_: Any, architecture: Path) -> bool:
    keras, _legacy = _networks()
    try:
        keras.models.model_from_json(architecture.read_text())
    except (TypeError, ValueError):
        return True
    return False


def write_odd(_: Any, folder: Path) -> None:
    """Models that cannot be converted, or not into something that answers alike."""
    keras, legacy = _networks()
    import tensorflow

    layers = keras.layers

    def saved(name: str, output: Any) -> None:
        keras.Model(sound, output).save(str(folder / name))

    sound = keras.Input(SHAPE)
    flat = layers.Flatten()(sound)
    saved("counting.keras", layers.CategoryEncoding(len(LABELS), output_mode="count", name="count_them")(flat))
    saved("lambda.keras", layers.Lambda(lambda x: x[:, :3], name="first_three")(flat))
    saved("logits.keras", layers.Dense(len(LABELS), name="dense")(flat))
    saved("two.keras", [layers.Dense(3)(flat), layers.Dense(3)(flat)])
    dense = layers.Dense(len(LABELS), activation="softmax", name="dense")
    model = keras.Model(sound, dense(flat))
    dense.set_weights([array * float("nan") for array in dense.get_weights()])
    model.save(str(folder / "nan.keras"))

    class Gaze(legacy.layers.Layer):
        def call(self, x: Any) -> Any:
            return tensorflow.nn.softmax(x)

    sound = legacy.Input(SHAPE)
    model = legacy.Model(sound, Gaze(name="look_there")(legacy.layers.Dense(3)(legacy.layers.Flatten()(sound))))
    model.save(str(folder / "custom.h5"))

    class Dice(tensorflow.Module):
        @tensorflow.function(input_signature=[tensorflow.TensorSpec((None, *SHAPE), tensorflow.float32)])
        def serve(self, x: Any) -> Any:
            return tensorflow.nn.softmax(tensorflow.random.uniform((1, len(LABELS))) + 0 * x[:, :3, 0, 0])

    dice = Dice()
    tensorflow.saved_model.save(dice, str(folder / "dice"), signatures={"serving_default": dice.serve})


def write_other_shape(_: Any, folder: Path) -> None:
    """An architecture of the same layers whose last one is wider: not the weights' own."""
    _keras, legacy = _networks()
    model = build(legacy)
    (folder / "wider.json").write_text(as_tf_2_1(model).replace('"units": 3', '"units": 5'))


def write_kinds(_: Any, folder: Path) -> None:
    """Models of kinds that converters stumble over, and the same network under names that do not fit its form."""
    import shutil

    import tensorflow
    from tf_keras.src.layers.rnn.cudnn_gru import CuDNNGRU
    from tf_keras.src.layers.rnn.cudnn_lstm import CuDNNLSTM

    keras, legacy = _networks()
    build(legacy).save(str(folder / "plain.h5"))
    build(keras).save(str(folder / "plain.keras"))
    for source, name in (("plain.h5", "hdf5.keras"), ("plain.h5", "none"), ("plain.keras", "zip.H5")):
        shutil.copy(folder / source, folder / name)
    for policy in ("mixed_float16", "bfloat16", "float64"):
        legacy.mixed_precision.set_global_policy(policy)
        keras.config.set_dtype_policy(policy)
        try:
            build(legacy).save(str(folder / f"{policy}.h5"))
            build(keras).save(str(folder / f"{policy}.keras"))
        finally:
            legacy.mixed_precision.set_global_policy("float32")
            keras.config.set_dtype_policy("float32")
    layers = legacy.layers
    recurrent = [layers.LSTM(6, stateful=True, return_sequences=True, name="lstm"), layers.GRU(6, stateful=True)]
    model = legacy.Sequential(
        [layers.Input(SHAPE[:2], batch_size=1), *recurrent, layers.Dense(3, activation="softmax")]
    )
    model.save(str(folder / "stateful.h5"))
    recurrent = [CuDNNLSTM(6, return_sequences=True, name="cudnn"), CuDNNGRU(6)]
    model = legacy.Sequential([layers.Input(SHAPE[:2]), *recurrent, layers.Dense(3, activation="softmax")])
    model.save(str(folder / "cudnn.h5"))

    weights = tensorflow.Variable(tensorflow.random.stateless_normal((16, 1, 3), (1, 2)))
    state = tensorflow.Variable(tensorflow.zeros((1, 3)))

    def scores(samples: Any) -> Any:
        heard = tensorflow.nn.conv1d(tensorflow.reshape(samples, (1, -1, 1)), weights, 8, "VALID")
        return tensorflow.nn.sigmoid(tensorflow.reduce_mean(heard, 1))

    def remembering(samples: Any) -> Any:
        state.assign(0.5 * state + 0.5 * scores(samples))
        return state + 0.0

    def several(samples: Any) -> Any:
        return {"embedding": 2 * scores(samples), "scores": scores(samples)}

    for name, function, shape, serving in (
        ("any_length", scores, [None], "serving_default"),
        ("no_batch", scores, [2000], "predict"),
        ("any_rank", scores, None, "serving_default"),
        ("batch", scores, [None, None], "serving_default"),
        ("remembering", remembering, [1, 2000], "serving_default"),
        ("several", several, [1, 2000], "serving_default"),
    ):
        module = tensorflow.Module()
        module.kept = [weights, state]
        module.function = tensorflow.function(
            function, input_signature=[tensorflow.TensorSpec(shape, tensorflow.float32)]
        )
        tensorflow.saved_model.save(module, str(folder / name), signatures={serving: module.function})
    both = {"one": module.function, "two": module.function}
    tensorflow.saved_model.save(module, str(folder / "two_functions"), signatures=both)
