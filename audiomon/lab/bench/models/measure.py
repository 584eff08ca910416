"""``audiomon bench models``: one network called in every way there is, each in a process of its own.

Runs the contenders and collects their figures; `audiomon.lab.bench.models.table` and `audiomon.lab.plots` show them.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from audiomon.errors import AudiomonError
from audiomon.lab.bench.models.variants import Network
from audiomon.lab.bench.processes import contender_environment
from audiomon.lab.tensorflow_process import INSTALL

Engine = Literal["keras", "tf.lite", "tflite-runtime", "litert"]
ENGINES: tuple[Engine, ...] = ("keras", "tf.lite", "tflite-runtime", "litert")
Kernels = Literal["xnnpack", "built-in", "reference"]

_PATIENCE_S = 600
_KERAS_WAYS = {
    "predict": "model.predict(x)",
    "predict-batch-size": "model.predict(x, batch_size=1)",
    "predict-on-batch": "model.predict_on_batch(x)",
    "call": "model(x, training=False)",
    "function": "tf.function(model)(x)",
}
_HOW_TO_GET: dict[Engine, str] = {
    "keras": f"TensorFlow: {INSTALL}",
    "tf.lite": f"TensorFlow: {INSTALL}",
    "tflite-runtime": "tflite-runtime (Python 3.11 and older, NumPy 1): pip install tflite-runtime 'numpy<2'",
    "litert": "LiteRT: pip install ai-edge-litert",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One way to call the network.

    Attributes:
        engine: what calls it.
        way: of Keras: ``predict`` and so on; of TFLite: ``invoke``, or ``replan`` to plan memory again each time.
        file: which .tflite file, without the suffix.
        kernels: of TFLite: XNNPACK where the runtime hands over to it; the built-in ones alone; the reference ones.
        threads: of TFLite; of TensorFlow, where 0 leaves them to it.
        batch: windows in one call.
    """

    engine: Engine
    way: str = "invoke"
    file: str = "float32"
    kernels: Kernels = "xnnpack"
    threads: int = 1
    batch: int = 1

    @property
    def title(self) -> str:
        """What to call it."""
        if self.engine == "keras":
            return _KERAS_WAYS[self.way]
        precision, _, kind = self.file.partition("-")
        batch = {"any": ", any batch", "unfused": ", unfused"}.get(kind.partition("-")[0], "")
        kernels = {"xnnpack": "", "built-in": ", no XNNPACK", "reference": ", reference kernels"}[self.kernels]
        threads = "" if self.threads == 1 else f", {self.threads} threads"
        return f"{self.engine} {precision}{batch}{kernels}{threads}"


@dataclass(frozen=True, slots=True)
class Timing:
    """What one contender measured of itself.

    Attributes:
        call: which one.
        version: of its engine.
        first_us: the first call, which sets things up and is not in the other figures.
        mean_us: of all others, as in the measurement that this project began with.
        median_us: of them.
        p99_us: of them.
        least_us: of them.
        import_s: from the start of the process to its engine being imported.
        load_s: until the model was ready.
        rss_mb: resident memory at the end.
    """

    call: Call
    version: str
    first_us: float
    mean_us: float
    median_us: float
    p99_us: float
    least_us: float
    import_s: float
    load_s: float
    rss_mb: float


@dataclass(frozen=True, slots=True)
class Absent:
    """A contender that could not run here.

    Attributes:
        call: which one.
        reason: in a few words.
    """

    call: Call
    reason: str


def calls(full: bool) -> list[Call]:
    """List the contenders.

    Args:
        full: every combination of file, kernels, threads and batch; otherwise each varied by itself.
    """
    keras = [Call("keras", way, threads=0) for way in _KERAS_WAYS]
    precisions = ("float32", "float16", "dynamic", "int8")
    kernels: tuple[Kernels, ...] = ("xnnpack", "built-in")
    lite: list[Call] = []
    for engine in ENGINES[1:]:
        if full:
            files = [f"{precision}{batch}" for precision in precisions for batch in ("", "-any-batch")]
            lite += [
                Call(engine, file=file, kernels=kernel, threads=threads)
                for file in files
                for kernel in kernels
                for threads in (1, 2, 3, 4)
            ]
            continue
        lite += [Call(engine, file=file, kernels=kernel) for file in precisions for kernel in kernels]
        lite += [Call(engine, threads=threads) for threads in (2, 3, 4)]
        lite.append(Call(engine, file="float32-any-batch"))
    return keras + lite


def interpreters_for_engines(others: list[Path]) -> dict[Engine, Path]:
    """Find a Python for each engine: this one, or the first of ``others`` that has it."""
    found: dict[Engine, Path] = {}
    for python in (Path(sys.executable), *others):
        for engine in _engines_of(python):
            found.setdefault(engine, python)
    return found


def missing(found: dict[Engine, Path]) -> list[str]:
    """Say how to get the engines that no Python here has."""
    return list(dict.fromkeys(_HOW_TO_GET[engine] for engine in ENGINES if engine not in found))


def measure(call: Call, network: Network, runs: int, python: Path) -> Timing | Absent:
    """Run one contender.

    Args:
        call: which.
        network: what it calls.
        runs: calls that count, after one that does not.
        python: that has the engine.
    """
    environment = contender_environment()
    if call.engine == "keras":
        # Its own choice of threads is part of what is measured.
        environment = {name: value for name, value in environment.items() if name != "OMP_NUM_THREADS"}
    try:
        done = subprocess.run(
            contender_command(call, network, runs, python),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Absent(call, f"took longer than {_PATIENCE_S} s")
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return Absent(call, lines[-1].strip()[:200] if lines else f"died with status {done.returncode}")
    return Timing(call=call, **json.loads(done.stdout))


def contender_command(call: Call, network: Network, runs: int, python: Path) -> list[str]:
    """Return the command line of one contender's process."""
    task = {
        "call": asdict(call),
        "network": {key: value and str(value) for key, value in asdict(network).items()},
        "runs": runs,
    }
    return [str(python), "-m", "audiomon.lab.bench.models.contender", json.dumps(task)]


def measure_all(
    network: Network, runs: int, full: bool, pythons: dict[Engine, Path], say: Callable[[str], None]
) -> Iterator[Timing | Absent]:
    """Run every contender that can run here, one after the other.

    Args:
        network: what they call.
        runs: calls of each.
        full: see `calls`.
        pythons: for each engine that is there.
        say: told what runs now.

    Raises:
        AudiomonError: there is no engine at all.
    """
    if not pythons:
        raise AudiomonError("nothing here can run the model; get one of " + "; ".join(missing(pythons)))
    todo = [call for call in calls(full) if call.engine in pythons]
    for number, call in enumerate(todo, 1):
        say(f"{number} of {len(todo)}: {call.title}")
        if call.engine == "keras" and network.model is not None and network.model.is_dir() and "predict" in call.way:
            yield Absent(call, "a SavedModel has no predict")
            continue
        yield measure(call, network, runs, pythons[call.engine])


_PROBE = """
import importlib.util, json
from audiomon.models.interpreter import installed_backends
tensorflow = importlib.util.find_spec("tensorflow") is not None
print(json.dumps((["keras", "tf.lite"] if tensorflow else []) + installed_backends()))
"""


def _engines_of(python: Path) -> list[Engine]:
    done = subprocess.run(
        [str(python), "-c", _PROBE], capture_output=True, text=True, env=contender_environment(), check=False
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise AudiomonError(f"{python}: cannot run audiomon: {lines[-1] if lines else done.returncode}")
    engines: list[Engine] = json.loads(done.stdout)
    return engines
