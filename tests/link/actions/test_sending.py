"""What really goes over the wire, and what is made of what comes back."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audiomon.link.actions import sending
from audiomon.link.actions.facts import Facts
from audiomon.link.actions.rules import Rule
from audiomon.link.actions.sending import Result, Sender
from audiomon.link.actions.settings import Action, Ntfy, Webhook
from tests.link.actions.server import Server, listening

FACTS = Facts("audiomon", "dog_bark", "on", 0.873, "2026-11-26T12:00:00.000000+00:00", 0.0, "home")


def send(make: Callable[[Server], Action], facts: Facts = FACTS, **server_settings: Any) -> tuple[Result, Server]:
    async def script() -> tuple[Result, Server]:
        async with listening() as server:
            for name, value in server_settings.items():
                setattr(server, name, value)
            sender = Sender({"ntfy-token": "tk_secret"}.get, Path("/nowhere"))
            try:
                return await sender.send(Rule(0, make(server)), facts), server
            finally:
                await sender.close()

    return asyncio.run(script())


def ntfy(**fields: Any) -> Callable[[Server], Action]:
    return lambda server: Action(on=("*",), ntfy=Ntfy(url=f"{server.url}/barks", **fields))


def webhook(**fields: Any) -> Callable[[Server], Action]:
    return lambda server: Action(on=("*",), webhook=Webhook(url=f"{server.url}/hook?x=1", **fields))


def test_a_notification_is_published_as_json_to_its_topic():
    result, server = send(ntfy(priority="high", tags=("dog", "ünder"), token="ntfy-token"))
    path, headers, body = server.requests[0]
    assert result == Result(True, "200 OK")
    assert path == "/"
    assert body == {"topic": "barks", "title": "Dog bark", "message": "dog_bark is on, score 0.87"}
    assert headers["x-priority"] == "high"
    assert headers["x-tags"].startswith("=?UTF-8?B?")
    assert headers["authorization"] == "Bearer tk_secret"


def test_it_is_what_apprise_sends():
    apprise = pytest.importorskip("apprise")

    async def theirs() -> tuple[str, dict[str, str], Any]:
        async with listening() as server:
            other = apprise.Apprise()
            other.add(f"ntfy://{server.url.removeprefix('http://')}/barks?priority=high&tags=dog&image=no")
            assert await asyncio.to_thread(other.notify, title="Dog bark", body="dog_bark is on, score 0.87")
            return server.requests[0]

    path, headers, body = asyncio.run(theirs())
    _, server = send(ntfy(priority="high", tags=("dog",)))
    our_path, our_headers, our_body = server.requests[0]
    assert (our_path, our_body) == (path, body)
    for name in ("x-priority", "x-tags", "content-type"):
        assert our_headers[name] == headers[name]


def test_a_webhook_gets_the_facts_or_what_is_made_of_them():
    _, server = send(webhook())
    path, headers, body = server.requests[0]
    assert path == "/hook?x=1"
    assert body["label"] == "dog_bark"
    assert body["score"] == 0.873
    assert headers["content-type"] == "application/json"
    wanted = {"text": "{title}: {score} {unknown} {}", "deep": [{"label": "{label}", "n": 1}]}
    _, server = send(webhook(json=wanted, headers={"X-From": "attic"}))
    _, headers, body = server.requests[0]
    assert body == {"text": "Dog bark: 0.873 {unknown} {}", "deep": [{"label": "dog_bark", "n": 1}]}
    assert headers["x-from"] == "attic"


def test_a_label_can_not_break_out_of_what_it_is_put_into():
    facts = Facts("audiomon", 'a"}\r\nX-Evil: 1\x00{score}', "on", 0.5, "")
    result, server = send(ntfy(), facts)
    assert result.done
    assert "x-evil" not in server.requests[0][1]
    assert "\n" not in server.requests[0][2]["message"]
    _, server = send(webhook(json={"text": "{label}"}), facts)
    assert server.requests[0][2] == {"text": facts.label}


@pytest.mark.parametrize(
    ("status", "again", "said"),
    [
        (404, False, "404 Not Found"),
        (429, True, "429"),
        (500, True, "500"),
        (503, True, "503"),
        (302, False, "elsewhere"),
    ],
)
def test_what_comes_back_is_said_and_only_some_of_it_is_worth_another_try(status, again, said):
    result, server = send(webhook(), answers=[status])
    assert (result.done, result.again) == (False, again)
    assert said in result.said
    assert result.said.isprintable()
    assert len(server.requests) == 1


def test_a_server_that_does_not_answer_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(sending, "HTTP_S", 0.2)
    result, _ = send(webhook(), silent=True)
    assert (result.done, result.again) == (False, True)
    assert "no answer" in result.said


def test_a_server_that_is_not_there_is_worth_another_try():
    result, _ = send(lambda _: Action(on=("*",), webhook=Webhook(url="http://127.0.0.1:9/")))
    assert (result.done, result.again) == (False, True)


def test_a_credential_that_is_missing_is_named():
    result, server = send(ntfy(token="lost"))
    assert result.said == "the credential lost is not there: put it into /etc/credstore/audiomon.lost"
    assert not server.requests


def test_a_unit_that_is_not_enabled_is_named():
    result, _ = send(lambda _: Action(on=("*",), command=("/bin/true",)))
    assert "systemctl enable --now audiomon-command.socket" in result.said
    assert not result.again
