"""The measurement that this project began with, step by step as it was: one process, GPU hidden, 100 random inputs.

Each input goes to ``model.predict(data, batch_size=1)`` and to ``tf.lite.Interpreter``; both are timed from the first
call on, averaged, and their outputs compared with `numpy.isclose`.
"""

import time
from dataclasses import dataclass

import numpy as np

from audiomon.errors import UserError
from audiomon.lab.bench.models.variants import Network, original
from audiomon.lab.tensorflow_process import Progress, import_tensorflow


@dataclass(frozen=True, slots=True)
class Averages:
    """What it measured.

    Attributes:
        predict_s: average of ``model.predict``, in seconds.
        tflite_s: average of the interpreter.
        close: inputs whose outputs are all `numpy.isclose`, with its own tolerances.
        runs: inputs.
    """

    predict_s: float
    tflite_s: float
    close: int
    runs: int


def run_original(_: Progress, network: Network, runs: int) -> Averages:
    """Measure. Needs TensorFlow in this process.

    Raises:
        UserError: the model is a SavedModel, which has no ``predict``.
    """
    tensorflow = import_tensorflow()
    trained = original(network)
    model = trained.keras_model
    if model is None:
        raise UserError(f"{network.model}: a SavedModel has no predict; give the Keras file that it was made from")
    interpreter = tensorflow.lite.Interpreter(model_path=str(network.folder / "float32.tflite"))
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    random = np.random.default_rng()
    predict_s = tflite_s = 0.0
    close = 0
    for _run in range(runs):
        data = random.random((1, *trained.input_shape), dtype=np.float32)
        started = time.perf_counter()
        expected = model.predict(data, batch_size=1, verbose=0)
        predict_s += time.perf_counter() - started
        started = time.perf_counter()
        interpreter.set_tensor(source, data)
        interpreter.invoke()
        output = interpreter.get_tensor(result)
        tflite_s += time.perf_counter() - started
        close += bool(np.isclose(expected, output).all())
    return Averages(predict_s / runs, tflite_s / runs, close, runs)
