"""The picture of an archive: each label by hour of day and by date. Draws what it is given; asks nothing."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomon.errors import UserError
from audiomon.extras import pip_install

# A model with hundreds of labels has its most frequent ones drawn.
_MAX_LABELS = 12
_COLUMNS = 3
_HOURS = 24


def draw_hours(
    path: Path,
    title: str,
    heard: Sequence[tuple[str, date, int, int]],
    every: Sequence[tuple[date, int, int]] | None,
) -> None:
    """Draw a panel for each label: dates from left to right, the day's hours from bottom to top.

    Args:
        path: of the picture; its ending says which format.
        title: above it.
        heard: label, day, hour of day and how many rows; at least one.
        every: day, hour and how many rows of any label, to draw shares of what was recorded; None draws numbers.

    Raises:
        UserError: matplotlib is not installed, or the picture cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.colors import PowerNorm
        from matplotlib.figure import Figure
        from matplotlib.ticker import PercentFormatter
    except ImportError:
        raise UserError(f"drawing needs matplotlib: {pip_install('matplotlib')}") from None
    totals: Counter[str] = Counter()
    for label, _, _, count in heard:
        totals[label] += count
    labels = [label for label, _ in totals.most_common(_MAX_LABELS)]
    days = [day for day, _, _ in every] if every is not None else [day for _, day, _, _ in heard]
    first, last = min(days), max(days)
    recorded = None if every is None else _grid(every, first, last)
    columns = min(_COLUMNS, len(labels))
    lines = -(-len(labels) // columns)
    figure = Figure(figsize=(4.4 * columns, 2.7 * lines + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for panel, label in zip(panels.flat, labels, strict=False):
        counts = _grid([(day, hour, count) for name, day, hour, count in heard if name == label], first, last)
        if recorded is None:
            shown = np.where(counts > 0, counts, np.nan)
        else:
            # Where nothing was recorded is blank, not a share of 0.
            shown = np.divide(counts, recorded, out=np.full_like(counts, np.nan), where=recorded > 0)
        picture = panel.imshow(
            shown,
            aspect="auto",
            origin="lower",
            interpolation="nearest",
            cmap="viridis",
            # The square root: what is rare would be as dark as what is not there.
            norm=PowerNorm(0.5, vmin=0, vmax=max(float(np.nanmax(shown)), 1e-9)),
            extent=(first.toordinal() - 0.5, last.toordinal() + 0.5, 0, _HOURS),
        )
        panel.set_title(f"{label} ({totals[label]:,} rows)", fontsize=9, loc="left")
        panel.set_facecolor("#e8e8e8")
        scale = figure.colorbar(picture, ax=panel, pad=0.01, format=None if recorded is None else PercentFormatter(1.0))
        scale.ax.tick_params(labelsize=7)
    for panel in panels.flat[len(labels) :]:
        panel.set_visible(False)
    _name_axes(panels, first, last, shown=len(labels))
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be written: {error}") from None


def _grid(rows: Sequence[tuple[date, int, int]], first: date, last: date) -> NDArray[np.float64]:
    grid = np.zeros((_HOURS, (last - first).days + 1))
    for day, hour, count in rows:
        grid[hour, (day - first).days] += count
    return grid


def _name_axes(panels: Any, first: date, last: date, *, shown: int) -> None:
    span = (last - first).days
    step = next((step for step in (1, 2, 4, 7, 14, 28, 61, 122, 183, 366) if span / step <= 5), 731)
    ticks = range(first.toordinal(), last.toordinal() + 1, step)
    for index, panel in enumerate(panels.flat):
        panel.set_xticks(list(ticks), [f"{date.fromordinal(at):%Y-%m-%d}" for at in ticks], fontsize=7)
        panel.set_yticks(range(0, _HOURS + 1, 6), [f"{hour:02d}:00" for hour in range(0, _HOURS + 1, 6)], fontsize=7)
        # The last panel of a column names the dates for all of it.
        panel.tick_params(labelbottom=index + panels.shape[1] >= shown)
