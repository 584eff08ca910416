"""``audiomon link``: what is heard, told to the network."""

import asyncio
from pathlib import Path

import click

from audiomon.errors import UserError
from audiomon.extras import install_extra


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def link() -> None:
    """Tell the network what is heard: MQTT and Home Assistant.

    A process of its own, without a microphone. It follows the feeds of all listeners on this machine.

    \b
    Examples:
      audiomon link run
      audiomon link run --config link.yaml --feed /tmp/feed.sock
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
        raise UserError(f"{error.name} is not installed: {install_extra('link')}") from None
    asyncio.run(LinkProcess(config_path, feeds or (FEED_FOLDER,), Reports()).run())


@link.command()
@click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="Whose actions. Otherwise /etc/audiomon/link.yaml.",
)
def test(config_path: Path | None) -> int:
    """Do every action once, with an event that is made up, and show what came back.

    Labels, scores, cooldowns, quiet hours and the switch that pauses actions do not matter here.

    Exit status 0: all were done. 1: some were not.

    \b
    Examples:
      sudo audiomon link test
      audiomon link test --config link.yaml
    """
    from audiomon.credentials import stored_credential
    from audiomon.link.settings import LINK_CONFIG, load_link_config

    path = config_path or LINK_CONFIG
    config = load_link_config(path)
    if not config.actions:
        raise UserError("has no actions to try", path=path, key="actions")
    try:
        from audiomon.link.actions.trying import try_all
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed: pip install 'audiomon[link]'") from None
    tried = asyncio.run(try_all(config, stored_credential))
    for one in tried:
        click.echo(f"{one.rule:<12}{'done' if one.result.done else 'FAILED':<8}{one.result.said}")
    return 0 if all(one.result.done for one in tried) else 1
