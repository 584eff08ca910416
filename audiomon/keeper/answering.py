"""Answers what a person asks the keeper for. Knows the store, and no socket."""

import os
from collections.abc import Iterator

import msgspec

from audiomon.foreign import shown
from audiomon.keeper.index import MAX_LABELS
from audiomon.keeper.store import Store
from audiomon.outputs.clip_protocol import MAX_LABEL
from audiomon.outputs.clip_requests import (
    MAX_AT_ONCE,
    MAX_LISTED,
    Delete,
    Exported,
    Exports,
    Fetch,
    List,
    Lock,
    Mark,
    Reply,
    Request,
)

_decode = msgspec.json.Decoder(Request).decode


def answered(store: Store, line: bytes) -> tuple[Reply, int | None]:
    """Do what a line asks for.

    Args:
        store: to ask.
        line: of anybody who may connect.

    Returns:
        The answer, and a file to go beside it, which the caller closes.
    """
    try:
        request: Request = _decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        return Reply(error=f"no request: {shown(str(error))}"), None
    clips = getattr(request, "clips", ())
    if len(clips) > MAX_AT_ONCE:
        return Reply(error=f"at most {MAX_AT_ONCE} clips at once"), None
    match request:
        case List():
            return _listed(store, request), None
        case Fetch(clip):
            return _fetched(store, clip)
        case Exports():
            found = store.index.exports(request.after, request.again, MAX_LISTED)
            return Reply(clips=tuple(found), more=len(found) == MAX_LISTED), None
        case Mark() | Lock() | Delete() | Exported():
            return _changed(store, request), None


def _changed(store: Store, request: Mark | Lock | Delete | Exported) -> Reply:
    match request:
        case Mark():
            return _marked(store, request)
        case Lock():
            return Reply(changed=store.index.lock(request.clips, request.locked))
        case Delete():
            return Reply(changed=store.delete(request.clips))
        case Exported():
            return Reply(changed=store.index.exported(request.clips))


def _listed(store: Store, request: List) -> Reply:
    limit = max(1, min(request.limit, MAX_LISTED))
    if len(request.labels) > MAX_LABELS:
        return Reply(error=f"at most {MAX_LABELS} labels at once")
    if any(abs(number) >= 1 << 63 for number in _numbers(request)):
        return Reply(error="a number is too large")
    found = store.index.events(request.labels, request.only, request.since_ns, request.before, limit + 1)
    return Reply(events=tuple(found[:limit]), more=len(found) > limit)


def _numbers(request: List) -> Iterator[int]:
    yield request.since_ns
    yield from request.before or ()


def _fetched(store: Store, clip: str) -> tuple[Reply, int | None]:
    found = store.index.clip(clip)
    if found is None:
        return Reply(error="there is no such clip"), None
    try:
        file = os.open(store.path(found.id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        return Reply(error=f"its file cannot be read: {error.strerror}"), None
    return Reply(clips=(found,)), file


def _marked(store: Store, request: Mark) -> Reply:
    if (request.review == "label") != bool(request.label):
        return Reply(error="another label, and only that, needs a name")
    if request.label and not is_label(request.label):
        return Reply(error="a label is the name of a folder: letters, digits and _ will do, as in dog_bark")
    return Reply(changed=store.index.mark(request.clips, request.review, request.label))


def is_label(label: str) -> bool:
    """Say whether a label can be a folder's name."""
    fits = 0 < len(label) <= MAX_LABEL and label.isprintable() and bool(label.strip())
    return fits and not label.startswith(".") and "/" not in label
