"""``audiomon status``: the state of the running listener, read from a small file that it keeps: no port, no socket."""

import time
from pathlib import Path

import click
import msgspec

from audiomon.cli.duration import duration_in_words
from audiomon.cli.settings import instance_option
from audiomon.daemon.health import Health
from audiomon.errors import AudiomonError, UserError
from audiomon.foreign import shown
from audiomon.keeper.status import read_keeper_status
from audiomon.link.status import read_link_status
from audiomon.outputs.snapshot import FILE, WRITE_S, Snapshot
from audiomon.pipeline.losses import Losses
from audiomon.runtime_files import find_runtime, read_runtime, wrote

# The daemon writes every few seconds; one that has not for this long hangs, or is gone.
_STALE_S = 4 * WRITE_S
_MAX_COMPANION = 1000


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@instance_option
@click.option(
    "--runtime",
    type=click.Path(path_type=Path),
    help="The listener's runtime folder. Otherwise $RUNTIME_DIRECTORY, which systemd sets, else the user's own, "
    "else /run/audiomon.",
)
def status(as_json: bool, instance: str, runtime: Path | None) -> int:
    """Show the state of the running listener: what it hears, with what, how fast, and what was lost.

    Exit status 0: it listens. 1: it runs, and hears nothing, or what it hears cannot be sound. 2: none is running.

    \b
    Examples:
      sudo audiomon status
      sudo audiomon status -u kitchen --json
    """
    folder = find_runtime(runtime, FILE, instance)
    found = read_runtime(folder, FILE, Snapshot)
    silent_s = time.monotonic() - found.at_s
    # A reboot starts the monotonic clock over.
    if not wrote(folder, FILE, found.pid) or silent_s < 0:
        raise UserError(f"audiomon has ended: process {found.pid} is gone and left {folder / FILE} behind")
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        click.echo("\n".join(f"{name:<12}{text}" for name, text in _rows(found) if text))
        if (link := _link()) is not None:
            click.echo(f"{'link':<12}{link}")
        if (keeper := _keeper()) is not None:
            click.echo(f"{'keeper':<12}{keeper}")
    if silent_s > _STALE_S:
        raise AudiomonError(f"this is {silent_s:.0f} s old: process {found.pid} does not move any more")
    return 0 if found.health == Health.LISTENING else 1


def _link() -> str | None:
    """Return how the link stands, in one line; None where there is none."""
    try:
        status = read_link_status()
    except UserError as error:
        return str(error)
    return None if status is None else shown(status.line, _MAX_COMPANION)


def _keeper() -> str | None:
    """Return how the keeper stands, in one line; None where there is none."""
    try:
        status = read_keeper_status()
    except UserError as error:
        return str(error)
    return None if status is None else shown(status.line, _MAX_COMPANION)


def _rows(found: Snapshot) -> list[tuple[str, str]]:
    captured = found.classified + found.shed + found.lost + found.left_over
    losses = Losses(found.lost, found.away, found.reopened, found.undelivered)
    there_was = captured + losses.all - losses.lost
    shares = f" ({found.classified / there_was:.2%} of all samples heard)" if there_was else ""
    shed = f", {found.windows_shed} windows shed ({found.shed} samples)" if found.windows_shed else ""
    level = "" if found.peak_dbfs is None else f", peak {found.peak_dbfs:.0f} dBFS"
    entries = f"{found.entries_waiting} waiting, {found.entries_lost} lost"
    return [
        (
            "health",
            f"{found.health} for {duration_in_words(found.health_s)}" + (f": {found.reason}" if found.reason else ""),
        ),
        ("microphone", f"{found.microphone}{level}" if found.microphone else "none"),
        ("model", f"{found.model} {found.model_sha256[:8]} ({found.config})" if found.model else "none yet"),
        ("refused", found.refused),
        ("hears", f"{found.label} {found.score:.2f}, {found.per_s:.1f} predictions/s" if found.label else ""),
        ("latency", f"{found.inference_us:.0f} µs a call, lag {found.lag_ms:.0f} ms (99 %: {found.lag_ms_p99:.0f} ms)"),
        ("gate", f"{found.gated} windows below it, for which the model was not run" if found.gated else ""),
        ("unheard", f"{losses.words}{shed}{shares}"),
        ("clips", found.clips.line if found.clips is not None and (found.clips.keeper or found.clips.offered) else ""),
        ("journal", entries if found.entries_waiting or found.entries_lost else ""),
        ("failures", f"{found.stage_failures}, with the stage restarted each time" if found.stage_failures else ""),
        ("running", f"{duration_in_words(found.up_s)}, {found.predictions} predictions, version {found.version}"),
    ]
