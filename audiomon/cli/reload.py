"""``audiomon reload``: have a running listener read its configuration again, and wait for the outcome."""

from pathlib import Path

import click

from audiomon.cli.settings import instance_option
from audiomon.daemon.reload_request import FILE, request_reload
from audiomon.runtime_files import find_runtime


@click.command()
@instance_option
@click.option(
    "--runtime",
    type=click.Path(path_type=Path),
    help="The listener's runtime folder. Otherwise $RUNTIME_DIRECTORY, which systemd sets, else the user's own, "
    "else /run/audiomon.",
)
@click.option("--timeout", "patience_s", type=click.FloatRange(0.1, 600), default=75.0, help="Seconds to wait.")
def reload(instance: str, runtime: Path | None, patience_s: float) -> None:
    """Have the running `audiomon run` apply its configuration now, and say what came of it.

    Exit status 0: it holds, what has changed is printed. 1: it was refused, for the reason given, and the settings from
    before go on. This is what `systemctl reload audiomon` runs.

    \b
    Examples:
      audiomon reload
      sudo audiomon reload -u kitchen
    """
    click.echo(request_reload(find_runtime(runtime, FILE, instance), patience_s))
