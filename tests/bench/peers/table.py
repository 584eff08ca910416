"""The outcome of the contests as tables and as plain data."""

import statistics
from collections.abc import Sequence
from typing import Any

from audiomon.lab.bench.pipeline.figures import Figure
from audiomon.lab.bench.pipeline.figures import table as figures_table
from tests.bench.peers.contest import LeftOut, Result, Row

_HEADINGS = ("", "CPU ms per s", "÷ audiomon", "RSS MB", "start s", "windows/s")


def table(results: Sequence[Result], left_out: Sequence[LeftOut]) -> str:
    """Draw what was measured, then what of it audiomon must reach, then what is missing."""
    cells = [_HEADINGS, *(_cells(row, result.rows[0]) for result in results for row in result.rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADINGS))]
    lines = [_line(_HEADINGS, widths)]
    for result in results:
        lines += ["", result.contest.title, *(_line(_cells(row, result.rows[0]), widths) for row in result.rows)]
    lines += ["", "CPU: of all threads, per second of sound, without capture. Start: to the first answer.", ""]
    lines.append(figures_table(figures(results)))
    lines += [f"left out: {one.name}: {one.reason}" for one in left_out]
    return "\n".join(lines)


def figures(results: Sequence[Result]) -> list[Figure]:
    """Return what audiomon must reach, beside what it measured."""
    return [
        Figure(
            name=f"peer-{result.contest.name}",
            title=f"CPU, audiomon / {row.title}",
            interpreter="",
            measured=row.ratio(result.rows[0]),
            unit="×",
            reach=row.contender.reach,
            sense="<=",
            detail=f"{result.contest.title}: {result.rows[0].cpu:.3f} and {row.cpu:.3f} ms per second of sound; "
            f"median of {len(row.cpu_ms_per_s)} turns",
        )
        for result in results
        for row in result.rows
        if row.contender.reach is not None
    ]


def document(results: Sequence[Result], left_out: Sequence[LeftOut]) -> dict[str, Any]:
    """Return the same for programs: plain data."""
    return {
        "contests": [
            {
                "contest": result.contest.name,
                "title": result.contest.title,
                "contenders": [_facts(row, result.rows[0]) for row in result.rows],
            }
            for result in results
        ],
        "figures": [figure.to_json() for figure in figures(results)],
        "left_out": [{"name": one.name, "reason": one.reason} for one in left_out],
    }


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    numbers = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "  ".join([cells[0].ljust(widths[0]), *numbers]).rstrip()


def _cells(row: Row, ours: Row) -> tuple[str, ...]:
    return (
        f"  {row.title}",
        f"{row.cpu:.2f}",
        f"{1 / row.ratio(ours):.3g}",
        f"{statistics.median(row.peak_rss_mb):.0f}",
        f"{statistics.median(row.start_s):.2f}",
        f"{statistics.median(row.windows_per_s):,.0f}",
    )


def _facts(row: Row, ours: Row) -> dict[str, Any]:
    return {
        "name": row.contender.name,
        "versions": dict(row.versions),
        "cpu_ms_per_s": round(row.cpu, 4),
        "ratio": float(f"{1 / row.ratio(ours):.4g}"),
        "peak_rss_mb": round(statistics.median(row.peak_rss_mb), 2),
        "start_s": round(statistics.median(row.start_s), 4),
        "windows_per_s": round(statistics.median(row.windows_per_s), 2),
    }
