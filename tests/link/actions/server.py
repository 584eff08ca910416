"""A web server that takes down what it is sent, and answers as told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Server:
    """What it has got.

    Attributes:
        url: of it.
        answers: statuses of the next answers; then 200.
        requests: path, headers and JSON of each.
        silent: whether it does not answer at all.
    """

    url: str = ""
    answers: list[int] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    silent: bool = False


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Server]:
    server = Server()

    async def take(request: web.Request) -> web.Response:
        given = {name.lower(): value for name, value in request.headers.items()}
        server.requests.append((request.path_qs, given, await request.json()))
        if server.silent:
            await asyncio.sleep(60)
        status = server.answers.pop(0) if server.answers else 200
        headers = {"Location": "/elsewhere"} if status == 302 else {}
        return web.Response(status=status, text="as\x1b[31m told\n", headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
