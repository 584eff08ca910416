"""How an action is done: an HTTP request from here, or a line to the unit that runs commands. One try."""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import aiohttp
import msgspec

from audiomon import __version__
from audiomon.errors import UserError
from audiomon.foreign import shown
from audiomon.link.actions.facts import Facts
from audiomon.link.actions.requests import MAX_ANSWER_BYTES, Answer, Request, socket_of
from audiomon.link.actions.rules import Rule
from audiomon.link.actions.settings import Ntfy, Webhook

# From connecting to the last byte of the answer.
HTTP_S = 10.0
# The unit stops a program after 30 s by itself, and says so.
UNIT_S = 40.0
# As much of an answer as tells people what was wrong.
_MAX_SAID_BYTES = 2000
_TOO_MANY, _SERVER_ERRORS = 429, 500


@dataclass(frozen=True, slots=True)
class Result:
    """How one try went.

    Attributes:
        done: whether it is done.
        said: what came back, in one line.
        again: whether another try may go better.
    """

    done: bool
    said: str
    again: bool = False


class Sender:
    """Does what rules say.

    Args:
        credential: returns a secret by its name; None if there is none.
        sockets: folder of the sockets of the units that run commands.
    """

    def __init__(self, credential: Callable[[str], str | None], sockets: Path) -> None:
        self._credential = credential
        self._sockets = sockets
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close connections that are kept open."""
        if self._session is not None:
            await self._session.close()

    async def send(self, rule: Rule, facts: Facts) -> Result:
        """Try once."""
        action = rule.action
        try:
            if action.ntfy is not None:
                return await self._ntfy(action.ntfy, facts)
            if action.webhook is not None:
                return await self._webhook(action.webhook, facts)
            return await self._unit(rule, facts)
        except UserError as error:
            return Result(False, str(error))

    async def _ntfy(self, ntfy: Ntfy, facts: Facts) -> Result:
        """Publish as JSON, which carries any alphabet; headers do not."""
        parts = urlsplit(ntfy.url)
        url = urlunsplit((parts.scheme, parts.netloc, "/", parts.query, ""))
        body = {"topic": unquote(parts.path.strip("/")), "title": facts.title, "message": facts.message}
        headers: dict[str, str] = {}
        if ntfy.priority != "default":
            headers["X-Priority"] = ntfy.priority
        if ntfy.tags:
            headers["X-Tags"] = _header(",".join(ntfy.tags))
        return await self._post(url, body, {**headers, **self._bearer(ntfy.token)})

    async def _webhook(self, webhook: Webhook, facts: Facts) -> Result:
        body = msgspec.to_builtins(facts) if webhook.json is None else facts.fill_in(webhook.json)
        return await self._post(webhook.url, body, {**webhook.headers, **self._bearer(webhook.token)})

    def _bearer(self, name: str | None) -> dict[str, str]:
        if name is None:
            return {}
        secret = self._credential(name)
        if secret is None:
            raise UserError(f"the credential {name} is not there: put it into /etc/credstore/audiomon.{name}")
        return {"Authorization": f"Bearer {secret}"}

    async def _post(self, url: str, body: Any, headers: dict[str, str]) -> Result:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=HTTP_S),
                headers={"User-Agent": f"audiomon/{__version__}"},
                cookie_jar=aiohttp.DummyCookieJar(),
                connector=aiohttp.TCPConnector(limit=10, force_close=True),
            )
        content = {"Content-Type": "application/json"}
        try:
            # A redirection would carry the token elsewhere, and make a GET of it.
            async with self._session.post(
                url, data=msgspec.json.encode(body), headers={**headers, **content}, allow_redirects=False
            ) as answer:
                said = await answer.content.read(_MAX_SAID_BYTES)
                return _judged(answer.status, answer.reason or "", said)
        except TimeoutError:
            return Result(False, f"no answer within {HTTP_S:g} s", again=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Result(False, shown(str(error) or type(error).__name__), again=True)

    async def _unit(self, rule: Rule, facts: Facts) -> Result:
        """Ask the unit that runs commands of this kind: it reads what to run from ``link.yaml`` itself."""
        path = socket_of(rule.action.kind, self._sockets)
        try:
            async with asyncio.timeout(UNIT_S):
                reader, writer = await asyncio.open_unix_connection(path, limit=MAX_ANSWER_BYTES)
                try:
                    writer.write(msgspec.json.encode(Request(rule.number, facts)) + b"\n")
                    await writer.drain()
                    answer = msgspec.json.decode(await reader.readuntil(b"\n"), type=Answer)
                finally:
                    writer.close()
        except (FileNotFoundError, ConnectionRefusedError):
            unit = path.name
            return Result(
                False, f"{path}: nobody listens: `systemctl enable --now {unit.removesuffix('.sock')}.socket`"
            )
        except TimeoutError:
            return Result(False, f"{path}: no answer within {UNIT_S:g} s")
        except (OSError, EOFError, asyncio.LimitOverrunError, msgspec.DecodeError) as error:
            # It may have run: another try might do it twice.
            return Result(False, f"{path}: {shown(str(error)) or type(error).__name__}")
        return Result(answer.done, shown(answer.said))


def _judged(status: int, reason: str, said: bytes) -> Result:
    text = f"{status} {shown(reason, 60)}"
    if status < 300:
        return Result(True, text)
    if status < 400:
        return Result(False, f"{text}: it is elsewhere, and redirections are not followed")
    body = shown(b" ".join(said.split()))
    again = status == _TOO_MANY or status >= _SERVER_ERRORS
    return Result(False, f"{text}: {body}" if body else text, again)


def _header(text: str) -> str:
    """Write any alphabet into a header, as RFC 2047 does and ntfy reads."""
    if text.isascii() and text.isprintable():
        return text
    return f"=?UTF-8?B?{base64.b64encode(text.encode()).decode()}?="
