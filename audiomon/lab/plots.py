"""Pictures of measurements. Draws what it is given; measures nothing."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audiomon.errors import UserError
from audiomon.lab.bench.explain.experiments import Explanation
from audiomon.lab.bench.explain.text import duration
from audiomon.lab.bench.models.measure import ENGINES, Timing
from audiomon.lab.tensorflow_process import INSTALL

_INK, _FAINT = "#222222", "#8a8a8a"
_COLOURS = {"keras": "#c8553d", "tf.lite": "#e0a458", "tflite-runtime": "#4f86a6", "litert": "#2f6f4f"}
_DPI = 110
_FORMATS = (".png", ".svg", ".pdf")


def plot_models(timings: Sequence[Timing], title: str, path: Path) -> None:
    """Draw the median time of every contender, slowest on top, on a logarithmic axis; a tick marks the 99th percentile.

    Raises:
        UserError: matplotlib is not installed, or the picture cannot be written.
    """
    pyplot = _pyplot()
    ordered = sorted(timings, key=lambda timing: timing.median_us)
    figure, axes = pyplot.subplots(figsize=(9, 1.3 + 0.24 * len(ordered)), layout="constrained")
    rows = range(len(ordered))
    axes.barh(
        rows,
        [timing.median_us for timing in ordered],
        height=0.72,
        color=[_COLOURS[one.call.engine] for one in ordered],
    )
    for row, timing in zip(rows, ordered, strict=True):
        axes.plot([timing.median_us, timing.p99_us], [row, row], color=_INK, linewidth=0.6)
        axes.plot([timing.p99_us] * 2, [row - 0.25, row + 0.25], color=_INK, linewidth=1)
        axes.text(
            max(timing.p99_us, timing.median_us) * 1.12,
            row,
            duration(timing.median_us),
            va="center",
            fontsize=8,
            color=_INK,
        )
    axes.set_yticks(list(rows), [timing.call.title for timing in ordered], fontsize=8)
    axes.set_ylim(-0.7, len(ordered) - 0.3)
    axes.set_xscale("log")
    axes.set_xlim(min(timing.median_us for timing in ordered) / 2, max(timing.p99_us for timing in ordered) * 4)
    _time_axis(axes)
    axes.set_title(title, loc="left", fontsize=10, color=_INK)
    present = [engine for engine in ENGINES if any(timing.call.engine == engine for timing in ordered)]
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=_COLOURS[engine]) for engine in present]
    names = {"keras": "Keras", "tf.lite": "tf.lite", "tflite-runtime": "tflite-runtime", "litert": "LiteRT"}
    axes.legend(handles, [names[engine] for engine in present], loc="lower right", fontsize=8, frameon=False)
    _save(pyplot, figure, path)


def plot_explanation(explanation: Explanation, path: Path) -> None:
    """Draw the steps from the slowest call to the fastest as a waterfall on a logarithmic axis.

    Raises:
        UserError: matplotlib is not installed, or the picture cannot be written.
    """
    pyplot = _pyplot()
    steps = explanation.steps
    figure, axes = pyplot.subplots(figsize=(9, 1.1 + 0.62 * len(steps)), layout="constrained")
    least, most = min(step.us for step in steps), max(step.us for step in steps)
    left = least / 8
    for row, step in enumerate(steps):
        engine = "litert" if step.title.startswith("TFLite") else "keras"
        axes.barh(row, step.us - left, left=left, height=0.5, color=_COLOURS[engine])
        axes.text(left * 1.15, row, duration(step.us), va="center", ha="left", fontsize=9, color="white")
        if not row:
            continue
        before = steps[row - 1].us
        low, high = sorted((step.us, before))
        if before > step.us:
            axes.barh(row, high - low, left=low, height=0.5, color="none", edgecolor=_FAINT, linestyle=":")
        axes.plot([before, before], [row - 1 + 0.25, row - 0.25], color=_FAINT, linewidth=0.8, linestyle=":")
        factor = f"÷ {step.factor:.3g}" if step.factor >= 1 else f"× {1 / step.factor:.3g}"
        axes.text(high * 1.12, row - 0.1, factor, va="center", fontsize=10, color=_INK)
        axes.text(high * 1.12, row + 0.2, step.removes, va="center", fontsize=8, color=_FAINT)
    axes.set_yticks(range(len(steps)), [step.title for step in steps], fontsize=9)
    axes.invert_yaxis()
    axes.set_xscale("log")
    # Room for what is written behind the longest bar.
    axes.set_xlim(left, most * (most / left) ** 0.62)
    _time_axis(axes)
    axes.set_title(
        f"Where a factor of {explanation.ratio:,.0f} goes: one window, {steps[0].title} to TFLite",
        loc="left",
        fontsize=11,
        color=_INK,
    )
    _save(pyplot, figure, path)


def _time_axis(axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator

    axes.xaxis.set_major_locator(LogLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda us, _: duration(us)))
    axes.tick_params(colors=_INK, labelsize=8)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def check_plotting(path: Path) -> None:
    """See that a picture can be drawn and written there, before minutes of measuring.

    Raises:
        UserError: matplotlib is not installed, or there is no such folder or format.
    """
    if path.suffix.lower() not in _FORMATS:
        raise UserError(f"must end in {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}", path=path)
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: no such folder")
    if importlib.util.find_spec("matplotlib") is None:
        raise UserError(f"--plot needs matplotlib, which is not installed: {INSTALL}")


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _save(pyplot: Any, figure: Any, path: Path) -> None:
    try:
        figure.savefig(path, dpi=_DPI)
    except (OSError, ValueError) as error:
        raise UserError(f"the picture cannot be written: {error}", path=path) from None
    finally:
        pyplot.close(figure)
