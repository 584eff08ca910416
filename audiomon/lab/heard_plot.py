"""A picture of what was heard: labels by time, and what each call cost."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from audiomon.errors import UserError
from audiomon.extras import install_matplotlib

Float64 = NDArray[np.float64]

# Between half as many columns and this many, however long the time is: about as many as the eye can separate.
MAX_COLUMNS = 960
# Rows; a model with hundreds of labels has its most frequent ones drawn.
_MAX_LABELS = 16
_MAX_SWAPS = 200


@dataclass(slots=True)
class _Column:
    """The predictions of one column: how many of each label, and of each latency, rounded."""

    labels: Counter[str] = field(default_factory=Counter)
    inference_us: Counter[float] = field(default_factory=Counter)
    lag_ms: Counter[float] = field(default_factory=Counter)

    def add(self, other: "_Column") -> None:
        self.labels += other.labels
        self.inference_us += other.inference_us
        self.lag_ms += other.lag_ms


class HeardColumns:
    """Predictions by time, in columns of equal length, which doubles when there would be too many of them.

    Attributes:
        swaps: when another model took over (seconds since 1970-01-01 UTC), and its name; the first 200.
    """

    def __init__(self) -> None:
        self.swaps: list[tuple[float, str]] = []
        self._begin_s = 0.0
        self._length_s = 1.0
        self._columns: list[_Column] = []

    def __len__(self) -> int:
        return len(self._columns)

    def add(self, time_s: float, label: str, inference_us: float, lag_ms: float) -> None:
        """Add a prediction.

        Args:
            time_s: in seconds since 1970-01-01 UTC; later than most before it.
            label: with the highest score.
            inference_us: of running the model, in µs.
            lag_ms: in ms.
        """
        if not self._columns:
            self._begin_s = time_s
        while (number := max(0, int((time_s - self._begin_s) / self._length_s))) >= MAX_COLUMNS:
            self._halve()
        while number >= len(self._columns):
            self._columns.append(_Column())
        column = self._columns[number]
        column.labels[label] += 1
        # Two digits: a picture shows no more, and there are few that differ.
        column.inference_us[float(f"{inference_us:.2g}")] += 1
        column.lag_ms[float(f"{lag_ms:.2g}")] += 1

    def add_swap(self, time_s: float, model: str) -> None:
        """Add a change of the model."""
        if len(self.swaps) < _MAX_SWAPS:
            self.swaps.append((time_s, model))

    @property
    def edges(self) -> Float64:
        """Times between the columns, first and last included, in seconds since 1970-01-01 UTC."""
        return self._begin_s + self._length_s * np.arange(len(self._columns) + 1)

    def most_frequent(self, count: int) -> list[str]:
        """Names of the labels that were heard most often."""
        totals: Counter[str] = Counter()
        for column in self._columns:
            totals += column.labels
        return [name for name, _ in totals.most_common(count)]

    def shares(self, names: Sequence[str]) -> Float64:
        """Return, for each name and column, the share of its predictions; NaN where there are none."""
        counts = np.array([[column.labels[name] for column in self._columns] for name in names], dtype=float)
        totals = np.array([column.labels.total() for column in self._columns], dtype=float)
        return np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)

    def latencies(self, name: Literal["inference_us", "lag_ms"]) -> tuple[Float64, Float64]:
        """Return the median and the highest value of each column; NaN where there are none."""
        found = np.full((2, len(self._columns)), np.nan)
        for number, column in enumerate(self._columns):
            counted: Counter[float] = getattr(column, name)
            if counted:
                values = np.repeat(sorted(counted), [counted[value] for value in sorted(counted)])
                found[:, number] = np.median(values), values[-1]
        return found[0], found[1]

    def _halve(self) -> None:
        halved = self._columns[::2]
        for column, following in zip(halved, self._columns[1::2], strict=False):
            column.add(following)
        self._columns = halved
        self._length_s *= 2


def draw_heard(path: Path, title: str, heard: HeardColumns) -> None:
    """Draw labels by time over latencies by time.

    Args:
        path: of the picture; its ending says which format.
        title: above it.
        heard: at least one prediction.

    Raises:
        UserError: matplotlib is not installed, or the picture cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(f"drawing needs matplotlib: {install_matplotlib()}") from None
    edges = heard.edges
    names = heard.most_frequent(_MAX_LABELS)
    figure = Figure(figsize=(12, 4.2 + 0.32 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    above, middle, below = figure.subplots(
        3, 1, sharex=True, gridspec_kw={"height_ratios": [0.3 * len(names) + 0.4, 1.1, 1.1]}
    )
    begin, end = (datetime.fromtimestamp(edge, UTC).astimezone() for edge in (edges[0], edges[-1]))
    figure.suptitle(f"{title}: {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}", fontsize=12)
    picture = _draw_labels(above, names, heard)
    figure.colorbar(picture, ax=above, label="share", pad=0.01)
    _draw_latency(middle, heard, "inference_us", "inference, µs")
    _draw_latency(below, heard, "lag_ms", "lag, ms")
    for at_s, model in ((at_s, model) for at_s, model in heard.swaps if edges[0] <= at_s <= edges[-1]):
        for panel in (above, middle, below):
            panel.axvline(at_s, color="tab:red", linewidth=1)
        above.annotate(f"→ {model}", (at_s, 1.0), xycoords=("data", "axes fraction"), fontsize=8, color="tab:red")
    _name_times(below, edges)
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be written: {error}", path=path) from None


def _draw_labels(panel: Any, names: list[str], heard: HeardColumns) -> Any:
    """Draw a row for each label: the share of the predictions in each column that gave it the highest score."""
    edges = heard.edges
    panel.set_yticks(range(len(names)), names)
    panel.grid(visible=False)
    return panel.imshow(
        heard.shares(names),  # nothing heard is blank, not a share of 0
        aspect="auto",
        interpolation="nearest",
        cmap="viridis",
        vmin=0,
        vmax=1,
        extent=(edges[0], edges[-1], len(names) - 0.5, -0.5),
    )


def _draw_latency(panel: Any, heard: HeardColumns, name: Literal["inference_us", "lag_ms"], title: str) -> None:
    """Draw the median of each column, and a band up to its highest value."""
    from matplotlib.ticker import LogLocator, NullFormatter

    edges = heard.edges
    middles = (edges[:-1] + edges[1:]) / 2
    median, highest = heard.latencies(name)
    panel.fill_between(middles, median, highest, color="tab:blue", alpha=0.2, linewidth=0, label="up to the highest")
    panel.plot(middles, median, color="tab:blue", linewidth=1, label="median")
    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    panel.yaxis.set_major_formatter("{x:g}")  # 50, not 5 × 10¹
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.set_ylabel(title)
    panel.grid(visible=True, which="major", alpha=0.3)
    panel.legend(loc="upper right", fontsize=8, ncols=2, framealpha=0.9)


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
