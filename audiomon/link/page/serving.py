"""The page as a part of the link: takes in what listeners send, and serves it while the settings stay as they are."""

import asyncio
import contextlib
import errno
import logging
import time
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from audiomon.credentials import credential
from audiomon.errors import UserError
from audiomon.link.metrics import Metrics
from audiomon.link.page import messages
from audiomon.link.page.access import Names, Token
from audiomon.link.page.app import Application
from audiomon.link.page.clips import ClipPages
from audiomon.link.page.connections import Connections
from audiomon.link.page.day import Day
from audiomon.link.page.settings import address_of, is_loopback
from audiomon.link.page.watchers import Watchers
from audiomon.link.state import Listener, Lost, Message
from audiomon.link.surroundings import Surroundings
from audiomon.outputs.clip_requests import KEEPER_SOCKET
from audiomon.outputs.feed_protocol import (
    ColumnsLine,
    EventLine,
    Goodbye,
    Hello,
    Kind,
    LevelLine,
    PredictionLine,
    StateLine,
)

TOKEN = "page-token"
# While the address is taken, or not this machine's yet.
_RETRY_S = 5.0

# What is wanted while nobody watches, and what is besides while somebody does.
_ALWAYS: tuple[Kind, ...] = ("event",)
_WATCHED: tuple[Kind, ...] = ("event", "state", "prediction", "level")


class PagePart:
    """Serves the page and the metrics.

    Args:
        surroundings: what the link's parts work with.

    Attributes:
        port: that it listens on; None while it does not.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self.port: int | None = None
        self._settings = surroundings.config.page
        self._state = surroundings.state
        self._ledger = surroundings.ledger
        self._actions = surroundings.actions
        self._reports = surroundings.reports
        self._watchers = Watchers()
        self._shows_clips = False
        self._metrics = Metrics(self._state, self._ledger, self._actions, self._watchers)
        self._days: dict[str, Day] = {}

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            token = self._token()
        except UserError as error:
            self._reports.report("link-page-refused", f"No page: {error}", "error", reason=str(error))
            return
        with (
            self._state.subscribed("page", self._hear, _ALWAYS) as self._subscription,
            self._state.subscribed("metrics", self._metrics.hear, self._metrics.kinds),
            self._ledger.watched(self._show_actions),
            self._actions.watched(self._show_actions),
        ):
            for listener in self._state.listeners.values():
                self._greet(listener)
            await self._serve(token)

    def whole(self) -> Any:
        """See `audiomon.link.page.app.Shown`."""
        listeners = sorted(self._state.listeners.values(), key=lambda listener: listener.name)
        return {
            "type": "whole",
            "now_s": time.time(),
            "clips": self._shows_clips,
            "link": messages.link_fields(self._state),
            "actions": messages.actions_fields(self._ledger, self._actions),
            "listeners": [self._listener_fields(listener) for listener in listeners],
            "days": [messages.day_fields(listener.name, self._day(listener)) for listener in listeners],
        }

    def metrics(self, accepted: str) -> tuple[bytes, str]:
        """See `audiomon.link.page.app.Shown`."""
        return self._metrics.exposition(accepted)

    def _token(self) -> Token | None:
        text = credential(TOKEN)
        if text is None and not is_loopback(self._settings.listen):
            raise UserError(
                f"on {self._settings.listen} it needs a token: /etc/credstore/audiomon.{TOKEN} is read at the start",
                key="page.listen",
            )
        return None if text is None else Token(text)

    async def _serve(self, token: Token | None) -> None:
        connections = Connections()
        application = Application(
            Names(self._settings.names),
            token,
            self,
            self._watchers,
            self._actions,
            busy=connections.busy,
            watching=self._want,
            failed=lambda error: self._reports.failure("page", error),
            clips=self._clips(token),
        )
        # What aiohttp has to say of malformed requests is nobody's concern here.
        logger = logging.Logger("audiomon.link.page", logging.CRITICAL + 1)
        runner = web.AppRunner(
            application.make(),
            handle_signals=False,
            access_log=None,
            handler_cancellation=True,  # a page that is closed makes room for another at once
            logger=logger,
            shutdown_timeout=1.0,
            keepalive_timeout=15.0,
            lingering_time=2.0,
        )
        await runner.setup()
        assert runner.server is not None
        connections.serve(runner.server)
        try:
            server = await self._listening(connections)
            async with server:
                self.port = server.sockets[0].getsockname()[1]
                await connections.sweep()
        finally:
            self.port = None
            self._watchers.close()
            await runner.cleanup()

    def _clips(self, token: Token | None) -> ClipPages | None:
        self._shows_clips = self._settings.clips and token is not None
        if self._settings.clips and token is None:
            reason = f"page.clips needs a token: /etc/credstore/audiomon.{TOKEN} is read at the start"
            self._reports.report("link-page-refused", f"No clips on the page: {reason}", "error", reason=reason)
        return ClipPages(KEEPER_SOCKET) if self._shows_clips else None

    async def _listening(self, connections: Connections) -> asyncio.Server:
        """Listen, as soon as that is possible."""
        host, port = address_of(self._settings.listen)
        said = False
        while True:
            try:
                server = await asyncio.get_running_loop().create_server(connections.accept, host, port)
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
                    raise
                if not said:
                    said = True
                    reason = f"{self._settings.listen}: {error.strerror}"
                    self._reports.report(
                        "link-page-refused", f"No page yet: {reason}; retrying", "error", reason=reason
                    )
            else:
                if said:
                    self._reports.report("link-page-up", f"The page is at http://{self._settings.listen}/ after all")
                return server
            await asyncio.sleep(_RETRY_S)

    def _want(self) -> None:
        """Want no more of the listeners than somebody looks at."""
        kinds: Iterable[Kind] = _WATCHED if len(self._watchers) else _ALWAYS
        if len(self._watchers) and self._settings.spectrogram:
            kinds = (*kinds, "columns")
        if frozenset(kinds) != self._subscription.kinds:
            self._subscription.kinds = frozenset(kinds)

    def _hear(self, listener: Listener, message: Message) -> None:
        match message:
            case EventLine():
                day = self._day(listener)
                occurrence = day.take(message)
                self._watchers.send(messages.occurrence_fields(listener.name, occurrence, day))
                self._watchers.send(self._listener_fields(listener))
            case PredictionLine():
                self._watchers.send(messages.prediction_fields(listener, message))
            case LevelLine():
                self._watchers.send(messages.level_fields(listener.name, message))
            case ColumnsLine():
                self._watchers.send(messages.columns_fields(listener.name, message))
            case Hello() | Lost():
                self._greet(listener)
                self._watchers.send(self._listener_fields(listener))
                self._watchers.send(messages.day_fields(listener.name, self._day(listener)))
            case StateLine() | Goodbye():
                self._watchers.send(self._listener_fields(listener))
                self._watchers.send(messages.link_fields(self._state))
            case _:
                pass

    def _show_actions(self) -> None:
        self._watchers.send(messages.actions_fields(self._ledger, self._actions))

    def _greet(self, listener: Listener) -> None:
        with contextlib.suppress(OverflowError):
            self._day(listener).reconcile(listener.on)

    def _day(self, listener: Listener) -> Day:
        return self._days.setdefault(listener.name, Day(time.time))

    def _listener_fields(self, listener: Listener) -> messages.Fields:
        return messages.listener_fields(listener, spectrogram=self._settings.spectrogram)
