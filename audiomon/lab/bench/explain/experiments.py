"""``audiomon bench explain``: where the time between ``model.predict`` and the TFLite interpreter goes, by experiment.

Each experiment changes one thing and measures both sides, each side in a process of its own. The sides of all
experiments take turns, several rounds; a figure is the least median of its rounds, since disturbances only ever add.
"""

import platform
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiomon.errors import AudiomonError
from audiomon.lab.bench.models.measure import Absent, Call, Engine, contender_command, measure
from audiomon.lab.bench.models.variants import Network
from audiomon.lab.bench.processes import contender_environment

_BATCHES = (1, 4, 16, 64)
_THREADS = (1, 2, 4)
_COUNTED_RUNS = (2, 22)


@dataclass(frozen=True, slots=True)
class Step:
    """One step down from ``model.predict`` to the interpreter's best.

    Attributes:
        title: the way to call it.
        removes: what it does without, compared with the step before.
        us: microseconds a window.
        factor: by which it is faster than the step before; 1 for the first.
    """

    title: str
    removes: str
    us: float
    factor: float


@dataclass(frozen=True, slots=True)
class Line:
    """Time of a call against the number of windows in it: ``call_us`` + ``window_us`` · windows, by least squares.

    Attributes:
        title: the way to call it.
        call_us: the intercept: what a call costs before any arithmetic.
        window_us: the slope: what a window costs.
        points: (windows in a call, microseconds of the call).
    """

    title: str
    call_us: float
    window_us: float
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything measured. What could not be measured here is None or empty, and its reason in ``left_out``.

    Attributes:
        machine: processor and system.
        engine: the TFLite runtime, with its version.
        tensorflow: its version, or empty.
        steps: from the slowest way to the fastest.
        lines: of predict, of the graph, of TFLite.
        eager_us: the model called directly, layer by layer.
        graph_us: the same as one graph.
        graph_one_thread_us: that with TensorFlow held to one thread.
        fused_us: of TFLite, built-in kernels.
        unfused_us: the same with batch normalisation and ReLU as operators of their own.
        replanned_us: the same, fused, with its memory planned again for every call.
        threads_us: of TFLite with XNNPACK, by number of threads.
        instructions: per call, by kernels, if they were counted.
        left_out: what could not be measured, and why.
    """

    machine: str
    engine: str
    tensorflow: str
    steps: tuple[Step, ...]
    lines: tuple[Line, ...]
    eager_us: float | None
    graph_us: float | None
    graph_one_thread_us: float | None
    fused_us: float
    unfused_us: float
    replanned_us: float
    threads_us: dict[int, float]
    instructions: dict[str, float]
    left_out: tuple[str, ...]

    @property
    def ratio(self) -> float:
        """Of the first step's time to the last one's: the product of all factors."""
        return self.steps[0].us / self.steps[-1].us


def explain(
    network: Network,
    runs: int,
    rounds: int,
    pythons: dict[Engine, Path],
    count: bool,
    say: Callable[[str], None],
) -> Explanation:
    """Run all experiments.

    Args:
        network: what is called.
        runs: calls of each contender, each round.
        rounds: how often each contender runs.
        pythons: for each engine that is there.
        count: count instructions with valgrind, too.
        say: told what runs now.

    Raises:
        AudiomonError: there is no TFLite runtime, or it failed.
    """
    runtimes: tuple[Engine, ...] = ("litert", "tflite-runtime", "tf.lite")
    engine = next((name for name in runtimes if name in pythons), None)
    if engine is None:
        raise AudiomonError("there is no TFLite runtime here: pip install ai-edge-litert")
    experiments = _Experiments(network, engine)
    wanted = [call for call in experiments.calls() if call.engine in pythons]
    medians, absent, versions = _measured(wanted, network, runs, rounds, pythons, say)
    reference = medians.get(experiments.best)
    if reference is None:
        raise AudiomonError(f"{experiments.best.title}: {absent.get(experiments.best, 'failed')}")
    instructions: dict[str, float] = {}
    if count:
        for call in (experiments.reference, experiments.built_in, experiments.best):
            say(f"counting instructions: {call.title}")
            instructions[call.kernels] = count_instructions(call, network, pythons[call.engine])
    left_out = [f"{call.title}: {reason}" for call, reason in absent.items()]
    if "keras" not in pythons:
        left_out.append("model.predict and everything else of TensorFlow: TensorFlow is not installed")
    return Explanation(
        machine=f"{_processor()}, {platform.system()} {platform.machine()}",
        engine=f"{engine} {versions.get(engine, '')}",
        tensorflow=versions.get("keras", ""),
        steps=_steps(experiments, medians),
        lines=tuple(_lines(experiments, medians)),
        eager_us=medians.get(experiments.eager),
        graph_us=medians.get(experiments.graph),
        graph_one_thread_us=medians.get(experiments.graph_one_thread),
        fused_us=medians[experiments.built_in],
        unfused_us=medians[experiments.unfused],
        replanned_us=medians[experiments.replanned],
        threads_us={call.threads: medians[call] for call in experiments.threads if call in medians},
        instructions=instructions,
        left_out=tuple(left_out),
    )


class _Experiments:
    """The contenders of all experiments, by what they are for."""

    def __init__(self, network: Network, engine: Engine) -> None:
        saved_model = network.model is not None and network.model.is_dir()
        self.predict = Call("keras", "predict-batch-size", threads=0)
        self.on_batch = Call("keras", "predict-on-batch", threads=0)
        self.graph = Call("keras", "function", threads=0)
        self.eager = Call("keras", "call", threads=0)
        self.graph_one_thread = Call("keras", "function", threads=1)
        self.reference = Call(engine, kernels="reference")
        self.built_in = Call(engine, kernels="built-in")
        self.best = Call(engine)
        self.unfused = Call(engine, kernels="built-in", file="float32-unfused")
        self.replanned = Call(engine, "replan", kernels="built-in")
        self.threads = [Call(engine, threads=threads) for threads in _THREADS]
        self.batches = {
            "predict": [Call("keras", "predict-batch-size", threads=0, batch=batch) for batch in _BATCHES],
            "graph": [Call("keras", "function", threads=0, batch=batch) for batch in _BATCHES],
            "tflite": [Call(engine, file="float32-any-batch", batch=batch) for batch in _BATCHES],
        }
        if saved_model:
            del self.batches["predict"]
        self._has_predict = not saved_model

    @property
    def chain(self) -> list[tuple[Call, str]]:
        """The steps, each with what it does without."""
        with_predict = [
            (self.predict, ""),
            (self.on_batch, "no data set, no callbacks, no progress bar"),
        ]
        return [
            *(with_predict if self._has_predict else []),
            (self.graph, "no conversion and checks around the graph"),
            (self.reference, "no TensorFlow: a planned list of fused operators, plainest kernels"),
            (self.built_in, "kernels written for the processor"),
            (self.best, "XNNPACK's kernels"),
        ]

    def calls(self) -> list[Call]:
        every = [
            *(call for call, _ in self.chain),
            self.eager,
            self.graph_one_thread,
            self.unfused,
            self.replanned,
            *self.threads,
            *(call for batch in self.batches.values() for call in batch),
        ]
        return list(dict.fromkeys(every))


def _measured(
    wanted: list[Call],
    network: Network,
    runs: int,
    rounds: int,
    pythons: dict[Engine, Path],
    say: Callable[[str], None],
) -> tuple[dict[Call, float], dict[Call, str], dict[str, str]]:
    """Return the least median of each contender, why others failed, and the engines' versions."""
    medians: dict[Call, float] = {}
    absent: dict[Call, str] = {}
    versions: dict[str, str] = {}
    for turn in range(rounds):
        for number, call in enumerate(wanted, 1):
            if call in absent:
                continue
            say(f"round {turn + 1} of {rounds}, {number} of {len(wanted)}: {call.title}")
            timing = measure(call, network, runs, pythons[call.engine])
            if isinstance(timing, Absent):
                absent[call] = timing.reason
            else:
                medians[call] = min(timing.median_us, medians.get(call, timing.median_us))
                versions[call.engine] = timing.version
    return medians, absent, versions


def _steps(experiments: _Experiments, medians: dict[Call, float]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for call, removes in experiments.chain:
        if call in medians:
            factor = steps[-1].us / medians[call] if steps else 1.0
            steps.append(Step(_short(call), removes if steps else "", medians[call], factor))
    return tuple(steps)


def _short(call: Call) -> str:
    if call.engine == "keras":
        return call.title
    kernels = {"reference": "reference kernels", "built-in": "built-in kernels", "xnnpack": "XNNPACK"}
    return f"TFLite, {kernels[call.kernels]}"


def _lines(experiments: _Experiments, medians: dict[Call, float]) -> Iterable[Line]:
    titles = {"predict": "model.predict", "graph": "tf.function", "tflite": "TFLite"}
    for name, batches in experiments.batches.items():
        points = tuple((call.batch, medians[call]) for call in batches if call in medians)
        if len(points) > 2:
            windows, times = np.array(points, dtype=np.float64).T
            # Relative errors: a disturbance grows with the time that it disturbs.
            slope, intercept = np.polyfit(windows, times, 1, w=1 / times)
            yield Line(titles[name], float(intercept), float(slope), points)


def count_instructions(call: Call, network: Network, python: Path) -> float:
    """Count the instructions of one call with valgrind: those of many calls less those of few.

    Raises:
        AudiomonError: valgrind is not installed, or failed.
    """
    if shutil.which("valgrind") is None:
        raise AudiomonError("counting instructions needs valgrind: sudo apt install valgrind")
    few, many = (_collected(contender_command(call, network, runs, python)) for runs in _COUNTED_RUNS)
    return (many - few) / (_COUNTED_RUNS[1] - _COUNTED_RUNS[0])


def _collected(command: list[str]) -> int:
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=contender_environment(),
        check=False,
    )
    for line in done.stderr.splitlines():
        _, found, number = line.partition("Collected : ")
        if found:
            return int(number)
    last = (done.stderr.strip().splitlines() or ["no output"])[-1]
    raise AudiomonError(f"valgrind could not count: {last[:200]}")


def _processor() -> str:
    lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()]
    values = {key.strip(): value.strip() for key, _, value in lines if value}
    # "Model" with a capital is the whole board, on ARM; "model" is a bare number, on x86.
    return values.get("model name") or values.get("Model") or values.get("Hardware") or platform.machine()
