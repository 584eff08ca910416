"""The loop that people copy from the web, written well: read a hop, recompute the window with librosa, invoke.

What audiomon is compared with. It imports nothing of audiomon, so that it runs in an environment of its own, as it
would for those who wrote it.

``python tutorial_loop.py MODEL.tflite --backend litert|tflite-runtime --device NAME --hop 0.5 --block-ms 85 …`` says
``{"kind": "listening"}`` once it hears, and then one line for every prediction, until it is interrupted.
"""

import argparse
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

LOOP_SCRIPT = Path(__file__)


def open_interpreter(model: str | bytes, backend: str) -> Any:
    """Open a TFLite model, by path or content, with one thread, as the runtimes' documentation shows."""
    if backend == "litert":
        from ai_edge_litert.interpreter import Interpreter
    else:
        from tflite_runtime.interpreter import Interpreter
    given = {"model_path": model} if isinstance(model, str) else {"model_content": model}
    interpreter = Interpreter(**given, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


class LibrosaClassifier:
    """One second of samples in, scores out, everything computed anew for every window.

    Args:
        model: path of the .tflite file.
        backend: ``litert`` or ``tflite-runtime``.
        mel: keyword arguments of ``librosa.feature.melspectrogram``.
        levels: ``ref`` (a number or ``max``), ``amin`` and ``top_db`` of ``librosa.power_to_db``; ``mean`` and ``std``
            that the model was trained with.
    """

    def __init__(self, model: str, backend: str, mel: dict[str, Any], levels: dict[str, Any]) -> None:
        import librosa

        self._librosa = librosa
        self._mel = mel
        self._ref = np.max if levels["ref"] == "max" else levels["ref"]
        self._levels = levels
        self._interpreter = open_interpreter(model, backend)
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]

    def predict(self, samples: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Classify float32 samples of shape (n,); returns float32 of shape (labels,)."""
        mel = self._librosa.feature.melspectrogram(y=samples, **self._mel)
        levels = self._levels
        decibels = self._librosa.power_to_db(mel, ref=self._ref, amin=levels["amin"], top_db=levels["top_db"])
        normalized = (decibels.T - np.asarray(levels["mean"])) / np.asarray(levels["std"])
        window = normalized.reshape(self._input["shape"]).astype(np.float32)
        self._interpreter.set_tensor(self._input["index"], window)
        self._interpreter.invoke()
        scores: np.ndarray[Any, np.dtype[np.float32]] = self._interpreter.get_tensor(self._output["index"])[0]
        return scores


def answers(
    read: Callable[[int], bytes],
    model: str,
    backend: str,
    mel: dict[str, Any],
    levels: dict[str, Any],
    window_samples: int,
    hop_samples: int,
) -> Iterator[int]:
    """Yield the number of each window's best label; `tests.bench.peers.loops` says what ``read`` is."""
    classifier = LibrosaClassifier(model, backend, mel, levels)
    window = np.zeros(window_samples, dtype=np.float32)
    while True:
        block = np.frombuffer(read(hop_samples), np.int16).astype(np.float32) / 32768
        window = np.concatenate([window[hop_samples:], block])
        yield int(np.argmax(classifier.predict(window)))


def listen(arguments: argparse.Namespace) -> None:
    """Hear the microphone, one hop at a time, until a signal."""
    import sounddevice

    mel = json.loads(arguments.mel)
    rate = mel["sr"]
    hop = round(arguments.hop * rate)
    window = np.zeros(arguments.window_samples, dtype=np.float32)
    levels = json.loads(arguments.levels)
    classifier = LibrosaClassifier(arguments.model, arguments.backend, mel, levels)
    stop = Stop()
    stream = sounddevice.InputStream(
        device=int(arguments.device) if arguments.device.isdigit() else arguments.device,
        samplerate=rate,
        channels=1,
        dtype="float32",
        blocksize=round(arguments.block_ms / 1000 * rate),
        latency="high",
    )
    with stream:
        classifier.predict(window)
        print(json.dumps({"kind": "listening"}), flush=True)
        while not stop.asked:
            block, _overflowed = stream.read(hop)
            heard_ns = time.monotonic_ns()
            window = np.concatenate([window[hop:], block[:, 0]])
            scores = classifier.predict(window)
            lag_ms = (time.monotonic_ns() - heard_ns) / 1e6
            best = int(np.argmax(scores))
            print(json.dumps({"label": best, "score": float(scores[best]), "lag_ms": lag_ms}), flush=True)


class Stop:
    """Whether somebody has asked to stop, by Ctrl-C or SIGTERM."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, _signal: int, _frame: object) -> None:
        self._asked.set()

    @property
    def asked(self) -> bool:
        """Whether it is time to stop."""
        return self._asked.is_set()

    def wait(self) -> None:
        """Return when it is."""
        self._asked.wait()


def main() -> None:
    """Parse the command line and listen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a .tflite file that reads (frames, bands)")
    parser.add_argument("--backend", choices=["litert", "tflite-runtime"], default="litert")
    parser.add_argument("--device", required=True)
    parser.add_argument("--hop", type=float, default=0.5, help="seconds between predictions")
    parser.add_argument("--block-ms", type=float, required=True)
    parser.add_argument("--window-samples", type=int, required=True)
    parser.add_argument("--mel", required=True, help="JSON: keyword arguments of melspectrogram")
    parser.add_argument("--levels", required=True, help="JSON: ref, amin and top_db of power_to_db; mean, std")
    listen(parser.parse_args())


if __name__ == "__main__":
    main()
