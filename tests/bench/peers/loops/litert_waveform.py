"""A TFLite model that reads raw samples, such as YAMNet, called as LiteRT's documentation shows: window by window."""

import importlib
from collections.abc import Callable, Iterator

import numpy as np


def answers(read: Callable[[int], bytes], model: str, runtime: str) -> Iterator[int]:
    """Yield the number of each window's best label; ``runtime`` is the module that has the interpreter."""
    interpreter = importlib.import_module(runtime).Interpreter(model_path=model, num_threads=1)
    interpreter.allocate_tensors()
    waveform, scores = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    count = int(np.prod(waveform["shape"]))
    while True:
        samples = np.frombuffer(read(count), np.int16).astype(np.float32) / 32768
        interpreter.set_tensor(waveform["index"], samples.reshape(waveform["shape"]))
        interpreter.invoke()
        yield int(interpreter.get_tensor(scores["index"])[0].argmax())
