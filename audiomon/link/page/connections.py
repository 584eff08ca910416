"""Connections to the page: no more of them than there may be, and none that sits there without asking for anything.

aiohttp bounds what a request may be, and not how long it may take to come, nor how many wait.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

MAX_CONNECTIONS = 64
# From connecting, or from the end of a request, to the end of the next one's head.
REQUEST_S = 10.0
_LOOK_S = 2.0


class Connections:
    """Makes connections for a server, and closes those that idle.

    Args:
        now_s: a monotonic clock, in seconds.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._server: web.Server | None = None
        self._busy: set[RequestHandler] = set()
        # When each was first seen without a request under way.
        self._idle_since_s: dict[RequestHandler, float] = {}

    def serve(self, server: web.Server) -> None:
        """Make them for this server from now on."""
        self._server = server

    def accept(self) -> asyncio.Protocol:
        """Return the protocol for a new connection."""
        if self._server is None or len(self._server.connections) >= MAX_CONNECTIONS:
            return _Refusing()
        return self._server()

    @contextlib.contextmanager
    def busy(self, connection: RequestHandler) -> Iterator[None]:
        """Note that a connection's request is under way, for as long as a ``with`` block lasts."""
        self._busy.add(connection)
        try:
            yield
        finally:
            self._busy.discard(connection)

    async def sweep(self) -> None:
        """Close those that idle, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.close_idle()

    def close_idle(self) -> None:
        """Close those that have been idle for too long."""
        now_s = self._now_s()
        connections = self._server.connections if self._server is not None else ()
        idle = {one: self._idle_since_s.get(one, now_s) for one in connections if one not in self._busy}
        self._idle_since_s = {one: since_s for one, since_s in idle.items() if now_s - since_s < REQUEST_S}
        for one in idle.keys() - self._idle_since_s.keys():
            one.force_close()


class _Refusing(asyncio.Protocol):
    """Closes a connection at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()
