"""``audiomon link``: what is heard, told to the network."""

import asyncio
from pathlib import Path

import click

from audiomon.errors import UserError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def link() -> None:
    """Tell the network what is heard: MQTT and Home Assistant.

    A process of its own, without a microphone. It follows the feeds of all listeners on this machine.
    """


@link.command()
@click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="What to tell whom. Otherwise /etc/audiomon/link.yaml, else nobody is told anything.",
)
@click.option(
    "--feed",
    "feeds",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="SOCKET",
    help="Follow this listener's feed, or all in this folder; may be given again. Otherwise those of the system's.",
)
def run(config_path: Path | None, feeds: tuple[Path, ...]) -> None:
    """Follow what is heard and pass it on, until Ctrl-C.

    \b
    Examples:
      audiomon link run
      audiomon run --feed /tmp/feed.sock & audiomon link run --config link.yaml --feed /tmp/feed.sock
    """
    from audiomon.link.reports import Reports
    from audiomon.link.settings import LINK_CONFIG
    from audiomon.outputs.feed_protocol import FEED_FOLDER

    if config_path is None and LINK_CONFIG.exists():
        config_path = LINK_CONFIG
    try:
        from audiomon.link.process import LinkProcess
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed: pip install 'audiomon[link]'") from None
    asyncio.run(LinkProcess(config_path, feeds or (FEED_FOLDER,), Reports()).run())
