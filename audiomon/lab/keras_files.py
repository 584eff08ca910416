"""Reads a Keras model from every form that one comes in. Never runs code that a file brings along.

| form | written by | read by |
| --- | --- | --- |
| architecture ``.json`` and weights ``.h5`` | Keras 2, TF 2.1 (``model.to_json``) | tf-keras |
| the same from Keras 3 | ``model.to_json``, ``save_weights`` | keras |
| whole model ``.h5`` | either | by its ``keras_version`` |
| ``.keras`` | either | by its ``keras_version`` |
| SavedModel folder | ``model.save``, ``model.export`` | ``tf.saved_model``, see `audiomon.lab.saved_model` |

A file is what its first bytes say, whatever it is called: up to TF 2.11, ``model.save("x.keras")`` wrote HDF5.
"""

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from audiomon.errors import ModelError
from audiomon.lab.keras_adapting import adapted, with_architecture
from audiomon.lab.original import Layer, OriginalModel, chosen_output, fitted
from audiomon.lab.saved_model import read_saved_model
from audiomon.lab.tensorflow_process import import_legacy_keras, import_tensorflow
from audiomon.models.importing.describe import times

_FORMS = "an architecture .json (with --weights), a whole-model .h5, a .keras file or a SavedModel folder"


_Window = tuple[int, ...] | None
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"


def read_keras(path: Path, weights: Path | None = None, *, output: str = "", window: _Window = None) -> OriginalModel:
    """Read a trained model.

    Args:
        path: one of the forms above.
        weights: the .h5 that belongs to an architecture .json; None for the other forms.
        output: name or number of the output that has the scores; empty if there is one.
        window: shape of a window, if it is known: for a SavedModel whose own input is of any size.

    Raises:
        ModelError: it is none of these, is damaged, has a layer that cannot be rebuilt, or does not fit its weights.
        UserError: TensorFlow or tf-keras is not installed.
    """
    check_existence(path, weights)
    if path.suffix == ".pb" and path.is_file():
        path = path.parent
    if path.is_dir():
        return read_saved_model(path, output=output, window=window)
    form = _form(path)
    if weights is not None and form != ".json":
        raise ModelError("holds its own weights; --weights goes with an architecture .json", path=path)
    match form:
        case ".json":
            return _read_architecture(path, weights, output, window)
        case ".h5":
            return _read_h5(path, output, window)
        case ".keras":
            return _read_archive(path, output, window)
        case ".tflite":
            raise ModelError(f"is converted already: audiomon models add {path.name}", path=path)
    raise ModelError(f"is not a Keras model that can be read here; give {_FORMS}", path=path)


def _form(path: Path) -> str:
    """Return the suffix that a file's contents deserve; the one it has where they say nothing."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", path=path) from None
    if head.startswith(_HDF5):
        return ".h5"
    if head.startswith(_ZIP):
        return ".keras"
    if head[4:8] == b"TFL3":
        return ".tflite"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b'"')):
        return ".json"
    suffix = path.suffix.lower()
    return ".h5" if suffix in (".hdf5", ".hdf") else suffix


def check_existence(path: Path, weights: Path | None) -> None:
    """See that the files are there: seconds before TensorFlow is.

    Raises:
        ModelError: one is not.
    """
    for file in (path, weights):
        if file is not None and not file.exists():
            raise ModelError("no such file", path=file)


def _read_architecture(path: Path, weights: Path | None, output: str, window: _Window) -> OriginalModel:
    if weights is None:
        raise ModelError("is an architecture; its weights are missing: --weights model.h5", path=path)
    architecture = _parse(path, _read_text(path))
    # Keras 3 does not write its version, but the module of each class, which Keras 2 did not at the top.
    version = str(architecture.get("keras_version", "3" if "module" in architecture else "2"))
    keras = _keras_for(version)
    _refuse_code(path, architecture)
    architecture, changes = adapted(architecture)
    model = _rebuild(path, architecture, lambda: keras.models.model_from_json(json.dumps(architecture)))
    _check_h5(weights)
    try:
        model.load_weights(str(weights))
    except Exception as error:  # Keras raises whatever comes to hand
        raise ModelError(f"{path.name} and {weights.name} do not belong together: {_in_short(error)}") from None
    return _original(path, model, window, _origin(f"Keras {version} architecture and weights", changes), output)


def _read_h5(path: Path, output: str, window: _Window) -> OriginalModel:
    attributes = _check_h5(path)
    if "model_config" not in attributes:
        raise ModelError(
            f"{path}: holds weights only; give its architecture too: audiomon convert model.json --weights {path.name}"
        )
    version = str(attributes.get("keras_version", "2"))
    architecture = _parse(path, str(attributes["model_config"]))
    keras = _keras_for(version)
    _refuse_code(path, architecture)
    model, changes = _load(path, architecture, keras, ".h5")
    return _original(path, model, window, _origin(f"Keras {version} whole-model HDF5", changes), output)


def _read_archive(path: Path, output: str, window: _Window) -> OriginalModel:
    try:
        with zipfile.ZipFile(path) as archive:
            architecture = _parse(path, archive.read("config.json").decode())
            version = str(json.loads(archive.read("metadata.json"))["keras_version"])
    except (zipfile.BadZipFile, KeyError, ValueError, OSError):
        raise ModelError("is damaged, or not a .keras file", path=path) from None
    keras = _keras_for(version)
    _refuse_code(path, architecture)
    model, changes = _load(path, architecture, keras, ".keras")
    return _original(path, model, window, _origin(f"Keras {version} .keras file", changes), output)


def _load(path: Path, architecture: dict[str, Any], keras: Any, suffix: str) -> tuple[Any, list[str]]:
    """Load a whole model, with its architecture adapted; what was changed."""
    architecture, changes = adapted(architecture)
    with tempfile.TemporaryDirectory() as folder:
        # Keras, too, goes by the suffix.
        readable = path
        if changes or path.suffix != suffix:
            readable = with_architecture(path, architecture, Path(folder))
        return _rebuild(path, architecture, lambda: keras.models.load_model(str(readable), compile=False)), changes


def _origin(form: str, changes: list[str]) -> str:
    return "; ".join([form, *changes])


def _keras_for(version: str) -> Any:
    """Return keras or tf-keras, whichever reads what that version wrote."""
    if version.startswith("3"):
        import_tensorflow()
        import keras

        return keras
    return import_legacy_keras()


def _original(path: Path, model: Any, window: _Window, origin: str, output: str) -> OriginalModel:
    if len(model.inputs) != 1:
        raise ModelError(f"has {len(model.inputs)} inputs; a model that listens has one", path=path)
    names = [str(name) for name in getattr(model, "output_names", None) or range(len(model.outputs))]
    number = chosen_output(path, names, output)
    shape = tuple(model.inputs[0].shape)[1:]
    if any(size is None for size in shape):
        if window is None or (fixed := fitted(shape, window)) is None:
            raise ModelError(
                f"{path}: its input has no fixed size ({times(shape)}); say it, with --feature samples=… or "
                f"--feature frames=…, or build it with Input(shape=(frames, n_mels, 1)) and save again"
            )
        shape = fixed
    layers = tuple(
        Layer(layer.name, type(layer).__name__, _output_shape(layer), int(layer.count_params()))
        for layer in model.layers
        if type(layer).__name__ != "InputLayer"
    )
    tensorflow = import_tensorflow()

    def call(windows: Any) -> Any:
        return tensorflow.nest.flatten(model(windows, training=False))[number]

    return OriginalModel(origin, call, tuple(map(int, shape)), layers, model)


def _output_shape(layer: Any) -> tuple[int | None, ...] | None:
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError):
        return None
    return tuple(None if size is None else int(size) for size in shape[1:])


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", path=path) from None
    except UnicodeDecodeError:
        raise ModelError("is not text; an architecture is what model.to_json() returns", path=path) from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        architecture = json.loads(text)
        # json.dump(model.to_json()) makes a string inside a string; people do that.
        if isinstance(architecture, str):
            architecture = json.loads(architecture)
    except ValueError as error:
        raise ModelError(f"is not a Keras architecture: {error}", path=path) from None
    if not isinstance(architecture, dict) or "class_name" not in architecture:
        raise ModelError("is not a Keras architecture; that is what model.to_json() returns", path=path)
    return architecture


def _check_h5(path: Path) -> dict[str, Any]:
    """Open an HDF5 file, read every dataset once, and return the attributes of its top."""
    import_tensorflow()  # h5py comes with it
    import h5py

    try:
        with h5py.File(path) as file:
            file.visititems(_read_dataset)
            # Keras 2 wrote bytes where Keras 3 writes text.
            return {key: value.decode() if isinstance(value, bytes) else value for key, value in file.attrs.items()}
    except (OSError, RuntimeError, KeyError, ValueError):  # a UnicodeDecodeError is a ValueError
        raise ModelError("is damaged, or not an HDF5 file: copy it again from where it was made", path=path) from None


def _read_dataset(_: str, item: Any) -> None:
    if hasattr(item, "shape"):
        item[()]


def _listed_layers(config: Any) -> list[tuple[str, str]]:
    """Find every (class, name) of a layer in an architecture, however deep."""
    found: list[tuple[str, str]] = []
    if isinstance(config, dict):
        inner = config.get("config")
        if "class_name" in config and isinstance(inner, dict):
            found.append((str(config["class_name"]), str(inner.get("name", config.get("name", "")))))
        for value in config.values():
            found += _listed_layers(value)
    elif isinstance(config, list):
        for value in config:
            found += _listed_layers(value)
    return found


def _refuse_code(path: Path, architecture: dict[str, Any]) -> None:
    for kind, name in _listed_layers(architecture):
        if kind == "Lambda":
            raise ModelError(
                f"{path}: layer {name!r} is a Lambda: it holds Python code, which is not run from a file. "
                f"Replace it by a layer, or save "
                f"with model.export('folder') where it was trained and convert the folder"
            )


def _rebuild(path: Path, architecture: dict[str, Any], build: Any) -> Any:
    try:
        return build()
    except Exception as error:  # Keras raises whatever comes to hand
        strangers = [
            (kind, name)
            for kind, name in _listed_layers(architecture)
            if name and f"{kind}" in str(error) and not hasattr(_layers_module(), kind)
        ]
        if strangers:
            kind, name = strangers[0]
            raise ModelError(
                f"{path}: layer {name!r} is of the class {kind}, which Keras does not have. Save with "
                f"model.export('folder') in the program that defines {kind}, and convert the folder"
            ) from None
        raise ModelError(f"Keras cannot rebuild it: {_in_short(error)}", path=path) from None


def _layers_module() -> Any:
    return import_legacy_keras().layers


def _in_short(error: Exception) -> str:
    # Keras quotes a layer's whole configuration before it comes to the point.
    text = " ".join(str(error).rsplit("Exception encountered: ", 1)[-1].split())
    return text if len(text) <= 240 else text[:239] + "…"
