"""The page in a real browser: drawn, silent in the console, back after a break, behind a login, fooled by no label."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from tests.link.heard import LABELS, picture
from tests.link.page.browser import Browser
from tests.link.page.serving import TOKEN, Served, served, unused_port

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as one:
        yield one


@pytest.fixture(autouse=True)
def forget(browser: Browser) -> Iterator[None]:
    yield
    browser.open("about:blank")
    browser.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    browser.complaints()


async def hear(page: Served) -> None:
    """Have a listener heard for as long as the browser looks."""
    rng = random.Random(1)
    page.heard.hello(spectrogram=True)
    page.heard.event("dog_bark", at_s=time.time() - 3)
    start = 0
    while True:
        page.heard.columns(picture(11, start, rng))
        page.heard.level()
        page.heard.prediction({label: rng.random() * 0.3 for label in LABELS} | {"dog_bark": 0.9})
        start += 11
        await asyncio.sleep(0.5)


def look(script: Callable[[Served], Any], *, hearing: Callable[[Served], Awaitable[None]] = hear, **page: Any) -> None:
    """Serve the page, and have a browser look at it meanwhile, from a thread: its driver blocks."""

    async def both() -> None:
        async with served(**page) as one:
            heard = asyncio.ensure_future(hearing(one))
            try:
                await asyncio.to_thread(script, one)
            finally:
                heard.cancel()

    asyncio.run(both())


@pytest.mark.parametrize("width", [360, 1280])
def test_it_is_drawn_without_a_word_in_the_console_and_fits(browser, width):
    def script(page: Served) -> None:
        browser.resize(width, 900)
        browser.open(page.url)
        browser.wait_for("#link", "Live")
        browser.wait_for("#on", "dog_bark")
        browser.wait_for("#scores", "0.90")
        browser.wait_for("#level-value", "-38 dBFS")
        browser.wait_for("#condition-title", "Listening")
        began, first = (
            time.monotonic(),
            browser.run("return Number(document.querySelector('#spectrogram').dataset.drawn || 0)"),
        )
        browser.wait("columns", lambda: drawn(browser) >= first + 40)
        assert time.monotonic() - began > 1, "40 columns are about two seconds"
        assert colours(browser) > 20
        assert browser.run("return document.documentElement.scrollWidth") <= width
        assert browser.complaints() == []

    look(script)


def test_it_says_when_the_connection_is_gone_and_comes_back_by_itself(browser):
    port = unused_port()

    def gone(page: Served) -> None:
        browser.open(page.url)
        browser.wait_for("#link", "Live")

    def back(page: Served) -> None:
        browser.wait_for("#link", "Live")
        browser.wait_for("#on", "dog_bark")

    look(gone, port=port)
    browser.wait_for("#link", "No connection since")
    assert browser.run("return document.querySelector('main').dataset.stale") == "true"
    look(back, port=port)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_on_it_keeps_anybody_out(browser, scheme, tmp_path, monkeypatch):
    """As far as axe can tell: contrast, names, roles and order; also while the connection is gone."""
    (tmp_path / "page-token").write_text(TOKEN)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    def script(page: Served) -> None:
        browser.open(page.url)
        assert browser.barriers() == []
        log_in(browser, TOKEN)
        browser.wait_for("#scores", "0.90")
        for width in (360, 1280):
            browser.resize(width, 900)
            assert browser.barriers() == []

    browser.scheme(scheme)
    look(script)
    browser.wait_for("#link", "No connection since")
    assert browser.barriers() == []
    browser.scheme("light")


def test_a_token_is_asked_for_once(browser, tmp_path, monkeypatch):
    (tmp_path / "page-token").write_text(TOKEN)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    def script(page: Served) -> None:
        browser.open(page.url)
        assert browser.run("return location.pathname") == "/login"
        log_in(browser, "a guess that is wrong")
        browser.wait_for(".problem", "That is not the token.")
        log_in(browser, TOKEN)
        browser.wait_for("#link", "Live")
        assert TOKEN not in browser.run("return document.cookie + location.href")
        browser.open(page.url)
        browser.wait_for("#link", "Live")

    look(script)


def test_a_label_is_text_whatever_it_looks_like(browser):
    evil = '<img src=x onerror="window.fooled = 1">'

    async def hearing(page: Served) -> None:
        page.heard.hello(labels=(evil,), model=evil, state={"microphone": evil, "health": "lost", "reason": evil})
        page.heard.event(evil)
        while True:
            page.heard.prediction({evil: 0.9})
            await asyncio.sleep(0.3)

    def script(page: Served) -> None:
        browser.open(page.url)
        for place in ("#on", "#scores", "#rows", "#condition-text", "#details"):
            browser.wait_for(place, evil)
        assert browser.run("return document.querySelectorAll('img').length") == 1  # the logo
        assert browser.run("return window.fooled") is None

    look(script, hearing=hearing)


def test_actions_are_paused_by_a_button(browser):
    def script(page: Served) -> None:
        page.around.ledger.use(("1 ntfy",))
        browser.open(page.url)
        browser.wait_for("#actions-sum", "1 action: 0 done")
        browser.run("document.querySelector('#pause').click()")
        browser.wait_for("#actions-sum", "paused")
        assert not page.around.actions.on
        browser.run("document.querySelector('#pause').click()")
        browser.wait("on", lambda: page.around.actions.on)

    look(script)


def log_in(browser: Browser, token: str) -> None:
    browser.run("document.querySelector('#token').value = arguments[0]; document.forms[0].submit()", token)


def drawn(browser: Browser) -> int:
    return int(browser.run("return Number(document.querySelector('#spectrogram').dataset.drawn || 0)"))


def colours(browser: Browser) -> int:
    """How many different colours the spectrogram has."""
    return int(
        browser.run(
            "const c = document.querySelector('#spectrogram');"
            "const d = new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer);"
            "return new Set(d).size"
        )
    )
