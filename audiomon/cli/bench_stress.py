"""``audiomon bench stress``: what is lost, and how late predictions come, on a machine busy with other things."""

from pathlib import Path

import click
import msgspec

from audiomon.cli.bench import say
from audiomon.cli.bench_microphone import device_option, hop_option, microphone
from audiomon.cli.settings import model_option
from audiomon.lab.bench.stress import Condition, Endured, endure
from audiomon.models.package import find_package


@click.command()
@model_option
@click.option(
    "--hogs",
    type=click.IntRange(0, 64),
    multiple=True,
    default=(0, 1, 2, 4),
    show_default="0, 1, 2, 4",
    help="Processes beside it that take all the CPU they get; may be given several times.",
)
@click.option(
    "--quota",
    type=click.IntRange(1, 100),
    multiple=True,
    default=(10,),
    show_default="10",
    help="Percent of one CPU that systemd lets it have; may be given several times.",
)
@click.option("--no-quota", is_flag=True, help="Leave that out.")
@click.option("--seconds", type=click.FloatRange(5), default=30, show_default=True, help="How long under each.")
@click.option("--every", "every_s", type=click.FloatRange(1), default=60, show_default=True, help="Seconds per look.")
@hop_option
@device_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each row, with every look at its memory.")
def stress(
    model: str | None,
    hogs: tuple[int, ...],
    quota: tuple[int, ...],
    no_quota: bool,
    seconds: float,
    every_s: float,
    hop_s: float,
    device: str | None,
    as_json: bool,
) -> None:
    """Listen while other processes want the CPU, and while systemd gives little of it; one row for each.

    Lag is from capturing a window's last sample to the line written. Memory is that of the first and of the last look.

    \b
    Examples:
      audiomon bench stress
      audiomon bench stress --hogs 0 --no-quota --seconds 3600 --json
    """
    folder = find_package(model or "home", Path()).resolve()
    conditions = [Condition(hogs=count) for count in hogs]
    conditions += [] if no_quota else [Condition(quota_percent=percent) for percent in quota]
    with microphone(device, folder) as (name, environment):
        rows = endure(
            conditions,
            folder,
            device=name,
            environment=environment,
            seconds=seconds,
            hop_s=hop_s,
            every_s=every_s,
            say=say,
        )
        if not as_json:
            click.echo(_HEADER)
        for row in rows:
            say("")
            click.echo(msgspec.json.encode(row).decode() if as_json else _line(row))


_HEADER = (
    f"{'':<15} {'predictions':>11} {'windows shed':>13} {'samples lost':>13} {'lag 50 %':>9} {'99 %':>9} {'max':>9} "
    f"{'memory MB':>15} {'threads':>8} {'files':>6}"
)


def _line(row: Endured) -> str:
    if row.missing:
        return f"{row.condition!s:<15} {row.missing}"
    first, last = row.samples[0].held, row.samples[-1].held
    lags = " ".join(f"{lag_ms:>6.0f} ms" for lag_ms in row.lag_ms) if row.lag_ms else f"{'none':>9} {'':>9} {'':>9}"
    memory = f"{first.rss_bytes / 1e6:.1f} → {last.rss_bytes / 1e6:.1f}"
    return (
        f"{row.condition!s:<15} {row.predictions:>11} {row.windows_shed:>13} {row.lost:>13} {lags} {memory:>15} "
        f"{last.threads:>8} {last.descriptors:>6}"
    )
