"""What listening on a microphone costs: real processes, watched from outside, in turns."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from audiomon.config import Microphone
from audiomon.features import LogMelSpec
from audiomon.lab.bench.pipeline.figures import Figure
from audiomon.lab.bench.processes import contender_environment
from audiomon.models.interpreter import Backend
from tests.bench.listening import Listening
from tests.bench.live.plan import LivePlan
from tests.bench.live.tutorial_loop import LOOP_SCRIPT
from tests.bench.microphone import virtual_microphone, virtual_microphone_missing

# Whole process against whole process: what a user pays, wherever work is done.
_HOPS_S = {0.5: 0.65, 0.1: 0.42}

# The first window takes a second to fill, and everything is warm after the second one.
_SETTLING_S = 2.0

_LAG_SLACK_MS = 10
# soxr's delay at its HQ setting, the longest of those in audiomon.audio.mono.
_RESAMPLER_MS = 58

_MODULES = {"litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}

_LEFT_OUT = (
    ("live-cpu", "CPU, whole `run` / whole tutorial loop", "×", 0.65),
    ("capture", "CPU of capture alone, per second of audio", "ms", 5.0),
    ("rss-over-floor", "peak RSS of `run` above the floor", "MB", 10.0),
    ("rss-of-loop", "peak RSS, `run` / tutorial loop", "×", 1 / 3),
    ("start", "process start to ready", "s", 0.7),
    ("lag", "99th percentile of lag above one block", "ms", float(_LAG_SLACK_MS)),
)


@dataclass(slots=True)
class _Watched:
    """What was seen of one contender, a value for every round."""

    cpu_ms_per_s: list[float] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)
    ready_s: list[float] = field(default_factory=list)
    lag_ms: list[float] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def cpu(self) -> float:
        """Median CPU milliseconds per second of audio."""
        return statistics.median(self.cpu_ms_per_s)

    @property
    def rss(self) -> float:
        """Median peak resident set, in MB of 10^6 bytes."""
        return statistics.median(self.rss_mb)

    @property
    def ready(self) -> float:
        """Median seconds from start to ready."""
        return statistics.median(self.ready_s)


# What a contender is: its role, the runtime it uses, its hop in seconds.
_Key = tuple[str, str, float]


def live_figures(plan: LivePlan, say: Callable[[str], None]) -> Iterator[Figure]:
    """Measure what needs a microphone; one figure after the other."""
    reason = "" if plan.device else virtual_microphone_missing()
    if reason:
        for name, title, unit, reach in _LEFT_OUT:
            detail = f"needs a microphone: name one with --device; none can be made here: {reason}"
            yield Figure(name, title, "", None, unit, reach, "<=", detail)
        return
    with tempfile.TemporaryDirectory(prefix="audiomon-bench-") as scratch, ExitStack() as stack:
        device, exports = plan.device, dict[str, str]()
        if device is None:
            device, exports = stack.enter_context(virtual_microphone(plan.spec.sample_rate))
        config = Path(scratch) / "defaults.yaml"
        config.write_text(f"model: {plan.folder}\n", encoding="utf-8")
        contenders = _contenders(plan, device, config)
        watched = _watch(plan, contenders, contender_environment(exports), say)
    yield from _figures(plan, watched)


def loop_backends(python: Path) -> tuple[str, ...]:
    """Return the runtimes with which the tutorial loop can run in another Python; none without librosa there."""
    names = ("librosa", "sounddevice", *_MODULES.values())
    probe = f"import importlib.util as u; print(*[n for n in {names} if u.find_spec(n)])"
    found = subprocess.run([str(python), "-c", probe], capture_output=True, text=True, check=False).stdout.split()
    if not {"librosa", "sounddevice"} <= set(found):
        return ()
    return tuple(backend for backend, module in _MODULES.items() if module in found)


def librosa_arguments(spec: LogMelSpec) -> dict[str, Any]:
    """Return what ``librosa.feature.melspectrogram`` is called with for a spec."""
    return {
        "sr": spec.sample_rate,
        "n_fft": spec.n_fft,
        "win_length": spec.win_length,
        "hop_length": spec.hop_length,
        "window": "boxcar" if spec.window == "rectangular" else spec.window,
        "n_mels": spec.n_mels,
        "fmin": spec.fmin,
        "fmax": spec.fmax,
        "htk": spec.mel_scale == "htk",
        "norm": "slaney" if spec.norm == "slaney" else None,
        "power": spec.power,
        "center": False,
    }


def librosa_levels(spec: LogMelSpec) -> dict[str, Any]:
    """Return what follows ``melspectrogram``: of ``librosa.power_to_db``, and the model's mean and deviation."""
    normalization = None if spec.normalization is None or spec.normalization.per_window else spec.normalization
    return {
        "ref": spec.ref,
        "amin": spec.amin,
        "top_db": spec.top_db,
        "mean": normalization.mean if normalization else 0.0,
        "std": normalization.std if normalization else 1.0,
    }


def _contenders(plan: LivePlan, device: str, config: Path) -> dict[_Key, Sequence[str]]:
    rate = str(plan.spec.sample_rate)
    capture = [sys.executable, "-m", "tests.bench.live.contender"]
    found: dict[_Key, Sequence[str]] = {("capture", "", 0): [*capture, "capture", device, rate]}
    in_loop = loop_backends(plan.loop_python) if plan.loop_python else ()
    for backend in plan.backends:
        found["floor", backend, 0] = [*capture, "floor", device, rate, str(plan.folder), backend]
        for hop_s in _HOPS_S:
            run = ["run", "--json", "-d", device, "-c", str(config), "--interpreter", backend, "--hop", str(hop_s)]
            found["run", backend, hop_s] = [sys.executable, "-m", "audiomon", *run]
            if backend in in_loop:
                found["loop", backend, hop_s] = _loop(plan, device, backend, hop_s)
    return found


def _loop(plan: LivePlan, device: str, backend: Backend, hop_s: float) -> list[str]:
    return [
        str(plan.loop_python),
        str(LOOP_SCRIPT),
        str(plan.folder / "model.tflite"),
        *("--backend", backend, "--device", device, "--block-ms", str(Microphone().block_ms)),
        *("--hop", f"{plan.hop_s(hop_s):.9f}", "--window-samples", str(plan.spec.window_samples)),
        *("--mel", json.dumps(librosa_arguments(plan.spec)), "--levels", json.dumps(librosa_levels(plan.spec))),
    ]


def _watch(
    plan: LivePlan,
    contenders: Mapping[_Key, Sequence[str]],
    environment: Mapping[str, str],
    say: Callable[[str], None],
) -> dict[_Key, _Watched]:
    watched: dict[_Key, _Watched] = defaultdict(_Watched)
    # A first start of each, which nothing is taken from: it compiles Python, and numba where librosa needs it.
    for key, command in contenders.items():
        say(f"first start: {_named(key)}")
        first = Listening(command, environment)
        first.stop()
        watched[key].facts = first.lines[0][1]
    for number in range(plan.rounds):
        for key, command in contenders.items():
            say(f"round {number + 1} of {plan.rounds}: {_named(key)}")
            _watch_once(Listening(command, environment), plan.live_s, watched[key])
    return watched


def _watch_once(contender: Listening, live_s: float, watched: _Watched) -> None:
    watched.ready_s.append(contender.ready_s)
    time.sleep(_SETTLING_S)
    began_s, began_cpu_s = time.monotonic(), contender.cpu_s()
    time.sleep(live_s)
    cpu_s, elapsed_s = contender.cpu_s() - began_cpu_s, time.monotonic() - began_s
    watched.cpu_ms_per_s.append(1e3 * cpu_s / elapsed_s)
    watched.rss_mb.append(contender.peak_rss_bytes() / 1e6)
    contender.stop()
    watched.lag_ms += [
        fields["lag_ms"]
        for at_s, fields in contender.lines
        if "lag_ms" in fields and began_s <= at_s <= began_s + live_s
    ]


def _named(key: _Key) -> str:
    role, backend, hop_s = key
    return role + (f", {backend}" if backend else "") + (f", hop {hop_s:g} s" if hop_s else "")


def _figures(plan: LivePlan, watched: Mapping[_Key, _Watched]) -> Iterator[Figure]:
    capture = watched["capture", "", 0]
    yield Figure(
        "capture",
        "CPU of capture alone, per second of audio",
        "",
        capture.cpu,
        "ms",
        5.0,
        "<=",
        f"default settings: blocks of {capture.facts['block_ms']:.0f} ms at {capture.facts['sample_rate']} Hz; "
        f"rounds from {min(capture.cpu_ms_per_s):.2f} to {max(capture.cpu_ms_per_s):.2f}",
        {"rounds_ms_per_s": [round(cost, 3) for cost in capture.cpu_ms_per_s]},
    )
    for backend in plan.backends:
        for hop_s in _HOPS_S:
            yield _live_cpu(plan, watched, backend, hop_s)
        yield from _rss(watched, backend)
        yield _start(watched, backend)
        for hop_s in _HOPS_S:
            yield _lag(plan, watched["run", backend, hop_s], capture.facts, backend, hop_s)


def _live_cpu(plan: LivePlan, watched: Mapping[_Key, _Watched], backend: Backend, hop_s: float) -> Figure:
    run = watched["run", backend, hop_s]
    title = f"CPU at hop {plan.hop_s(hop_s):.2f} s, whole `run` / whole tutorial loop"
    seen = f"{run.cpu:.2f} ms per second of audio"
    facts = {"hop_s": plan.hop_s(hop_s), "run_ms_per_s": round(run.cpu, 3)}
    reach = _HOPS_S[hop_s]
    loop = watched.get(("loop", backend, hop_s))
    if loop is None:
        return Figure("live-cpu", title, backend, None, "×", reach, "<=", f"{seen}; {_no_loop(plan)}", facts)
    facts["loop_ms_per_s"] = round(loop.cpu, 3)
    pairs = zip(run.cpu_ms_per_s, loop.cpu_ms_per_s, strict=True)
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    detail = f"{seen} and {loop.cpu:.2f}; median of {len(run.cpu_ms_per_s)} rounds, each beside the other"
    return Figure("live-cpu", title, backend, ratio, "×", reach, "<=", detail, facts)


def _rss(watched: Mapping[_Key, _Watched], backend: Backend) -> Iterator[Figure]:
    floor, run = watched["floor", backend, 0].rss, max(watched["run", backend, hop_s].rss for hop_s in _HOPS_S)
    yield Figure(
        "rss-over-floor",
        "peak RSS of `run` above the floor",
        backend,
        run - floor,
        "MB",
        10.0,
        "<=",
        f"{run:.1f} MB; NumPy, interpreter and one open stream: {floor:.1f} MB",
        {"run_mb": round(run, 2), "floor_mb": round(floor, 2)},
    )
    loops = [watched[key].rss for key in watched if key[:2] == ("loop", backend)]
    yield Figure(
        "rss-of-loop",
        "peak RSS, `run` / tutorial loop",
        backend,
        run / max(loops) if loops else None,
        "×",
        1 / 3,
        "<=",
        f"{run:.1f} and {max(loops):.1f} MB" if loops else "no tutorial loop to compare with",
        {"loop_mb": round(max(loops), 2)} if loops else {},
    )


def _start(watched: Mapping[_Key, _Watched], backend: Backend) -> Figure:
    ready = [value for hop_s in _HOPS_S for value in watched["run", backend, hop_s].ready_s]
    loop = [value for key in watched if key[:2] == ("loop", backend) for value in watched[key].ready_s]
    seen = f"median of {len(ready)} second starts, from {min(ready):.2f} to {max(ready):.2f} s"
    compared = f"; tutorial loop: {statistics.median(loop):.2f} s" if loop else ""
    return Figure(
        "start",
        "process start to ready (model checked and warm, stream open)",
        backend,
        statistics.median(ready),
        "s",
        0.7,
        "<=",
        seen + compared,
        {
            "starts_s": [round(value, 4) for value in ready],
            "loop_s": round(statistics.median(loop), 3) if loop else None,
        },
    )


def _lag(plan: LivePlan, run: _Watched, capture: Mapping[str, Any], backend: Backend, hop_s: float) -> Figure:
    p50, p99 = (float(value) for value in np.percentile(run.lag_ms, (50, 99)))
    resampler_ms = _RESAMPLER_MS if capture["sample_rate"] != plan.spec.sample_rate else 0
    resampled = f" + the resampler's {resampler_ms} ms" if resampler_ms else ""
    return Figure(
        "lag",
        f"lag, 99th percentile, hop {plan.hop_s(hop_s):.2f} s",
        backend,
        p99,
        "ms",
        capture["block_ms"] + _LAG_SLACK_MS + resampler_ms,
        "<=",
        f"last sample captured -> prediction out, {len(run.lag_ms)} predictions, median {p50:.1f} ms; allowed: one "
        f"block of {capture['block_ms']:.0f} ms + {_LAG_SLACK_MS} ms{resampled}",
        {"hop_s": plan.hop_s(hop_s), "lag_ms_p50": round(p50, 3), "lag_ms_p99": round(p99, 3)},
    )


def _no_loop(plan: LivePlan) -> str:
    if plan.loop_python is None:
        return "librosa is not installed here for the tutorial loop; `python -m tests.bench peers` installs it apart"
    return f"{plan.loop_python} has not all that the tutorial loop needs with this interpreter"
