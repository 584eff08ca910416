"""A picture of what was heard: labels by time, and what each call cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomon.errors import UserError
from audiomon.extras import install_matplotlib

Float64 = NDArray[np.float64]

# Columns of the picture, at most: about as many as can be told apart at its width.
_MOST_COLUMNS = 480
# Rows; a model with hundreds of labels has its most frequent ones drawn.
_MOST_LABELS = 16


@dataclass(frozen=True, slots=True)
class HeardLabel:
    """One prediction: when (seconds since 1970-01-01 UTC), which label, and its score from 0 to 1."""

    time_s: float
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Latency:
    """What one prediction cost: when (seconds since 1970-01-01 UTC), running the model (µs), and its lag (ms)."""

    time_s: float
    inference_us: float
    lag_ms: float


def draw_heard(
    path: Path,
    title: str,
    heard: Sequence[HeardLabel],
    latencies: Sequence[Latency],
    swaps: Sequence[tuple[float, str]],
) -> None:
    """Draw labels by time over latencies by time.

    Args:
        path: of the picture; its ending says which format.
        title: above it.
        heard: at least one, oldest first.
        latencies: of the same predictions.
        swaps: when another model took over, and its name.

    Raises:
        UserError: matplotlib is not installed, or the picture cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(f"drawing needs matplotlib: {install_matplotlib()}") from None
    times = np.array([one.time_s for one in heard])
    columns = min(_MOST_COLUMNS, len(times))
    edges = np.linspace(times[0], max(times[-1], times[0] + 1.0), columns + 1)
    column = np.clip(np.digitize(times, edges) - 1, 0, columns - 1)
    names = _most_frequent([one.label for one in heard])
    figure = Figure(figsize=(12, 4.2 + 0.32 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    above, middle, below = figure.subplots(
        3, 1, sharex=True, gridspec_kw={"height_ratios": [0.3 * len(names) + 0.4, 1.1, 1.1]}
    )
    begin, end = (datetime.fromtimestamp(edge, UTC).astimezone() for edge in (edges[0], edges[-1]))
    figure.suptitle(f"{title}: {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}", fontsize=12)
    picture = _draw_labels(above, names, heard, column, edges)
    figure.colorbar(picture, ax=above, label="share", pad=0.01)
    _draw_latency(middle, np.array([one.inference_us for one in latencies]), column, edges, "inference, µs")
    _draw_latency(below, np.array([one.lag_ms for one in latencies]), column, edges, "lag, ms")
    for at_s, model in ((at_s, model) for at_s, model in swaps if edges[0] <= at_s <= edges[-1]):
        for panel in (above, middle, below):
            panel.axvline(at_s, color="tab:red", linewidth=1)
        above.annotate(f"→ {model}", (at_s, 1.0), xycoords=("data", "axes fraction"), fontsize=8, color="tab:red")
    _name_times(below, edges)
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be written: {error}") from None


def _most_frequent(labels: list[str]) -> list[str]:
    names, counts = np.unique(labels, return_counts=True)
    return [str(names[index]) for index in np.argsort(-counts, kind="stable")[:_MOST_LABELS]]


def _draw_labels(
    panel: Any, names: list[str], heard: Sequence[HeardLabel], column: NDArray[np.intp], edges: Any
) -> Any:
    """Draw a row for each label: the share of the predictions in each column that gave it the highest score."""
    counts = np.zeros((len(names), len(edges) - 1))
    rows = {name: row for row, name in enumerate(names)}
    for one, at in zip(heard, column, strict=True):
        if one.label in rows:
            counts[rows[one.label], at] += 1
    of_all = np.bincount(column, minlength=len(edges) - 1)
    # Nothing heard is blank, not a share of 0.
    shares = np.divide(counts, of_all, out=np.full_like(counts, np.nan), where=of_all > 0)
    panel.set_yticks(range(len(names)), names)
    panel.grid(visible=False)
    return panel.imshow(
        shares,
        aspect="auto",
        interpolation="nearest",
        cmap="viridis",
        vmin=0,
        vmax=1,
        extent=(edges[0], edges[-1], len(names) - 0.5, -0.5),
    )


def _draw_latency(panel: Any, values: Float64, column: NDArray[np.intp], edges: Float64, title: str) -> None:
    """Draw the median of each column, and a band up to its highest value."""
    from matplotlib.ticker import LogLocator, NullFormatter

    middles = (edges[:-1] + edges[1:]) / 2
    median, highest = (_by_column(values, column, len(middles), statistic) for statistic in (np.median, np.max))
    panel.fill_between(middles, median, highest, color="tab:blue", alpha=0.2, linewidth=0, label="up to the highest")
    panel.plot(middles, median, color="tab:blue", linewidth=1, label="median")
    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    panel.yaxis.set_major_formatter("{x:g}")  # 50, not 5 × 10¹
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.set_ylabel(title)
    panel.grid(visible=True, which="major", alpha=0.3)
    panel.legend(loc="upper right", fontsize=8, ncols=2, framealpha=0.9)


def _by_column(values: Float64, column: NDArray[np.intp], columns: int, statistic: Callable[[Float64], Any]) -> Float64:
    result = np.full(columns, np.nan)
    order = np.argsort(column, kind="stable")
    filled, starts = np.unique(column[order], return_index=True)
    for at, part in zip(filled, np.split(values[order], starts[1:]), strict=True):
        result[at] = statistic(part)
    return result


def _name_times(panel: Any, edges: Float64) -> None:
    """Write local times under the picture, at round ones."""
    length_s = edges[-1] - edges[0]
    steps = (1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
    step = next((step for step in steps if length_s / step <= 12), 7 * 86_400)
    offset_s = datetime.fromtimestamp(edges[0], UTC).astimezone().utcoffset()
    shift = offset_s.total_seconds() if offset_s else 0.0
    first = np.ceil((edges[0] + shift) / step) * step - shift
    ticks = np.arange(first, edges[-1], step)
    form = "%H:%M:%S" if step < 60 else "%H:%M" if step < 86_400 else "%m-%d"
    panel.set_xticks(ticks, [datetime.fromtimestamp(at, UTC).astimezone().strftime(form) for at in ticks])
    panel.set_xlim(edges[0], edges[-1])
