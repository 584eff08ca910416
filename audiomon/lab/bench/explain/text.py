"""An `Explanation` in words: a table, and the answer in five plain sentences with the measured numbers in them."""

import os
import platform
from pathlib import Path

from audiomon.lab.bench.explain.experiments import Explanation, Line

# Counted once under qemu-user, where times say nothing: instructions of one call of the built-in network.
_ARM_INSTRUCTIONS = (
    "Counted there before: 1.53 million instructions a call on 64-bit ARM with either runtime (float32, XNNPACK), 2.98 "
    "million on 32-bit ARM (tflite-runtime, which does not hand over to XNNPACK there)."
)


def duration(us: float) -> str:
    """Write microseconds as people say them: three figures and a unit."""
    for limit, scale, unit in ((1e3, 1, "µs"), (1e6, 1e3, "ms"), (float("inf"), 1e6, "s")):
        if us < limit:
            return f"{float(f'{us / scale:.3g}'):g} {unit}"
    raise AssertionError("unreachable")


def factor_table(explanation: Explanation) -> str:
    """The telescoping steps and the experiments beside them, as lines of text."""
    steps = explanation.steps
    width = max(len(step.title) for step in steps)
    lines = [f"one window at a time, {explanation.machine}"]
    for number, step in enumerate(steps):
        factor = "" if number == 0 else f"÷ {step.factor:<8.3g}"
        lines.append(f"  {step.title:<{width}}  {duration(step.us):>9}  {factor:<10}  {step.removes}".rstrip())
    product = " × ".join(f"{step.factor:.3g}" for step in steps[1:])
    lines.append(f"  {product} = {explanation.ratio:.4g}")
    lines += ["", "experiments"]
    lines += [f"  {line.title + ' against batch size':<34} {_line(line)}" for line in explanation.lines]
    pairs = [
        ("layer by layer (eager)", explanation.eager_us, "as one graph", explanation.graph_us),
        ("the graph on all cores", explanation.graph_us, "on one thread", explanation.graph_one_thread_us),
        ("TFLite, nothing fused", explanation.unfused_us, "fused and folded", explanation.fused_us),
        ("TFLite, memory planned every time", explanation.replanned_us, "planned once", explanation.fused_us),
    ]
    lines += [
        f"  {before:<34} {duration(slow):>9}   {after} {duration(fast)} (÷ {slow / fast:.3g})"
        for before, slow, after, fast in pairs
        if slow is not None and fast is not None
    ]
    threads = ", ".join(f"{count}: {duration(us)}" for count, us in explanation.threads_us.items())
    lines.append(f"  {'TFLite with XNNPACK, threads':<34} {threads}")
    if explanation.instructions:
        counts = ", ".join(f"{kernels} {count / 1e6:.3g} M" for kernels, count in explanation.instructions.items())
        lines.append(f"  {'TFLite, instructions a call':<34} {counts}")
    lines += [f"  left out: {reason}" for reason in explanation.left_out]
    return "\n".join(lines)


def sentences(explanation: Explanation) -> list[str]:
    """The answer: five sentences, fewer where TensorFlow is missing."""
    return [
        *_whole(explanation),
        *_overhead(explanation),
        *_graph(explanation),
        _folding(explanation),
        _kernels(explanation),
        *_emulated(),
    ]


def _line(line: Line) -> str:
    return f"{duration(max(line.call_us, 0.0)):>9} a call + {duration(line.window_us)} a window"


def _small(us: float) -> str:
    """Say a difference of measurements, which can come out below nothing."""
    return duration(us) if us >= 1 else "next to nothing"


def _compared(slow: float, fast: float) -> str:
    """Say how the second compares with the first: ``12.3 times faster``."""
    return f"{slow / fast:.3g} times faster" if slow >= fast else f"{fast / slow:.3g} times slower"


def _whole(explanation: Explanation) -> list[str]:
    first, last = explanation.steps[0], explanation.steps[-1]
    if not explanation.tensorflow:
        return []
    return [
        f"For one window {first.title} takes {duration(first.us)} on this machine and the TFLite interpreter "
        f"{duration(last.us)}: it is {explanation.ratio:.4g} times faster, with the same answer."
    ]


def _overhead(explanation: Explanation) -> list[str]:
    found = {line.title: line for line in explanation.lines}
    predict = found.get("model.predict")
    step = next((step for step in explanation.steps if "on_batch" in step.title), None)
    if predict is None or step is None:
        return []
    share = max(predict.call_us, 0) / (max(predict.call_us, 0) + predict.window_us)
    return [
        f"Nearly none of that is arithmetic: a call of predict costs {duration(max(predict.call_us, 0))} whatever is "
        f"in it and only {duration(predict.window_us)} more for each window, so that {share:.1%} of it is Keras "
        f"building and tearing down a data set, callbacks and an epoch for a single window; predict_on_batch, which "
        f"skips that, is {_compared(explanation.steps[0].us, step.us)}."
    ]


def _graph(explanation: Explanation) -> list[str]:
    eager, graph = explanation.eager_us, explanation.graph_us
    if eager is None or graph is None:
        return []
    found = {line.title: line for line in explanation.lines}
    fixed = ""
    if "tf.function" in found and "TFLite" in found:
        fixed = (
            f", and even that graph costs {duration(max(found['tf.function'].call_us, 0))} a call before any "
            f"arithmetic, where TFLite's list of operators costs {_small(found['TFLite'].call_us)}"
        )
    return [
        f"Calling the model layer by layer takes {duration(eager)}, the same as one traced graph {duration(graph)} "
        f"({_compared(eager, graph)}), because Python no longer dispatches each operation{fixed}."
    ]


def _folding(explanation: Explanation) -> str:
    return (
        f"The conversion folds batch normalisation into the convolutions' weights and ReLU into their last step, which "
        f"makes it {_compared(explanation.unfused_us, explanation.fused_us)} "
        f"({duration(explanation.unfused_us)} without), and plans all memory once, where planning it for every call "
        f"would cost {_small(explanation.replanned_us - explanation.fused_us)} each time."
    )


def _kernels(explanation: Explanation) -> str:
    by_title = {step.title: step.us for step in explanation.steps}
    reference = by_title.get("TFLite, reference kernels")
    built_in, best = explanation.fused_us, explanation.steps[-1].us
    start = f"With plain loops for kernels it would take {duration(reference)}, " if reference else "The kernels: "
    threads = explanation.threads_us
    more = max(threads)
    spread = ""
    if more > 1 and 1 in threads:
        fewer = threads[1] / threads[more]
        spread = f"; {more} threads make it {_compared(threads[1], threads[more])}" + (
            ", as sharing so little work costs more than it saves" if fewer < 1 else ""
        )
    return (
        f"{start}with TFLite's own {duration(built_in)} and with XNNPACK's vector kernels {duration(best)} "
        f"({_compared(built_in, best)} again), on one thread{spread}."
    )


def is_emulated() -> bool:
    """Whether this seems to be an ARM program on another processor, where times say nothing about ARM."""
    if not platform.machine().startswith(("aarch64", "arm")):
        return False
    registered = any(Path(f"/proc/sys/fs/binfmt_misc/qemu-{name}").exists() for name in ("aarch64", "arm"))
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    return registered or "QEMU_CPU" in os.environ or "GenuineIntel" in cpuinfo or "AuthenticAMD" in cpuinfo


def _emulated() -> list[str]:
    if not is_emulated():
        return []
    return [
        f"This ARM processor is emulated: its times and their ratios say nothing of a Raspberry Pi. {_ARM_INSTRUCTIONS}"
    ]
