"""The clips of a day as a part of its page: each with the events that it is of, and with its sound while there is room.

Sound is inside the page itself, and goes wherever that goes. Nothing here changes what the keeper has.
"""

import base64
import os
from collections.abc import Iterator
from datetime import datetime
from html import escape

from audiomon.clock import date_of
from audiomon.diagnostics.html_page import table
from audiomon.errors import UserError
from audiomon.foreign import shown
from audiomon.outputs.clip_requests import MAX_LISTED, ClipInfo, List, ListedEvent
from audiomon.outputs.keeper_client import KeeperClient

# Of a page that is to be opened in a browser; a day of twenty an hour has half of that.
_MAX_CLIPS = 1000
_MAX_EVENTS = 4 * _MAX_CLIPS
_MAX_LABEL = 40
_MAX_EVENTS_SHOWN = 20
# In place of sound.
_NO_ROOM, _GONE = "not here", "deleted meanwhile"


def day_clips(client: KeeperClient, instance: str, since: datetime, until: datetime, max_bytes: int) -> str:
    """Return HTML with the clips of a listener's events, the newest first.

    Args:
        client: to a keeper.
        instance: name of the listener.
        since: when the first event turned on.
        until: by when the last one has.
        max_bytes: of sound; from the first clip on that is too much, clips are listed without.

    Raises:
        UserError, AudiomonError: the keeper does not answer.
    """
    clips = _clips(client, instance, since, until)
    if not clips:
        return "<p>No clips.</p>"
    rows, left_bytes, sounding = [], max_bytes, True
    for clip, events in clips[:_MAX_CLIPS]:
        sounding = sounding and clip.bytes <= left_bytes
        sound = _sound(client, clip) if sounding else b""
        left_bytes -= len(sound or b"")
        rows.append([*_described(clip, events), _GONE if sound is None else _player(sound) if sound else _NO_ROOM])
    found = table(("when", "events", "length", "reviewed as", "clip", "sound"), rows)
    return _left_out(clips, rows, max_bytes) + found


def _clips(
    client: KeeperClient, instance: str, since: datetime, until: datetime
) -> list[tuple[ClipInfo, list[ListedEvent]]]:
    """Return clips, the newest first, and the events of each, the first one first."""
    found: dict[str, tuple[ClipInfo, list[ListedEvent]]] = {}
    since_ns, until_ns = (round(at.timestamp() * 1e9) for at in (since, until))
    newest = List(only="clips", since_ns=max(0, since_ns), before=(until_ns, 0), limit=MAX_LISTED)
    for event in client.events(newest, _MAX_EVENTS):
        if event.clip is not None and event.instance == instance:
            found.setdefault(event.clip.id, (event.clip, []))[1].insert(0, event)
    return list(found.values())


def _sound(client: KeeperClient, clip: ClipInfo) -> bytes | None:
    """Return a clip's file; None if it has been deleted since it was listed."""
    try:
        _, file = client.fetch(clip.id)
    except UserError:
        return None
    with os.fdopen(file, "rb") as opened:
        return opened.read(clip.bytes)


def _described(clip: ClipInfo, events: list[ListedEvent]) -> Iterator[str]:
    """Yield the cells that say what a clip is, as HTML."""
    yield f"{date_of(clip.began_ns).astimezone():%m-%d %H:%M:%S}"
    yield "<br>".join(_event(event) for event in events[:_MAX_EVENTS_SHOWN])
    yield f"{clip.seconds:.1f} s"
    yield escape(shown(clip.label if clip.review == "label" else clip.review, _MAX_LABEL))
    yield escape(shown(clip.id, _MAX_LABEL))


def _event(event: ListedEvent) -> str:
    when = date_of(event.time_ns).astimezone()
    lasted = "" if event.duration_s is None else f", {event.duration_s:.1f} s"
    return f"{when:%H:%M:%S} {escape(shown(event.label, _MAX_LABEL))} {event.score:.2f}{lasted}"


def _player(sound: bytes) -> str:
    return f'<audio controls preload="none" src="data:audio/flac;base64,{base64.b64encode(sound).decode()}"></audio>'


def _left_out(clips: list[tuple[ClipInfo, list[ListedEvent]]], rows: list[list[str]], max_bytes: int) -> str:
    """Say in HTML what is not there; nothing if all is."""
    silent = sum(row[-1] == _NO_ROOM for row in rows)
    said = []
    if silent:
        said.append(
            f"{silent} of {len(rows)} clips are listed without their sound: the page holds {max_bytes / 1e6:g} MB "
            "of it, the newest first."
        )
    if len(clips) > len(rows):
        said.append(f"The newest {len(rows)} clips are listed; there are more.")
    return f"<p>{' '.join(said)}</p>\n" if said else ""
