"""The page as programs see it: what it answers, to whom, and what it streams."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from audiomon.link.page import app, connections
from audiomon.link.page.access import MAX_GUESSES
from audiomon.link.page.settings import Page
from audiomon.link.page.watchers import MAX_BACKLOG_BYTES, MAX_WATCHERS, Watcher, event_of
from audiomon.link.settings import LinkConfig
from tests.link.heard import SNAPSHOT, Said, surroundings
from tests.link.page.serving import TOKEN, Served, served


def run(script: Callable[[Served, aiohttp.ClientSession], Any], **page: Any) -> None:
    async def both() -> None:
        async with asyncio.timeout(60), served(**page) as one, aiohttp.ClientSession() as client:
            await script(one, client)

    asyncio.run(both())


@pytest.fixture
def token(tmp_path, monkeypatch):
    (tmp_path / "page-token").write_text(f"{TOKEN}\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))


@contextlib.asynccontextmanager
async def watching(page: Served, client: aiohttp.ClientSession) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    async with client.get(f"{page.url}/stream") as answer:
        assert answer.status == 200

        async def messages() -> AsyncIterator[dict[str, Any]]:
            async for line in answer.content:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])

        yield messages()


async def until(messages: AsyncIterator[dict[str, Any]], kind: str) -> dict[str, Any]:
    async for message in messages:
        if message["type"] == kind:
            return message
    raise AssertionError(f"the stream ended without {kind}")


@pytest.mark.parametrize("path", ["/", "/page.css", "/page.js", "/stream.js", "/drawing.js", "/icon.svg", "/metrics"])
def test_everything_is_sent_with_headers_that_let_a_browser_load_nothing_else(path):
    async def script(page, client):
        async with client.get(page.url + path) as answer:
            assert answer.status == 200
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Server"] == "audiomon"
            assert b"http://" not in (await answer.read()).replace(b"http://www.w3.org/2000/svg", b"")

    run(script)


@pytest.mark.parametrize("path", ["/", "/metrics", "/stream", "/login"])
def test_a_name_that_is_not_its_own_gets_nothing(path):
    async def script(page, client):
        async with client.get(page.url + path, headers={"Host": "rebound.example:8117"}) as answer:
            assert answer.status == 421

    run(script)


def test_whoever_opens_it_late_is_shown_all_that_holds():
    async def script(page, client):
        page.heard.hello(spectrogram=True)
        page.heard.event("dog_bark", score=0.9)
        async with watching(page, client) as messages:
            whole = await until(messages, "whole")
        listener, day = whole["listeners"][0], whole["days"][0]
        assert listener["condition"]["title"] == "Listening"
        assert list(listener["on"]) == ["dog_bark"]
        assert listener["spectrogram"] is True
        assert listener["state"]["microphone"] == SNAPSHOT.microphone
        assert [one["label"] for one in day["occurrences"]] == ["dog_bark"]
        assert sum(day["bars"]) == 1

    run(script)


def test_what_changes_follows():
    async def script(page, client):
        page.heard.hello(spectrogram=True)
        async with watching(page, client) as messages:
            await until(messages, "whole")
            page.heard.prediction({"dog_bark": 0.7, "background": 0.2})
            assert (await until(messages, "prediction"))["scores"] == [
                ["dog_bark", 0.7, 0.6, 0.4],
                ["background", 0.2, None, None],
            ]
            page.heard.columns(bytes(80))
            assert (await until(messages, "columns"))["bands"] == 40
            page.heard.state_line(health="lost", reason="unplugged")
            found = (await until(messages, "listener"))["condition"]
            assert (found["level"], found["text"]) == ("wrong", "unplugged.")
            page.around.state.lose(page.heard.listener, "the listener has stopped")
            found = (await until(messages, "listener"))["condition"]
            assert found["title"] == "Not running"
            assert "systemctl status audiomon" in found["advice"]

    run(script)


def test_no_more_is_wanted_of_listeners_than_somebody_looks_at():
    async def script(page, client):
        state = page.around.state
        assert "columns" not in state.wanted
        async with watching(page, client) as messages:
            await until(messages, "whole")
            assert {"columns", "prediction", "level", "state"} <= state.wanted
        while "columns" in state.wanted:
            page.heard.level()  # writing is how a server finds out
            await asyncio.sleep(0.01)

    run(script)


def test_a_page_without_a_spectrogram_does_not_ask_for_one():
    async def script(page, client):
        async with watching(page, client) as messages:
            page.heard.hello(spectrogram=True)
            await until(messages, "whole")
            assert "columns" not in page.around.state.wanted

    run(script, spectrogram=False)


def test_there_is_an_end_to_watchers():
    async def script(page, client):
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(MAX_WATCHERS):
                await until(await stack.enter_async_context(watching(page, client)), "whole")
            async with client.get(f"{page.url}/stream") as answer:
                assert answer.status == 503
                assert "Retry-After" in answer.headers

    run(script)


def test_a_watcher_that_does_not_read_is_dropped_and_holds_no_memory():
    async def script():
        watcher = Watcher()
        event = event_of({"data": "x" * 1000})
        for _ in range(MAX_BACKLOG_BYTES // len(event) + 1):
            watcher.put(event)
        assert watcher.dropped
        assert await watcher.take() == b""

    asyncio.run(script())


def test_without_the_token_nothing_is_shown(token):
    async def script(page, client):
        for path in ("/metrics", "/stream", "/page.js", "/nothing", "/%2e%2e/etc/passwd"):
            async with client.get(page.url + path) as answer:
                assert answer.status == 401
        async with client.get(page.url, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/login")
        async with client.post(f"{page.url}/actions", json={"paused": True}) as answer:
            assert answer.status == 401
        assert page.around.actions.on

    run(script)


def test_a_scraper_sends_the_token_and_a_browser_logs_in(token):
    async def script(page, client):
        async with client.get(f"{page.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
            assert answer.status == 200
        async with client.post(f"{page.url}/login", data={"token": TOKEN}, allow_redirects=False) as answer:
            assert answer.status == 303
            cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert TOKEN not in cookie
        given = {"Cookie": cookie.partition(";")[0]}
        async with client.get(f"{page.url}/page.js", headers=given) as answer:
            assert answer.status == 200

    run(script)


@pytest.mark.parametrize("body", [b"token=w\xf2ong", b"\xff" * 100, b"&" * 100, b"token", b"", b"token=%ff%00"])
def test_a_form_that_is_damaged_holds_a_wrong_token(token, body):
    async def script(page, client):
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=nonsense"}
        async with client.post(f"{page.url}/login", data=body, headers=headers) as answer:
            assert answer.status == 401
        headers["Content-Encoding"] = "gzip"
        async with client.post(f"{page.url}/login", data=b"no gzip", headers=headers) as answer:
            assert answer.status == 400

    run(script)


def test_behind_https_the_cookie_stays_there(token):
    async def script(page, client):
        headers = {"X-Forwarded-Proto": "https"}
        async with client.post(
            f"{page.url}/login", data={"token": TOKEN}, headers=headers, allow_redirects=False
        ) as answer:
            assert "Secure" in answer.headers["Set-Cookie"]

    run(script)


def test_the_token_cannot_be_guessed_for_long_even_with_the_right_one_at_last(token):
    async def script(page, client):
        for _ in range(MAX_GUESSES):
            async with client.post(f"{page.url}/login", data={"token": "a wrong one"}) as answer:
                assert answer.status == 401
                assert b"That is not the token." in await answer.read()
        async with client.get(f"{page.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
            assert answer.status == 429
        # A proxy speaks for others, too.
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "203.0.113.9"}
        async with client.get(f"{page.url}/metrics", headers=headers) as answer:
            assert answer.status == 200

    run(script)


def test_elsewhere_than_on_this_machine_there_is_no_page_without_a_token():
    async def script():
        around = surroundings(LinkConfig(page=Page(listen="0.0.0.0:8117")))
        from audiomon.link.page.serving import PagePart

        await PagePart(around).run()
        assert isinstance(around.reports, Said)
        assert around.reports.kinds == ["link-page-refused"]

    asyncio.run(script())


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "application/json"}, b'{"paused": true}', 204),
        ({"Content-Type": "application/json"}, b'{"paused": 1}', 400),
        ({"Content-Type": "application/json"}, b"[" * 4000, 400),
        ({"Content-Type": "application/json"}, b'{"paused": true, "more": "' + b"x" * 5000 + b'"}', 413),
        ({"Content-Type": "text/plain"}, b'{"paused": true}', 415),
        ({"Content-Type": "application/json", "Origin": "http://evil.example"}, b'{"paused": true}', 403),
        ({"Content-Type": "application/json", "Origin": "null"}, b'{"paused": true}', 403),
        ({"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"}, b'{"paused": true}', 403),
    ],
)
def test_actions_are_paused_from_this_page_alone(headers, body, status):
    async def script(page, client):
        async with client.post(f"{page.url}/actions", data=body, headers=headers) as answer:
            assert answer.status == status
        assert page.around.actions.on is (status != 204)

    run(script)


def test_a_connection_that_asks_for_nothing_is_closed_and_one_that_watches_is_not(monkeypatch):
    monkeypatch.setattr(connections, "REQUEST_S", 0.0)
    monkeypatch.setattr(connections, "_LOOK_S", 0.01)

    async def script(page, client):
        async with watching(page, client) as messages:
            await until(messages, "whole")
            reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
            page.heard.hello()
            await until(messages, "listener")

    run(script)


def test_connections_beyond_the_most_are_closed_at_once(monkeypatch):
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)

    async def script(page, client):
        open_ones = [await asyncio.open_connection("127.0.0.1", page.port) for _ in range(3)]
        reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        for _, one in [*open_ones, (reader, writer)]:
            one.close()

    run(script)


def test_what_fails_inside_is_reported_and_said_in_one_line(monkeypatch):
    monkeypatch.setattr("audiomon.link.metrics.Metrics.exposition", lambda *_: 1 / 0)

    async def script(page, client):
        async with client.get(f"{page.url}/metrics") as answer:
            assert (answer.status, await answer.text()) == (500, "failed\n")
        assert isinstance(page.around.reports, Said)
        assert [type(error) for error in page.around.reports.failures] == [ZeroDivisionError]

    run(script)


def test_a_foreign_text_is_cut_and_escaped_before_it_is_sent():
    async def script(page, client):
        page.heard.hello(labels=("x" * 5000, "a\u202eb"), model="m" * 5000)
        page.heard.event("a\u202eb")
        async with watching(page, client) as messages:
            listener = (await until(messages, "whole"))["listeners"][0]
        assert list(listener["on"]) == ["a\\u202eb"]
        assert len(listener["model"]) <= 80

    run(script)


def test_every_file_that_the_page_asks_for_is_there():
    named = set()
    for path in app._STATIC.iterdir():
        text = path.read_text(encoding="utf-8")
        named |= {part.split('"')[0].split("'")[0] for part in text.split('="/')[1:] + text.split('from "/')[1:]}
    assert named - {"login", "clips", ""} <= {path.name for path in app._STATIC.iterdir()}


def test_a_page_that_somebody_watches_ends_at_once_all_the_same():
    """Since Python 3.12, a server that has closed is waited for until its last connection has ended by itself."""

    async def script():
        async with aiohttp.ClientSession() as client, asyncio.timeout(30) as patience:
            async with served() as page:
                watching = await client.get(f"{page.url}/stream")
                assert await watching.content.readline()
            assert not patience.expired()

    asyncio.run(script())
