"""One trained network as every .tflite file that the benchmark compares, and as the Keras model that it came from.

The network is the one that audiomon began with, with made-up weights: what a call costs does not depend on them. Its
files lie in ``seed/``, so that a machine without TensorFlow can run them;
``python -m audiomon.lab.bench.models.variants`` makes them again.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiomon.features import LogMelSpec
from audiomon.lab.convert import PRECISIONS, convert
from audiomon.lab.keras_files import read_keras
from audiomon.lab.networks import network
from audiomon.lab.original import OriginalModel
from audiomon.lab.tensorflow_process import Progress, TensorFlowProcess, import_tensorflow
from audiomon.lab.unfused import unfused
from audiomon.models.classifier import self_test_window
from audiomon.models.self_test import Signal

Float32 = NDArray[np.float32]

SEED_FOLDER = Path(__file__).with_name("seed")
SEED_SPEC = LogMelSpec()
_CLASSES = 4
_SIGNALS: tuple[Signal, ...] = ("silence", "noise", "chirp", "clicks")


@dataclass(frozen=True, slots=True)
class Network:
    """What is benchmarked.

    Attributes:
        name: for titles.
        folder: of its .tflite files, ``float32.tflite`` and so on.
        model: the Keras file behind it; None for the built-in network.
        weights: that belong to an architecture .json.
    """

    name: str
    folder: Path
    model: Path | None = None
    weights: Path | None = None


SEED = Network("the 5,124-parameter CNN (43×40×1 → 4)", SEED_FOLDER)


def original(chosen: Network) -> OriginalModel:
    """Read or build the network. Needs TensorFlow in this process."""
    if chosen.model is not None:
        return read_keras(chosen.model, chosen.weights)
    import_tensorflow()
    model = network("seed")(SEED_SPEC.shape, _CLASSES)
    random = np.random.default_rng(2020)
    for layer in model.layers:
        low, high = (0.5, 1.5) if "batch" in layer.name else (-0.2, 0.2)
        layer.set_weights([random.uniform(low, high, array.shape) for array in layer.get_weights()])
    return OriginalModel("built in", lambda x: model(x, training=False), (*SEED_SPEC.shape, 1), (), model)


def write_variants(_: Progress, network: Network) -> None:
    """Convert the network to every form that is compared. Needs TensorFlow in this process."""
    model = original(network)
    network.folder.mkdir(parents=True, exist_ok=True)
    calibration = _calibration(model.input_shape)
    for precision in PRECISIONS:
        for name, batch in ((precision, 1), (f"{precision}-any-batch", None)):
            content = convert(model, precision, calibration, batch).content
            (network.folder / f"{name}.tflite").write_bytes(content)
    (network.folder / "float32-unfused.tflite").write_bytes(unfused((network.folder / "float32.tflite").read_bytes()))


def _calibration(shape: tuple[int, ...]) -> Float32:
    """Return windows for int8: self-test sounds where they fit, else noise; accuracy is not what is measured here."""
    if tuple(size for size in shape if size != 1) == SEED_SPEC.shape:
        return np.stack([self_test_window(signal, SEED_SPEC).reshape(shape) for signal in _SIGNALS])
    return np.random.default_rng(0).random((20, *shape), dtype=np.float32)


def main() -> None:
    """Make the files of the built-in network."""
    with TensorFlowProcess() as tensorflow:
        tensorflow.call(write_variants, SEED)
    for path in sorted(SEED_FOLDER.glob("*.tflite")):
        print(f"{path.stat().st_size:>8} {path}")


if __name__ == "__main__":
    main()
