"""``audiomon bench swap``: from saving another model's name to its first prediction."""

from pathlib import Path

import click
import msgspec

from audiomon.cli.bench import say
from audiomon.cli.bench_microphone import device_option, hop_option, microphone
from audiomon.cli.settings import model_option
from audiomon.lab.bench.swap import SwapFigures, measure_swaps
from audiomon.models.package import find_package


@click.command()
@model_option
@click.option("--other", metavar="MODEL", help="Swap with this one; otherwise with a copy under another name.")
@click.option("--count", type=click.IntRange(1), default=100, show_default=True, help="How many swaps.")
@hop_option
@device_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object with every swap instead of a table.")
def swap(model: str | None, other: str | None, count: int, hop_s: float, device: str | None, as_json: bool) -> None:
    """Measure how long a saved line takes to become another model's prediction, and what is lost meanwhile.

    \b
    Examples:
      audiomon bench swap
      audiomon bench swap --other esc10 --count 20 --device usb
    """
    folder = find_package(model or "home", Path()).resolve()
    other_folder = find_package(other, Path()).resolve() if other else None
    with microphone(device, folder) as (name, environment):
        figures = measure_swaps(
            folder, other_folder, count=count, hop_s=hop_s, device=name, environment=environment, say=say
        )
    say("")
    click.echo(msgspec.json.encode(figures).decode() if as_json else "\n".join(_table(figures)))


def _table(figures: SwapFigures) -> list[str]:
    rows = (
        ("to_prediction_s", "saved to first prediction"),
        ("checked_s", "  of that: read and check"),
        ("loaded_s", "  of that: load and warm"),
    )
    lines = [f"{f'{len(figures.swaps)} swaps, seconds':<28}  {'50 %':>7}  {'95 %':>7}  {'max':>7}"]
    for name, title in rows:
        p50, p95, highest = figures.percentiles(name)
        lines.append(f"{title:<28}  {p50:>7.3f}  {p95:>7.3f}  {highest:>7.3f}")
    lost = sum(swap.lost for swap in figures.swaps)
    lines.append(f"samples lost: {lost} by swaps, {figures.lost} in all, over {figures.predictions} predictions")
    if figures.uneven is not None:
        even = "every prediction one hop after the one before"
        lines.append(even if not figures.uneven else f"{figures.uneven} predictions not one hop after the one before")
    return lines
