"""``audiomon bench pipeline``: what listening costs, as ratios to what it cannot cost less than, and to what is usual.

Every contender is a process of its own; contenders take turns, and a figure is the median over several rounds.
"""

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from audiomon.lab.bench.pipeline.figures import Figure
from audiomon.lab.bench.pipeline.plan import Plan
from audiomon.lab.bench.pipeline.sounds import varied_sound, write_wav
from audiomon.lab.bench.processes import Bursts, run_to_end
from audiomon.models.interpreter import Backend

HOP_S = 0.5
_BURST_S = 10
_SHORT_S = 2


def figures(plan: Plan, say: Callable[[str], None]) -> Iterator[Figure]:
    """Measure everything, one figure after the other.

    Args:
        plan: what, and for how long.
        say: told what is being measured now.

    Raises:
        AudiomonError: a contender of ours failed.
    """
    for backend in plan.backends:
        say(f"the offline path and its bare arithmetic, {backend}")
        yield _overhead(plan, backend)
        say(f"classifying {plan.speed_s:.0f} s of audio, {backend}")
        yield _speed(plan, backend)


def _overhead(plan: Plan, backend: Backend) -> Figure:
    program = [sys.executable, "-m", "audiomon.lab.bench.pipeline.contender"]
    ours, bare = (
        Bursts([*program, contender, str(plan.folder), backend, str(HOP_S), str(_BURST_S)])
        for contender in ("ours", "bare")
    )
    pairs = [(ours.burst(), bare.burst()) for _ in range(plan.rounds * plan.bursts)]
    ours.end()
    bare.end()
    ours_ms, bare_ms = (1e3 * statistics.median(costs) for costs in zip(*pairs, strict=True))
    return Figure(
        "offline-overhead",
        "CPU, whole offline path / bare arithmetic",
        backend,
        statistics.median(mine / least for mine, least in pairs),
        "×",
        1.4,
        "<=",
        f"{ours_ms:.3f} and {bare_ms:.3f} CPU ms per second of audio at hop {plan.hop_s(HOP_S):.3f} s, nothing "
        f"decoded; medians of {len(pairs)} turns of {_BURST_S} s",
        {"ours_ms_per_s": round(ours_ms, 4), "bare_ms_per_s": round(bare_ms, 4)},
    )


def _speed(plan: Plan, backend: Backend) -> Figure:
    rate = plan.spec.sample_rate
    with tempfile.TemporaryDirectory(prefix="audiomon-bench-") as scratch:
        config = Path(scratch) / "defaults.yaml"
        config.write_text(f"model: {plan.folder}\n", encoding="utf-8")
        costs = []
        files = {}
        for seconds in (_SHORT_S, _SHORT_S + plan.speed_s):
            files[seconds] = Path(scratch) / f"{seconds:.0f}.wav"
            write_wav(files[seconds], varied_sound(seconds, rate), rate)
        for _ in range(plan.rounds):
            options = ["--csv", "--interpreter", backend, "--hop", str(HOP_S), "-c", str(config)]
            short_s, long_s = (
                run_to_end([sys.executable, "-m", "audiomon", "classify", *options, str(path)])
                for path in files.values()
            )
            costs.append((long_s - short_s, short_s))
    extra_s, start_s = (statistics.median(column) for column in zip(*costs, strict=True))
    return Figure(
        "offline-speed",
        "`audiomon classify`, times real time on one core",
        backend,
        plan.speed_s / extra_s,
        "×",
        1200,
        ">=",
        f"{extra_s:.2f} CPU s for {plan.speed_s:.0f} s of a {rate} Hz WAV file more, decoding included; "
        f"{start_s:.2f} CPU s to start, check the model and end",
        {"audio_s": plan.speed_s, "cpu_s": round(extra_s, 4), "start_cpu_s": round(start_s, 4)},
    )
