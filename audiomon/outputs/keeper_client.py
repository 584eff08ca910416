"""Asks a running keeper: one connection, one request at a time."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from audiomon.errors import AudiomonError, UserError
from audiomon.foreign import shown
from audiomon.outputs.clip_protocol import exchange
from audiomon.outputs.clip_requests import ClipInfo, Exports, Fetch, List, ListedEvent, Reply, Request

_PATIENCE_S = 60.0
_MAX_REPLY_BYTES = 64 << 20


class KeeperClient:
    """A connection to a keeper; a context manager.

    Args:
        path: of its socket.

    Raises:
        UserError: none answers there, or this user may not ask it.
    """

    def __init__(self, path: Path) -> None:
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._connection.settimeout(_PATIENCE_S)
        try:
            self._connection.connect(os.fspath(path))
        except PermissionError:
            self._connection.close()
            raise UserError("may be used by root and the group audiomon-review only: use sudo", path=path) from None
        except OSError as error:
            self._connection.close()
            reason = "is the keeper installed and running? systemctl status audiomon-keeper"
            raise UserError(f"no keeper answers there ({error.strerror}); {reason}", path=path) from None

    def ask(self, request: Request) -> Reply:
        """Ask for something that has no file.

        Raises:
            UserError: the keeper refuses it.
            AudiomonError: it has gone.
        """
        reply, file = self._ask(request)
        if file is not None:
            os.close(file)
        return reply

    def fetch(self, clip: str) -> tuple[ClipInfo, int]:
        """Return a clip and its file, opened for reading; the caller closes that.

        Raises:
            UserError, AudiomonError: as `ask`; or there is no such clip.
        """
        reply, file = self._ask(Fetch(clip))
        if file is None or not reply.clips:
            raise AudiomonError("the keeper has sent no file")
        return reply.clips[0], file

    def events(self, first: List, limit: int) -> Iterator[ListedEvent]:
        """Yield events, the newest first, page by page.

        Args:
            first: page.
            limit: events at most.
        """
        while limit > 0:
            page = self.ask(msgspec.structs.replace(first, limit=min(limit, first.limit)))
            yield from page.events
            limit -= len(page.events)
            if not page.more or not page.events:
                return
            last = page.events[-1]
            first = msgspec.structs.replace(first, before=(last.time_ns, last.number))

    def exports(self, *, again: bool) -> Iterator[ClipInfo]:
        """Yield reviewed clips that are to be exported."""
        after = ""
        while True:
            page = self.ask(Exports(after, again))
            yield from page.clips
            if not page.more or not page.clips or page.clips[-1].id <= after:
                return
            after = page.clips[-1].id

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, request: Request) -> tuple[Reply, int | None]:
        file: int | None = None
        try:
            line, file = exchange(self._connection, request, max_bytes=_MAX_REPLY_BYTES)
            reply = msgspec.json.decode(line, type=Reply)
            if reply.error:
                raise UserError(reply.error)
        except (OSError, ValueError, msgspec.DecodeError, UserError) as error:
            if file is not None:
                os.close(file)
            if isinstance(error, UserError):
                raise
            raise AudiomonError(f"the keeper does not answer: {shown(str(error))}") from None
        return reply, file
