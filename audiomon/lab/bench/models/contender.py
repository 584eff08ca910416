"""One contender of ``audiomon bench models`` and ``explain``, in a process of its own: ``… models.contender JSON``.

Loads one model one way, calls it, and prints one JSON object. Imports as little as that takes: its memory and its
start-up time are measured too.
"""

import time

_STARTED = time.perf_counter()

import importlib  # noqa: E402  # the clock runs
import importlib.metadata  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

_TFLITE_MODULES = {
    "litert": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    "tflite-runtime": ("tflite_runtime.interpreter", "tflite-runtime"),
}
_RESOLVERS = {"xnnpack": "AUTO", "built-in": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "reference": "BUILTIN_REF"}

Function = Callable[[Any], Any]


def main() -> None:
    """Measure the contender that the command line describes."""
    task = json.loads(sys.argv[1])
    call = task["call"]
    # Whatever TensorFlow prints goes to stderr, which is looked at only if this process fails.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if call["engine"] == "keras":
        function, shape, dtype, version, imported = _keras(call, task["network"])
    else:
        function, shape, dtype, version, imported = _tflite(call, Path(task["network"]["folder"]))
    loaded = time.perf_counter()
    random = np.random.default_rng(0)
    times = []
    for _ in range(1 + task["runs"]):
        batch = random.random((call["batch"], *shape), dtype=np.float32)
        window = batch if dtype == np.float32 else (batch * 255 - 128).astype(dtype)
        before = time.perf_counter()
        function(window)
        times.append(1e6 * (time.perf_counter() - before))
    later = np.array(times[1:])
    json.dump(
        {
            "version": version,
            "first_us": times[0],
            "mean_us": float(later.mean()),
            "median_us": float(np.median(later)),
            "p99_us": float(np.percentile(later, 99)),
            "least_us": float(later.min()),
            "import_s": imported - _STARTED,
            "load_s": loaded - imported,
            "rss_mb": _resident_mb(),
        },
        answer,
    )
    answer.close()
    # TensorFlow's threads need seconds to be joined, and nobody waits for anything any more.
    os._exit(0)


def _keras(call: dict[str, Any], network: dict[str, Any]) -> tuple[Function, tuple[int, ...], Any, str, float]:
    """Return how to call the Keras model, its input shape and type, TensorFlow's version, and when it was imported."""
    from audiomon.lab.bench.models.variants import Network, original
    from audiomon.lab.tensorflow_process import import_tensorflow

    tensorflow = import_tensorflow()
    if call["threads"]:
        tensorflow.config.threading.set_intra_op_parallelism_threads(call["threads"])
        tensorflow.config.threading.set_inter_op_parallelism_threads(call["threads"])
    imported = time.perf_counter()
    paths = {key: network[key] and Path(network[key]) for key in ("folder", "model", "weights")}
    trained = original(Network(name=network["name"], **paths))
    model, batch = trained.keras_model, call["batch"]
    graph = tensorflow.function(trained.call, reduce_retracing=True)
    ways: dict[str, Function] = {
        "predict": lambda x: model.predict(x, verbose=0),
        "predict-batch-size": lambda x: model.predict(x, batch_size=batch, verbose=0),
        "predict-on-batch": lambda x: np.asarray(model.predict_on_batch(x)),
        "call": lambda x: np.asarray(trained.call(x)),
        "function": lambda x: np.asarray(graph(x)),
    }
    return ways[call["way"]], trained.input_shape, np.float32, tensorflow.__version__, imported


def _tflite(call: dict[str, Any], folder: Path) -> tuple[Function, tuple[int, ...], Any, str, float]:
    """The same for a TFLite runtime."""
    if call["engine"] == "tf.lite":
        from audiomon.lab.tensorflow_process import import_tensorflow

        tensorflow = import_tensorflow()
        lite, resolver_types, version = tensorflow.lite, tensorflow.lite.experimental.OpResolverType, ""
        version = tensorflow.__version__
    else:
        module, distribution = _TFLITE_MODULES[call["engine"]]
        lite = importlib.import_module(module)
        resolver_types, version = lite.OpResolverType, importlib.metadata.version(distribution)
    imported = time.perf_counter()
    interpreter = lite.Interpreter(
        model_content=(folder / f"{call['file']}.tflite").read_bytes(),
        num_threads=call["threads"],
        experimental_op_resolver_type=getattr(resolver_types, _RESOLVERS[call["kernels"]]),
    )
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    shape = tuple(int(size) for size in source["shape"])
    if call["batch"] != 1:
        interpreter.resize_tensor_input(source["index"], (call["batch"], *shape[1:]))
    interpreter.allocate_tensors()
    sizes = (call["batch"], *shape[1:])

    def run(window: Any) -> Any:
        interpreter.set_tensor(source["index"], window)
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    def plan_and_run(window: Any) -> Any:
        # Another size and back: asked for the size that it has, a runtime keeps its plan.
        interpreter.resize_tensor_input(source["index"], (sizes[0] + 1, *sizes[1:]))
        interpreter.resize_tensor_input(source["index"], sizes)
        interpreter.allocate_tensors()
        return run(window)

    return plan_and_run if call["way"] == "replan" else run, shape[1:], source["dtype"], version, imported


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
