"""What the benchmarks of the pipeline show: figures beside what they must reach."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Attributes:
        name: stable word for programs.
        title: what it is, for people.
        interpreter: which runtime it was measured with, or empty.
        measured: the figure; None when it was left out.
        unit: of ``measured`` and ``reach``: ``×`` for ratios, or ``ms``, ``s``, ``MB``.
        reach: what it must reach.
        sense: whether it must be at most or at least that.
        detail: the numbers behind it, or why it was left out.
        facts: the same for programs.
    """

    name: str
    title: str
    interpreter: str
    measured: float | None
    unit: str
    reach: float
    sense: Literal["<=", ">="]
    detail: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def reached(self) -> bool | None:
        """Whether it is what it must be; None when it was left out."""
        if self.measured is None:
            return None
        return self.measured <= self.reach if self.sense == "<=" else self.measured >= self.reach

    def to_json(self) -> dict[str, Any]:
        """Return what ``--json`` writes of it."""
        return {
            "figure": self.name,
            "title": self.title,
            "interpreter": self.interpreter or None,
            "measured": None if self.measured is None else float(f"{self.measured:.6g}"),
            "unit": self.unit,
            "reach": float(f"{self.reach:.6g}"),
            "sense": self.sense,
            "reached": self.reached,
            "detail": self.detail,
            **self.facts,
        }


def table(figures: Sequence[Figure]) -> str:
    """Draw figures as a table for a terminal; details follow each row."""
    rows = [("figure", "measured", "reach", "")]
    for figure in figures:
        title = figure.title + (f", {figure.interpreter}" if figure.interpreter else "")
        verdict = {True: "reached", False: "MISSED", None: "left out"}[figure.reached]
        measured = "-" if figure.measured is None else _quantity(figure.measured, figure.unit)
        rows.append((title, measured, f"{figure.sense} {_quantity(figure.reach, figure.unit)}", verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = []
    for index, (title, measured, reach, verdict) in enumerate(rows):
        lines.append(f"{title:<{widths[0]}}  {measured:>{widths[1]}}  {reach:>{widths[2]}}  {verdict}".rstrip())
        if index:
            lines.append(f"    {figures[index - 1].detail}")
        else:
            lines.append("-" * (sum(widths) + 14))
    return "\n".join(lines)


def _quantity(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.995 else 3
    return f"{value:.{digits}f} {unit}"
