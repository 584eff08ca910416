"""What browsers, scrapers and strangers send to the page: a real server and real sockets, in one process."""

import asyncio
import logging
import os
import re
import socket
import time
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from audiomon.link.page.access import Names, Token
from audiomon.link.page.app import Application
from audiomon.link.page.connections import Connections
from audiomon.link.page.serving import PagePart
from audiomon.link.page.settings import Page
from audiomon.link.page.watchers import Watchers
from audiomon.link.settings import LinkConfig
from tests.link.heard import Heard, surroundings

SECRET = "correct horse battery staple"
# Rounds of the event loop that an answer may take; reading a body that never comes takes none.
_ROUNDS = 30

_COOKIE = Token(SECRET).cookie().encode()
_HOST = b"Host: localhost:8117\r\n"
SEEDS = (
    b"GET / HTTP/1.1\r\n" + _HOST + b"Cookie: audiomon-page=" + _COOKIE + b"\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\n" + _HOST + b"Authorization: Bearer " + SECRET.encode() + b"\r\nAccept: a/b\r\n\r\n",
    b"GET /stream HTTP/1.1\r\n" + _HOST + b"Cookie: audiomon-page=" + _COOKIE + b"\r\n\r\n",
    b"GET /login HTTP/1.1\r\n" + _HOST + b"\r\nGET /page.css HTTP/1.1\r\n" + _HOST + b"\r\n",
    b"POST /login HTTP/1.1\r\n" + _HOST + b"Origin: http://localhost:8117\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 11\r\n\r\ntoken=wrong",
    b"POST /actions HTTP/1.1\r\n" + _HOST + b"Cookie: audiomon-page=" + _COOKIE + b"\r\n"
    b'Content-Type: application/json\r\nContent-Length: 16\r\n\r\n{"paused": true}',
    b"POST /actions HTTP/1.1\r\n" + _HOST + b"Cookie: audiomon-page=" + _COOKIE + b"\r\n"
    b'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"paused\r\n9\r\n": false}\r\n0\r\n\r\n',
)  # fmt: skip
TOKENS = (
    b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b"HTTP/1.0", b"HTTP/2.0", b"HEAD", b"OPTIONS", b"CONNECT", b"*",
    b"http://localhost/", b"//evil.example/", b"/%00", b"/%ff", b"/../../etc/passwd", b"/%2e%2e/", b"?" + b"a" * 9000,
    b"Host: evil.example\r\n", b"Host: [::1\r\n", b"Content-Length: -1\r\n", b"Content-Length: 9999999999999999999\r\n",
    b"Content-Length: 5\r\nContent-Length: 6\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n",
    b"Cookie: " + b"a=b; " * 500, b"Cookie: audiomon-page=9.9\r\n", b"Authorization: Bearer \xff\r\n",
    b"X: " + b"y" * 9000, b"Authorization: Basic Og==\r\n", b"Origin: http://[\r\n", b"Origin: null\r\n",
    b"X-Forwarded-For: \xe2\x80\xae\r\n",
    b"Content-Type: multipart/form-data; boundary=x\r\n", b"Content-Encoding: gzip\r\n", b"Content-Encoding: br\r\n",
    b"Content-Type: application/json; charset=utf-7\r\n", b"Range: bytes=0-\r\n", b"Accept: " + b"a/b;q=x," * 200,
    b"token=" + b"%00" * 100, b"\xff\xfe", b"ffffffffffffffff\r\n", b"X-Y: 1\r\n" * 200,
)  # fmt: skip


class Requests:
    """A page that takes requests, in a process of its own."""

    def __init__(self) -> None:
        self._process = 0

    def read(self, data: bytes, _number: int) -> str:
        """Send what may be a request, and judge the answer."""
        if self._process != os.getpid():
            self._begin()
        self._loop.run_until_complete(asyncio.wait_for(self._send(data), 30))
        if self._wrong:
            wrong = str(self._wrong)[:2000]
            self._wrong.clear()
            raise AssertionError(f"not taken well: {wrong}")
        return self._answered

    def _begin(self) -> None:
        """An event loop does not survive a fork: each process has its own."""
        self._process = os.getpid()
        self._wrong: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda _loop, context: self._wrong.append(str(context)))
        self._loop.run_until_complete(self._start())

    async def _start(self) -> None:
        around = surroundings(LinkConfig(page=Page()))
        heard = Heard(around.state)
        heard.hello()
        heard.event("dog_bark")
        logger = logging.Logger("page")
        logger.addHandler(_Noting(self._wrong))
        self._connections = Connections()
        application = Application(
            Names(),
            Token(SECRET, time.time),
            PagePart(around),
            Watchers(),
            around.actions,
            busy=self._connections.busy,
            watching=lambda: None,
            failed=lambda error: self._wrong.append(repr(error)),
        )
        runner = web.AppRunner(
            application.make(), handle_signals=False, access_log=None, logger=logger, handler_cancellation=True
        )
        await runner.setup()
        assert runner.server is not None
        self._server = runner.server
        self._connections.serve(runner.server)

    async def _send(self, data: bytes) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours:
            transport, _ = await self._loop.connect_accepted_socket(self._connections.accept, theirs)
            answer = b""
            await self._loop.sock_sendall(ours, data)
            for _ in range(_ROUNDS):
                await asyncio.sleep(0)
                try:
                    answer += ours.recv(1 << 20)
                except BlockingIOError:
                    continue
                except ConnectionError:
                    break
        transport.abort()
        while self._server.connections:
            await asyncio.sleep(0)
        self._judge(answer)

    def _judge(self, answer: bytes) -> None:
        if answer and not re.match(rb"HTTP/\d\.\d \d{3} ", answer):
            self._wrong.append(f"not an answer: {answer[:100]!r}")
        status = answer[9:12]
        if status == b"500" or b"Traceback" in answer:
            self._wrong.append(f"failed: {answer[:500]!r}")
        self._answered = "taken" if status in (b"200", b"204", b"303") else "refused"


class _Noting(logging.Handler):
    """Notes what aiohttp finds wrong with itself."""

    def __init__(self, notes: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._notes = notes

    def emit(self, record: logging.LogRecord) -> None:
        error: Any = record.exc_info[1] if record.exc_info else None
        # What is malformed it answers with 400, and calls that an error.
        if not isinstance(error, HttpProcessingError | web.RequestPayloadError):
            self._notes.append(f"{record.getMessage()}: {error!r}")
