"""Clips on the page, with a real keeper behind it: for who has the token, played, drawn, corrected, by keyboard too."""

import asyncio
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import soundfile

from audiomon.link.page import serving
from audiomon.outputs.clip_requests import List
from audiomon.outputs.keeper_client import KeeperClient
from tests.keeper.offers import NOISE
from tests.keeper.running import Keeping, keeping
from tests.link.page.browser import Browser
from tests.link.page.serving import TOKEN, Served, served

EVIL = '<img src=x onerror="window.fooled = 1">'


@pytest.fixture
def house(tmp_path, monkeypatch) -> Iterator[Keeping]:
    (tmp_path / "page-token").write_text(TOKEN)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with keeping(tmp_path) as made:
        made.start()
        monkeypatch.setattr(serving, "KEEPER_SOCKET", made.socket)
        yield made


def kept(house: Keeping, *labels: str) -> list[str]:
    """Names of clips of these, the last one first, as the page lists them."""
    for number, label in enumerate(labels, start=1):
        house.offer(number, label)
        house.settle(number)
    with KeeperClient(house.socket) as client:
        return [event.clip.id for event in client.events(List(only="clips"), 100)]


def reviews(house: Keeping) -> list[tuple[str, str, bool]]:
    with KeeperClient(house.socket) as client:
        clips = [event.clip for event in client.events(List(), 100)]
    return [(clip.review, clip.label, clip.locked) for clip in clips if clip is not None]


def run(script: Callable[[Served, aiohttp.ClientSession], Any], **page: Any) -> None:
    async def both() -> None:
        async with served(**page) as one, aiohttp.ClientSession() as client:
            await script(one, client)

    asyncio.run(both())


BEARER = {"Authorization": f"Bearer {TOKEN}"}


def test_who_has_the_token_gets_the_list_and_the_sound(house):
    (clip,) = kept(house, "dog_bark")

    async def script(page, client):
        async with client.get(f"{page.url}/clips/list?only=unreviewed&label=dog_bark", headers=BEARER) as answer:
            listed = await answer.json()
        assert [event["clip"]["id"] for event in listed["events"]] == [clip]
        async with client.get(f"{page.url}/clips/sound/{clip}", headers=BEARER) as answer:
            assert answer.content_type == "audio/flac"
            sound = await answer.read()
        np.testing.assert_array_equal(soundfile.read(io.BytesIO(sound), dtype="int16")[0], NOISE)
        async with client.get(f"{page.url}/clips/sound/..%2f..%2fetc%2fpasswd", headers=BEARER) as answer:
            assert answer.status == 404
        change = {"do": "mark", "clips": [clip], "review": "wrong", "label": ""}
        async with client.post(f"{page.url}/clips/change", json=change, headers=BEARER) as answer:
            assert (await answer.json()) == {"changed": 1}
        stranger = BEARER | {"Origin": "http://elsewhere.example"}
        async with client.post(f"{page.url}/clips/change", json=change, headers=stranger) as answer:
            assert answer.status == 403

    run(script, clips=True)
    assert reviews(house) == [("wrong", "", False)]


PATHS = ["/clips", "/clips.js", "/clips/list", "/clips/sound/x"]


def test_without_the_token_nobody_gets_anything(house):
    async def script(page, client):
        for path in PATHS:
            async with client.get(page.url + path, allow_redirects=False) as answer:
                assert answer.status in (303, 401)
        async with client.post(f"{page.url}/clips/change", json={"do": "delete", "clips": ["x"]}) as answer:
            assert answer.status == 401

    run(script, clips=True)


@pytest.mark.parametrize("token", [True, False])
def test_there_are_no_clips_unless_they_are_asked_for_and_there_is_a_token(house, monkeypatch, token):
    if not token:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/nonexistent")

    async def script(page, client):
        for path in PATHS:
            async with client.get(page.url + path, headers=BEARER) as answer:
                assert answer.status == 404

    run(script, clips=not token)


@pytest.mark.parametrize(
    "body", [b"{}", b"[", b'{"do":"fetch","clip":"x"}', b'{"do":"mark","clips":["x"],"review":"maybe"}', b"\xff"]
)
def test_nonsense_is_refused(house, body):
    async def script(page, client):
        headers = BEARER | {"Content-Type": "application/json"}
        async with client.post(f"{page.url}/clips/change", data=body, headers=headers) as answer:
            assert answer.status == 400
        async with client.get(f"{page.url}/clips/list?only=mine", headers=BEARER) as answer:
            assert answer.status == 400

    run(script, clips=True)


def test_a_keeper_that_is_away_is_said(house, monkeypatch):
    monkeypatch.setattr(serving, "KEEPER_SOCKET", Path("/nonexistent/keeper.sock"))

    async def script(page, client):
        async with client.get(f"{page.url}/clips/list", headers=BEARER) as answer:
            assert answer.status == 409
            assert "no keeper answers there" in await answer.text()

    run(script, clips=True)


@pytest.mark.chromium
@pytest.mark.timeout(120)
def test_clips_are_played_drawn_and_corrected_by_keyboard_and_many_at_once(house):
    clips = kept(house, "dog_bark", "baby_cry", "dog_bark", "baby_cry", EVIL)

    def script(page: Served) -> None:
        with Browser() as browser:
            browser.open(f"{page.url}/clips")
            browser.run(
                "document.querySelector('#token').value = arguments[0]; document.querySelector('form').submit()", TOKEN
            )
            browser.wait_for("#link", "Live")
            browser.wait("a way to the clips", lambda: browser.text("#to-clips"))
            browser.open(f"{page.url}/clips")

            def drawn(number: int) -> None:
                script = "return document.querySelector('#picture').dataset.clip"
                browser.wait(f"clip {number}", lambda: browser.run(script) == clips[number])

            def press(*keys: str) -> None:
                from selenium.webdriver import ActionChains, Keys

                named = {"ArrowDown": Keys.ARROW_DOWN, "Delete": Keys.DELETE}
                for key in keys:
                    ActionChains(browser.driver).send_keys(named.get(key, key)).perform()

            def click(what: str) -> None:
                browser.run("document.querySelector(arguments[0]).click()", what)

            drawn(0)
            assert browser.text("#clip-title") == EVIL
            assert browser.run("return window.fooled") is None
            assert colours(browser) > 20
            press(" ")  # there may be no loudspeaker; it must not complain
            press("ArrowDown")
            drawn(1)
            press("r")  # and on to the next one
            drawn(2)
            press("x", "j", "x", "w")
            browser.wait("both", lambda: reviews(house)[2:4] == [("wrong", "", False)] * 2)
            browser.wait_for("tbody tr:nth-child(3)", "wrong")
            press("j")
            drawn(4)
            browser.run("document.querySelector('#label').value = 'blender'")
            click("#other button")
            browser.wait("label", lambda: reviews(house)[4] == ("label", "blender", False))
            assert reviews(house)[1] == ("right", "", False)
            press("k")
            browser.wait("lock", lambda: reviews(house)[4][2])
            browser.run("document.querySelector('#only').value = 'unreviewed'")
            browser.run("document.querySelector('#only').dispatchEvent(new Event('change'))")
            browser.wait("one row", lambda: browser.run("return document.querySelectorAll('#rows tr').length") == 1)
            drawn(0)
            press("Delete")
            browser.wait_for("#sure-text", "Delete 1 clip?")
            click("#sure button[value=yes]")
            browser.wait("deleted", lambda: len(reviews(house)) == 4)
            assert browser.text("#problem") == ""
            assert browser.complaints() == []
            for width, scheme in ((1280, "light"), (360, "dark")):
                browser.resize(width, 900)
                browser.scheme(scheme)
                assert browser.barriers() == []

    async def both() -> None:
        async with served(clips=True) as page:
            await asyncio.to_thread(script, page)

    asyncio.run(both())


def colours(browser: Browser) -> int:
    return int(
        browser.run(
            "const c = document.querySelector('#picture'); const d = c.getContext('2d').getImageData(0, 0, c.width, "
            "c.height).data; return new Set(new Uint32Array(d.buffer)).size"
        )
    )
