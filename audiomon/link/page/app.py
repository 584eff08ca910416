"""The page's web application: who may ask for what, and what they get. Bounded in everything a stranger can send."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from audiomon.link.page.access import COOKIE, COOKIE_S, Guesses, Names, Token
from audiomon.link.page.clips import ClipPages
from audiomon.link.page.watchers import Watcher, Watchers
from audiomon.link.toggle import Toggle

MAX_BODY_BYTES = 4096
BODY_S = 10.0
# A proxy takes a connection on which nothing comes for dead.
HEARTBEAT_S = 15.0
# A watcher that takes nothing for this long is gone.
WRITE_S = 30.0

# Only what this server itself sends, and no markup made from text, whatever a script is tricked into.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: a browser's form would then name no origin, and could not be told from a stranger's.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Server": "audiomon",
}
_STATIC = Path(__file__).with_name("static")
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# What the login form needs, and holds nothing of what is heard.
_OPEN = ("/login", "/page.css", "/icon.svg")
_PROBLEM_PLACE = b"<!-- problem -->"
_PROBLEMS = {
    401: b"That is not the token.",
    429: b"Too many wrong tokens. Wait a minute, then try again.",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Shown(Protocol):
    """What is shown."""

    def whole(self) -> Any:
        """Return everything that holds now, as the first message to a page that opens."""
        ...

    def metrics(self, accepted: str) -> tuple[bytes, str]:
        """Return the metrics and their content type, of those that ``accepted`` names."""
        ...


class Pause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a page sends to pause actions, or to let them go on."""

    paused: bool


class Application:
    """The web application.

    Args:
        names: that it may be called by.
        token: which lets in; None where everybody may look.
        shown: what is shown.
        watchers: gets those who open the stream.
        actions: whether actions are done; a page may pause them.
        busy: marks a connection while its request is under way.
        watching: called when a page is opened or closed.
        failed: called with what should not have been raised.
        clips: shows what the keeper has; None where nobody may see that.
    """

    def __init__(
        self,
        names: Names,
        token: Token | None,
        shown: Shown,
        watchers: Watchers,
        actions: Toggle,
        *,
        busy: Callable[[RequestHandler], AbstractContextManager[None]],
        watching: Callable[[], None],
        failed: Callable[[BaseException], None],
        clips: ClipPages | None = None,
    ) -> None:
        self._names = names
        self._token = token
        self._guesses = Guesses()
        self._shown = shown
        self._watchers = watchers
        self._actions = actions
        self._busy = busy
        self._watching = watching
        self._failed = failed
        self._clips = clips
        self._files = {path.name: path.read_bytes() for path in _STATIC.iterdir() if path.suffix in _TYPES}

    def make(self) -> web.Application:
        """Return it as aiohttp's, to be run once."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            with self._busy(request.protocol):
                return await self._guarded(request, handler)

        app = web.Application(middlewares=[guard], client_max_size=MAX_BODY_BYTES)
        app.on_response_prepare.append(_add_headers)
        app.router.add_get("/", self._file_handler("page.html"))
        for name in ("page.css", "page.js", "stream.js", "drawing.js", "icon.svg"):
            app.router.add_get(f"/{name}", self._file_handler(name))
        app.router.add_get("/login", self._login_form)
        app.router.add_post("/login", self._login)
        app.router.add_post("/logout", self._logout)
        app.router.add_get("/stream", self._stream, allow_head=False)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_post("/actions", self._pause)
        if self._clips is not None:
            app.router.add_get("/clips", self._file_handler("clips.html"))
            for name in ("clips.js", "sound.js"):
                app.router.add_get(f"/{name}", self._file_handler(name))
            self._clips.add_to(app.router)
        return app

    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse what may not be asked for."""
        if not self._names.allow(request.headers.get("Host", "")):
            return _text(421, "unknown name: add it to page.names in link.yaml")
        if request.method == "POST" and not _same_origin(request):
            return _text(403, "sent from another site")
        if self._token is not None and request.path not in _OPEN and (refusal := self._refusal(request, self._token)):
            return refusal
        return await self._answered(request, handler)

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer, whatever happens."""
        try:
            return await handler(request)
        except (web.HTTPException, asyncio.CancelledError, ConnectionError):
            raise
        except web.RequestPayloadError:
            return _text(400, "the body is damaged")
        except TimeoutError:
            return _text(408, "the request took too long")
        except Exception as error:
            self._failed(error)
            return _text(500, "failed")

    def _refusal(self, request: web.Request, token: Token) -> web.Response | None:
        """Return the answer to one who may not see the page; None for one who may."""
        if token.admits(request.cookies.get(COOKIE, "")):
            return None
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._judged(request, token, given.strip())
        if request.path in ("/", "/clips"):
            return web.Response(status=303, headers={"Location": "/login"})
        return _text(401, "a token is needed", {"WWW-Authenticate": 'Bearer realm="audiomon"'})

    def _judged(self, request: web.Request, token: Token, given: str) -> web.Response | None:
        """Return the answer to a token that was tried; None to the right one."""
        address = _address_of(request)
        if not self._guesses.may_try(address):
            return _text(429, "too many wrong tokens: wait a minute", {"Retry-After": "60"})
        if token.is_right(given):
            return None
        self._guesses.failed(address)
        return _text(401, "wrong token", {"WWW-Authenticate": 'Bearer realm="audiomon"'})

    def _file_handler(self, name: str) -> Handler:
        async def handler(_request: web.Request) -> web.StreamResponse:
            return self._file(name)

        return handler

    def _file(self, name: str, status: int = 200) -> web.Response:
        response = web.Response(
            body=self._files[name], status=status, content_type=_TYPES[Path(name).suffix], charset="utf-8"
        )
        response.headers["Cache-Control"] = "no-cache"
        return response

    def _login_page(self, status: int) -> web.Response:
        page = self._file("login.html", status)
        if status in _PROBLEMS:
            assert isinstance(page.body, bytes)
            page.body = page.body.replace(_PROBLEM_PLACE, b'<p class="problem" role="alert">%b</p>' % _PROBLEMS[status])
        return page

    async def _login_form(self, request: web.Request) -> web.StreamResponse:
        if self._token is None or self._token.admits(request.cookies.get(COOKIE, "")):
            return web.Response(status=303, headers={"Location": "/"})
        return self._login_page(200)

    async def _login(self, request: web.Request) -> web.StreamResponse:
        if self._token is None:
            return web.Response(status=303, headers={"Location": "/"})
        if request.content_type != "application/x-www-form-urlencoded":
            return _text(415, "a form is needed")
        async with asyncio.timeout(BODY_S):
            body = await request.read()
        refusal = self._judged(request, self._token, _token_in(body))
        if refusal is not None:
            return self._login_page(refusal.status)
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(
            COOKIE,
            self._token.cookie(),
            max_age=COOKIE_S,
            path="/",
            httponly=True,
            samesite="Strict",
            # A proxy that speaks TLS says so; one who lies about it only harms himself.
            secure=request.headers.get("X-Forwarded-Proto") == "https",
        )
        return response

    async def _logout(self, _request: web.Request) -> web.StreamResponse:
        response = web.Response(status=303, headers={"Location": "/login"})
        response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
        return response

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        body, content_type = self._shown.metrics(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    async def _pause(self, request: web.Request) -> web.StreamResponse:
        if request.content_type != "application/json":
            return _text(415, "JSON is needed")
        async with asyncio.timeout(BODY_S):
            body = await request.read()
        try:
            pause = msgspec.json.decode(body, type=Pause)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _text(400, 'not {"paused": true} or {"paused": false}')
        self._actions.set(on=not pause.paused)
        return web.Response(status=204)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if self._watchers.full:
            return _text(503, "as many pages are open as there may be", {"Retry-After": "30"})
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",  # nginx would wait for more
            }
        )
        watcher = self._watchers.add(self._shown.whole())
        self._watching()
        try:
            await response.prepare(request)
            await _write_all(watcher, response)
        except (ConnectionError, TimeoutError):
            pass  # it has gone
        finally:
            self._watchers.remove(watcher)
            self._watching()
        return response


async def _write_all(watcher: Watcher, response: web.StreamResponse) -> None:
    """Send what a watcher is to get, until it goes or is dropped."""
    while not watcher.dropped:
        events = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEARTBEAT_S):
                events = await watcher.take()
        async with asyncio.timeout(WRITE_S):
            await response.write(events or b":\n\n")


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


def _text(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", headers={"Cache-Control": "no-store", **(headers or {})})


def _token_in(body: bytes) -> str:
    """Return the token that a form holds, whatever its bytes are; empty if it holds none."""
    try:
        return dict(parse_qsl(body.decode(errors="replace"), max_num_fields=10)).get("token", "").strip()
    except ValueError:
        return ""


def _same_origin(request: web.Request) -> bool:
    """Say whether a request comes from this very page, or from no page at all."""
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")
    try:
        return urlsplit(origin).netloc.lower() == request.headers.get("Host", "").lower()
    except ValueError:
        return False


def _address_of(request: web.Request) -> str:
    """Return whose guesses these are: behind a proxy on this machine, those of the one it speaks for."""
    remote = request.remote or ""
    if remote in ("127.0.0.1", "::1"):
        forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        return forwarded[:64] or remote
    return remote
