"""``audiomon clips``: what the keeper has, heard again, corrected, and turned into recordings to train on."""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import msgspec

from audiomon.clock import date_of
from audiomon.errors import UserError
from audiomon.foreign import shown
from audiomon.keeper.answering import is_label
from audiomon.keeper.exporting import export_clip, recording_name, target_label, write_file
from audiomon.outputs.clip_requests import (
    KEEPER_SOCKET,
    MAX_AT_ONCE,
    ClipInfo,
    Delete,
    Exported,
    List,
    ListedEvent,
    Lock,
    Mark,
    Only,
    Request,
    Review,
)
from audiomon.outputs.keeper_client import KeeperClient

_VERDICTS: dict[str, Review] = {"right": "right", "wrong": "wrong", "none": ""}
# Clips that are noted as exported at a time: what a Ctrl-C costs is that many looked at once more.
_NOTED_AT_ONCE = 50


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--keeper",
    type=click.Path(path_type=Path, readable=False),  # the keeper itself, which has this command, may not
    default=KEEPER_SOCKET,
    help="Socket of the keeper. Otherwise that of audiomon-keeper.service.",
)
@click.pass_context
def clips(context: click.Context, keeper: Path) -> None:
    """Hear clips of events again, correct them, and train on them.

    The listener hands clips of the events that its configuration names (`clips:`) to the keeper, unless a word may
    be in them. Everything here asks the keeper.

    \b
    Examples:
      sudo audiomon clips list --only unreviewed
      sudo audiomon clips play 20261126-180312-1a2b3c4d
      sudo audiomon clips label wrong 20261126-180312-1a2b3c4d
      sudo audiomon clips export --to recordings
    """
    context.obj = keeper


@clips.command("list")
@click.option("-l", "--label", "labels", multiple=True, help="Only events of this label; may be given several times.")
@click.option(
    "--only",
    type=click.Choice(["all", "clips", "unreviewed", "reviewed", "locked"]),
    default="all",
    help="Events with a clip; with one that nobody has reviewed yet; that was reviewed; that is locked.",
)
@click.option("--hours", type=click.FloatRange(0.01), help="Only events of the last hours.")
@click.option("-n", "--count", type=click.IntRange(1), default=20, show_default=True, help="Events, at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_(keeper: Path, labels: tuple[str, ...], only: Only, hours: float | None, count: int, as_json: bool) -> None:
    """List events, the newest first, with their clips or why there is none.

    \b
    Examples:
      sudo audiomon clips list
      sudo audiomon clips list --label dog_bark --only unreviewed -n 100
    """
    since = datetime.now(UTC) - timedelta(hours=hours) if hours is not None else None
    since_ns = round(since.timestamp() * 1e9) if since is not None else 0
    with KeeperClient(keeper) as client:
        for event in client.events(List(labels, only, since_ns), count):
            click.echo(msgspec.json.encode(event) if as_json else _row(event))


@clips.command()
@click.argument("clip")
@click.option("-o", "--to", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this FLAC file instead.")
@click.pass_obj
def play(keeper: Path, clip: str, to: Path | None) -> None:
    """Play CLIP on this machine's loudspeaker, or write it to a file.

    \b
    Examples:
      sudo audiomon clips play 20261126-180312-1a2b3c4d
      sudo audiomon clips play 20261126-180312-1a2b3c4d --to bark.flac
    """
    with KeeperClient(keeper) as client:
        _, file = client.fetch(clip)
    try:
        if to is not None:
            write_file(file, to)
        else:
            _play(file)
    finally:
        os.close(file)


@clips.command()
@click.argument("what")
@click.argument("clip", nargs=-1, required=True)
@click.pass_obj
def label(keeper: Path, what: str, clip: tuple[str, ...]) -> None:
    """Say what is heard in clips: WHAT is right, wrong, another label, or none to take that back.

    What was labelled is among the last that the keeper deletes, until it is exported.

    \b
    Examples:
      sudo audiomon clips label right 20261126-180312-1a2b3c4d 20261126-190145-5e6f7a8b
      sudo audiomon clips label blender 20261126-180312-1a2b3c4d
    """
    review = _VERDICTS.get(what)
    if review is None and not is_label(what):
        raise UserError(f"{what!r} cannot be a folder's name; letters, digits and _ will do, as in dog_bark")
    _change(
        keeper,
        clip,
        lambda some: Mark(some, "label", what) if review is None else Mark(some, review),
        "labelled",
    )


@clips.command()
@click.argument("clip", nargs=-1, required=True)
@click.option("--undo", is_flag=True, help="Unlock them.")
@click.pass_obj
def lock(keeper: Path, clip: tuple[str, ...], undo: bool) -> None:
    """Keep clips until the very last: locked ones are never deleted for their age, and for room after all others."""
    _change(keeper, clip, lambda some: Lock(some, not undo), "unlocked" if undo else "locked")


@clips.command()
@click.argument("clip", nargs=-1, required=True)
@click.pass_obj
def delete(keeper: Path, clip: tuple[str, ...]) -> None:
    """Delete clips. Their events stay."""
    _change(keeper, clip, Delete, "deleted")


@clips.command()
@click.option(
    "--to", "folder", type=click.Path(path_type=Path, file_okay=False), default="recordings", show_default=True,
    help="Data set: clips go to its folder LABEL.",
)  # fmt: skip
@click.option("--again", is_flag=True, help="Also those that were exported before.")
@click.pass_obj
def export(keeper: Path, folder: Path, again: bool) -> int:
    """Write labelled clips to DATASET/LABEL/, as `audiomon train` reads them; wrong ones to DATASET/background/.

    Each is written once; one that has another label since is moved. Clips of one day and one microphone count as one
    source, which is never on both sides of a split.

    Exit status 0: all were written. 1: some hold two labels, and somebody has to say which one counts.

    \b
    Examples:
      sudo audiomon clips export --to recordings
      audiomon train recordings -o models/mine
    """
    written, ambiguous = 0, 0
    with KeeperClient(keeper) as client:
        noted: list[str] = []
        try:
            for clip in client.exports(again=again):
                target = target_label(clip)
                if target is None:
                    ambiguous += 1
                    click.echo(
                        f"{clip.id}  holds {_labels(clip)}: say which it is: audiomon clips label LABEL {clip.id}"
                    )
                    continue
                _, file = client.fetch(clip.id)
                try:
                    path = export_clip(file, folder, target, recording_name(clip))
                finally:
                    os.close(file)
                noted.append(clip.id)
                written += 1
                click.echo(f"{clip.id}  {shown(path)}")
                if len(noted) >= _NOTED_AT_ONCE:
                    client.ask(Exported(tuple(noted)))
                    noted.clear()
        finally:
            if noted:
                client.ask(Exported(tuple(noted)))
    click.echo(f"{written} clips in {shown(folder)}", err=True)
    return 1 if ambiguous else 0


@clips.command()
@click.option(
    "-c", "--config", "config_path", type=click.Path(path_type=Path),
    help="How much to keep. Otherwise /etc/audiomon/keeper.yaml, else the defaults.",
)  # fmt: skip
@click.option(
    "--to", "folder", type=click.Path(path_type=Path, file_okay=False),
    help="Folder for clips and their index. Otherwise $STATE_DIRECTORY, which systemd sets.",
)  # fmt: skip
@click.option(
    "--from", "places", type=click.Path(path_type=Path), multiple=True, metavar="SOCKET",
    help="Socket of a listener, or a folder of such sockets; may be given again. Otherwise those of the system's.",
)  # fmt: skip
@click.option(
    "--listen", type=click.Path(path_type=Path), metavar="SOCKET",
    help="Answer `audiomon clips` on a socket made for this. Otherwise on the one that systemd passes.",
)  # fmt: skip
def keep(config_path: Path | None, folder: Path | None, places: tuple[Path, ...], listen: Path | None) -> None:
    """Run a keeper, until Ctrl-C: audiomon-keeper.service does.

    \b
    Example, without systemd:
      audiomon run --clips /tmp/a.sock & audiomon clips keep --from /tmp/a.sock --to clips --listen /tmp/k.sock
      audiomon clips --keeper /tmp/k.sock list
    """
    from audiomon.keeper.process import run_keeper
    from audiomon.keeper.settings import KEEPER_CONFIG
    from audiomon.outputs.clip_protocol import CLIPS_FOLDER
    from audiomon.outputs.listening_sockets import make_socket, passed_socket

    if folder is None:
        if not (state := os.environ.get("STATE_DIRECTORY", "").split(":")[0]):
            raise click.UsageError("where to? --to FOLDER")
        folder = Path(state)
    if config_path is None and KEEPER_CONFIG.exists():
        config_path = KEEPER_CONFIG
    listening = passed_socket("keeper") if listen is None else make_socket(listen)
    run_keeper(folder, config_path, places or (CLIPS_FOLDER,), listening)


def _row(event: ListedEvent) -> str:
    when = date_of(event.time_ns).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    lasted = "" if event.duration_s is None else f"{event.duration_s:.1f} s"
    clip = event.clip
    if clip is None:
        what = f"{event.outcome}{f': {shown(event.reason)}' if event.reason else ''}"
    else:
        review = f"is {shown(clip.label)}" if clip.review == "label" else clip.review
        marks = [
            mark for mark in (review, "locked" if clip.locked else "", "exported" if clip.exported else "") if mark
        ]
        what = f"{clip.id}  {clip.seconds:.1f} s{'  ' + ', '.join(marks) if marks else ''}"
    return f"{when}  {shown(event.label, 24):<24} {event.score:.2f} {lasted:>8}  {what}"


def _labels(clip: ClipInfo) -> str:
    return " and ".join(shown(one, 60) for one in clip.labels)


def _change(keeper: Path, clip: Sequence[str], request: Callable[[tuple[str, ...]], Request], done: str) -> None:
    names = list(dict.fromkeys(clip))
    changed = 0
    with KeeperClient(keeper) as client:
        for begin in range(0, len(names), MAX_AT_ONCE):
            changed += client.ask(request(tuple(names[begin : begin + MAX_AT_ONCE]))).changed
    if changed < len(names):
        raise UserError(f"{changed} of {len(names)} clips {done}; there is no clip of the other names")
    click.echo(f"{changed} {'clip' if changed == 1 else 'clips'} {done}")


def _play(file: int) -> None:
    import soundfile

    try:
        with soundfile.SoundFile(os.dup(file)) as decoder:
            samples, rate = decoder.read(dtype="int16"), decoder.samplerate
        import sounddevice

        sounddevice.play(samples, rate)
        sounddevice.wait()
    except (soundfile.SoundFileError, OSError) as error:
        raise UserError(f"cannot be played: {error}") from None
    except Exception as error:
        # PortAudio's own, which cannot be named before it is imported, and that may fail as well.
        if type(error).__name__ != "PortAudioError":
            raise
        reason = error.args[0] if error.args else error
        raise UserError(f"there is nothing to play it on: {reason}; --to FILE writes it to a file") from None
