"""Clips on the page: lists them, plays them, and passes on what people say of them. All of it is the keeper's.

Only where there is a token. The link keeps nothing: sound comes as an open file from the keeper, and goes to who asked.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from aiohttp import web

from audiomon.errors import AudiomonError
from audiomon.outputs.clip_protocol import MAX_CLIP_BYTES
from audiomon.outputs.clip_requests import Delete, List, Lock, Mark, Reply, Request
from audiomon.outputs.keeper_client import KeeperClient

# The keeper answers one after the other anyway.
_MAX_ASKING = 2
_BODY_S = 10.0
_PAGE = 100

_Answer = TypeVar("_Answer")
_change = msgspec.json.Decoder(Mark | Lock | Delete).decode


class ClipPages:
    """What the page asks the keeper for.

    Args:
        keeper: its socket.
    """

    def __init__(self, keeper: Path) -> None:
        self._keeper = keeper
        self._asking = asyncio.Semaphore(_MAX_ASKING)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Answer for these paths."""
        router.add_get("/clips/list", self._list)
        router.add_get("/clips/sound/{clip}", self._sound)
        router.add_post("/clips/change", self._changed)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        asked = request.query
        before = None
        try:
            if "time_ns" in asked:
                before = (int(asked["time_ns"][:20]), int(asked["number"][:20]))
            wanted = msgspec.convert(
                {
                    "do": "list",
                    "labels": asked.getall("label", []),
                    "only": asked.get("only", "all"),
                    "before": before,
                    "limit": _PAGE,
                },
                List,
            )
        except (KeyError, ValueError, msgspec.ValidationError):
            return _refused("not a list that there is")
        return await self._answered(lambda client: client.ask(wanted))

    async def _changed(self, request: web.Request) -> web.StreamResponse:
        if request.content_type != "application/json":
            return web.Response(status=415, text="JSON is needed\n")
        async with asyncio.timeout(_BODY_S):
            body = await request.read()
        try:
            change: Request = _change(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _refused("not a change that there is")
        return await self._answered(lambda client: client.ask(change))

    async def _sound(self, request: web.Request) -> web.StreamResponse:
        clip = request.match_info["clip"]
        try:
            sound = await self._ask(lambda client: _read(client, clip))
        except AudiomonError as error:
            return _refused(error.reason, 404)
        return web.Response(body=sound, content_type="audio/flac", headers={"Cache-Control": "no-store"})

    async def _answered(self, ask: Callable[[KeeperClient], Reply]) -> web.StreamResponse:
        try:
            reply = await self._ask(ask)
        except AudiomonError as error:
            return _refused(error.reason, 409)
        body = msgspec.json.encode(reply)
        return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-store"})

    async def _ask(self, ask: Callable[[KeeperClient], _Answer]) -> _Answer:
        """Ask the keeper, in a thread: it may wait for its disk."""

        def asked() -> _Answer:
            with KeeperClient(self._keeper) as client:
                return ask(client)

        async with self._asking:
            return await asyncio.to_thread(asked)


def _read(client: KeeperClient, clip: str) -> bytes:
    _, file = client.fetch(clip)
    try:
        return os.pread(file, MAX_CLIP_BYTES, 0)
    finally:
        os.close(file)


def _refused(reason: str, status: int = 400) -> web.Response:
    return web.Response(status=status, text=f"{reason}\n", headers={"Cache-Control": "no-store"})
