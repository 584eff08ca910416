"""The page, served for real on a port of this machine, with a listener that is made up."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from audiomon.link.page.serving import PagePart
from audiomon.link.page.settings import Page
from audiomon.link.settings import LinkConfig
from audiomon.link.surroundings import Surroundings
from tests.link.heard import Heard, surroundings

TOKEN = "correct horse battery staple"


@dataclass(frozen=True)
class Served:
    """A page that is being served."""

    page: PagePart
    around: Surroundings
    heard: Heard
    url: str

    @property
    def port(self) -> int:
        assert self.page.port is not None
        return self.page.port


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def served(port: int | None = None, **page: Any) -> AsyncIterator[Served]:
    listen = f"127.0.0.1:{port or unused_port()}"
    around = surroundings(LinkConfig(page=Page(listen=listen, **page)))
    part = PagePart(around)
    heard = Heard(around.state)
    task = asyncio.create_task(part.run())
    try:
        async with asyncio.timeout(10):
            while part.port is None and not task.done():
                await asyncio.sleep(0.005)
        if task.done():
            task.result()
        yield Served(part, around, heard, f"http://127.0.0.1:{part.port}")
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
