"""``audiomon feed``: what a running listener hears, as its other programs get it."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from audiomon.cli.settings import instance_option
from audiomon.errors import UserError
from audiomon.foreign import shown
from audiomon.outputs.feed_protocol import (
    KINDS,
    ColumnsLine,
    Dropped,
    EventLine,
    Goodbye,
    Hello,
    LevelLine,
    Line,
    PredictionLine,
    StateLine,
    StatusLine,
    Want,
    decode,
    encode,
    socket_of,
)
from audiomon.outputs.terminal import bar

_LABEL_CELLS = 24
_MAX_MESSAGE = 1000


@click.command()
@click.option(
    "--want",
    "wanted",
    default="event,status,prediction",
    show_default=True,
    metavar="KINDS",
    help=f"What to show: any of {', '.join(KINDS)}, with commas between them.",
)
@click.option("--json", "as_json", is_flag=True, help="The lines as they are: one JSON object each.")
@click.option(
    "--socket", "path", type=click.Path(path_type=Path), help="The feed's socket, if it is not the service's."
)
@instance_option
def feed(wanted: str, as_json: bool, path: Path | None, instance: str) -> None:
    """Show what a running listener sends to programs that follow it, until Ctrl-C or until it stops.

    \b
    Examples:
      sudo audiomon feed
      sudo audiomon feed -u kitchen --want event --json | while read -r line; do …; done
      audiomon run --feed /tmp/feed.sock & audiomon feed --socket /tmp/feed.sock --want event,level
    """
    kinds = [kind.strip() for kind in wanted.split(",") if kind.strip()]
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise click.UsageError(f"there is no kind {shown(unknown[0])} to --want; known: {', '.join(KINDS)}")
    for line in _lines(path or socket_of(instance), kinds):
        text = line.decode(errors="replace").rstrip("\n") if as_json else _text(line)
        if text:
            click.echo(text)
            sys.stdout.flush()


def _lines(path: Path, kinds: list[str]) -> Iterator[bytes]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(path))
            client.sendall(encode(Want(tuple(kinds))) + b"\n")
        except FileNotFoundError:
            raise UserError("there is no such socket; is a listener with a feed running?", path=path) from None
        except PermissionError:
            raise UserError("may be followed by root and the group audiomon-feed only: use sudo", path=path) from None
        except OSError as error:
            raise UserError(f"nobody answers: {error.strerror or error}", path=path) from None
        with client.makefile("rb") as lines:
            try:
                yield from lines
            except OSError as error:
                raise UserError(f"the feed broke off: {error.strerror or error}", path=path) from None


def _text(line: bytes) -> str:
    try:
        message = decode(line)
    except ValueError:
        return ""  # of a kind that a newer listener knows
    return line_in_words(message)


def line_in_words(message: Line) -> str:
    """Write a line for people."""
    match message:
        case Hello():
            on = f", on: {', '.join(map(shown, message.on))}" if message.on else ""
            model = shown(message.model) or "none yet"
            text = f"{shown(message.instance)}: model {model}, {len(message.labels)} labels make events{on}"
        case PredictionLine():
            label = f"{shown(message.label, _LABEL_CELLS):<{_LABEL_CELLS}}"
            text = f"{_time(message.time)}  {label} {message.score:5.2f} {bar(message.score)}"
        case EventLine(state="on"):
            text = f"{_time(message.time)}  ▶ {shown(message.label)} ({message.score:.2f})"
        case EventLine():
            text = f"{_time(message.time)}  ■ {shown(message.label)} ended after {message.duration_s:.1f} s"
        case StatusLine():
            text = f"{_time(message.time)}  {shown(message.message, _MAX_MESSAGE)}"
        case StateLine():
            text = shown(message.state.line, _MAX_MESSAGE)
        case LevelLine():
            text = f"level {message.rms_dbfs:.1f} dBFS, peak {message.peak_dbfs:.1f} dBFS"
        case ColumnsLine():
            text = f"{message.duration_s:.2f} s of spectrogram, {message.bands} bands"
        case Dropped():
            text = f"{message.lines} lines were dropped, since they were not read in time"
        case Goodbye():
            text = f"the listener hangs up: {shown(message.reason)}"
    return text


def _time(time: str) -> str:
    return shown(time[11:19])
