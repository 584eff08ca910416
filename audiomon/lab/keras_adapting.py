"""Changes an architecture where the same weights give the same answers, and only this machine or TFLite would balk.

Half precision becomes float32, which the weights are kept in anyway; layers of a GPU's library become their equals;
state that is carried from one window to the next is dropped, for a listener's windows overlap. Loads nothing.
"""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

_OTHER_FLOATS = {"float16", "half", "bfloat16", "float64", "double", "mixed_float16", "mixed_bfloat16"}
_IN_FLOAT32 = "calculates in float32"
# What the others' defaults do not say of them.
_CUDNN: dict[str, tuple[str, dict[str, Any]]] = {
    "CuDNNLSTM": ("LSTM", {"recurrent_activation": "sigmoid"}),
    "CuDNNGRU": ("GRU", {"recurrent_activation": "sigmoid", "reset_after": True}),
}


def adapted(architecture: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return an architecture that can be built and converted here, and what was changed, in words; each once."""
    changes: dict[str, None] = {}
    result = _adapted(architecture, "", changes)
    assert isinstance(result, dict)
    return result, list(changes)


def _adapted(value: Any, name: str, changes: dict[str, None]) -> Any:
    if isinstance(value, list):
        return [_adapted(one, name, changes) for one in value]
    if not isinstance(value, dict):
        return value
    inner = value.get("config")
    if "class_name" in value and isinstance(inner, dict):
        name = str(inner.get("name", name))
        if value["class_name"] in _CUDNN:
            value = _without_cudnn(value, name, changes)
    result = {}
    for key, one in value.items():
        result[key] = _changed(key, one, name, changes)
    return result


def _changed(key: str, value: Any, name: str, changes: dict[str, None]) -> Any:
    if key == "dtype" and (other := _other_float(value)):
        if not any(change.startswith(_IN_FLOAT32) for change in changes):
            changes[f"{_IN_FLOAT32} instead of {other}"] = None
        return "float32"
    if key == "stateful" and value is True:
        changes[f"layer {name!r} begins every window without state (stateful=False)"] = None
        return False
    if key.endswith("activation") and isinstance(value, str) and value.endswith("_v2"):
        return value.removesuffix("_v2")  # a name that only TensorFlow's own Keras knows
    return _adapted(value, name, changes)


def _other_float(dtype: Any) -> str:
    """Return the name of a policy or type that is no float32; empty for float32 and for integers."""
    if isinstance(dtype, dict):
        config = dtype.get("config")
        dtype = config.get("name") if isinstance(config, dict) else None
    return dtype if isinstance(dtype, str) and dtype in _OTHER_FLOATS else ""


def _without_cudnn(layer: dict[str, Any], name: str, changes: dict[str, None]) -> dict[str, Any]:
    kind, also = _CUDNN[layer["class_name"]]
    changes[f"layer {name!r}: {kind} takes the place of {layer['class_name']}, which runs on a GPU only"] = None
    config = {**layer["config"], **also}
    others = {key: value for key, value in layer.items() if key not in ("module", "registered_name", "build_config")}
    return {**others, "class_name": kind, "config": config}


def with_architecture(path: Path, architecture: dict[str, Any], folder: Path) -> Path:
    """Copy a whole-model file and put another architecture into it; its weights in a type that NumPy has.

    Args:
        path: an HDF5 file or a .keras file.
        architecture: to be in the copy.
        folder: for the copy.

    Returns:
        The copy's path, with the suffix that its contents have.
    """
    import h5py

    if zipfile.is_zipfile(path):
        copy = folder / "adapted.keras"
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
            for item in old.infolist():
                if item.filename == "config.json":
                    new.writestr(item.filename, json.dumps(architecture))
                elif item.filename.endswith(".h5"):
                    weights = folder / "weights.h5"
                    weights.write_bytes(old.read(item))
                    with h5py.File(weights, "r+") as file:
                        _widen(file)
                    new.write(weights, item.filename)
                else:
                    new.writestr(item.filename, old.read(item))
        return copy
    copy = folder / "adapted.h5"
    shutil.copyfile(path, copy)
    with h5py.File(copy, "r+") as file:
        file.attrs["model_config"] = json.dumps(architecture)
        if "training_config" in file.attrs:
            del file.attrs["training_config"]
        _widen(file)
    return copy


def _widen(file: Any) -> None:
    """Store as float32 what Keras 2 stored as bfloat16: two bytes of no type, the upper ones of a float32."""
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if getattr(item, "dtype", None) == np.dtype("V2") else None)
    for name in names:
        bits = file[name][()].view(np.uint16).astype(np.uint32) << 16
        del file[name]
        file[name] = bits.view(np.float32)
