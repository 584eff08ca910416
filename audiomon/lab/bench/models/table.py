"""The figures of ``audiomon bench models`` as a table and as plain data."""

import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from audiomon.lab.bench.models.measure import Absent, Timing

_HEADINGS = ("call", "mean µs", "median", "p99", "÷ predict", "RSS MB", "start s")


def table(results: Sequence[Timing | Absent], missing: Sequence[str]) -> str:
    """Write the results as a table.

    Args:
        results: in the order in which they ran.
        missing: how to get the engines that are not here.
    """
    timings = [result for result in results if isinstance(result, Timing)]
    predict = predict_mean_us(timings)
    rows = [_HEADINGS]
    for timing in timings:
        ratio = f"{predict / timing.mean_us:,.1f}" if predict else "-"
        rows.append(
            (
                timing.call.title,
                f"{timing.mean_us:,.0f}",
                f"{timing.median_us:,.0f}",
                f"{timing.p99_us:,.0f}",
                ratio,
                f"{timing.rss_mb:.0f}",
                f"{timing.import_s + timing.load_s:.2f}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    versions = {timing.call.engine: timing.version for timing in timings}
    lines.append("")
    lines.append("; ".join(f"{engine} {version}" for engine, version in versions.items()))
    lines += [f"left out: {result.call.title}: {result.reason}" for result in results if isinstance(result, Absent)]
    lines += [f"missing: {how}" for how in missing]
    return "\n".join(lines)


def document(results: Sequence[Timing | Absent], missing: Sequence[str], network: str, runs: int) -> dict[str, Any]:
    """Return the results for programs: plain data, times in microseconds."""
    timings = [result for result in results if isinstance(result, Timing)]
    predict = predict_mean_us(timings)
    return {
        "network": network,
        "runs": runs,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "timings": [
            {
                "title": timing.call.title,
                **asdict(timing),
                "predict_ratio": predict / timing.mean_us if predict else None,
            }
            for timing in timings
        ],
        "left_out": [
            {"title": result.call.title, "reason": result.reason} for result in results if isinstance(result, Absent)
        ],
        "missing": list(missing),
    }


def predict_mean_us(timings: Sequence[Timing]) -> float | None:
    """Return the mean of ``model.predict(x)``, which ratios refer to; None where it did not run."""
    return next((one.mean_us for one in timings if one.call.engine == "keras" and one.call.way == "predict"), None)
