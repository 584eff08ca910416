import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from audiomon.link.actions import part
from audiomon.link.actions.facts import Facts
from audiomon.link.actions.part import MAX_WAITING, ActionsPart
from audiomon.link.actions.rules import Rule
from audiomon.link.actions.sending import Result, Sender
from audiomon.link.actions.settings import Action
from audiomon.link.settings import LinkConfig
from audiomon.link.surroundings import Surroundings
from tests.link.heard import Heard, Said, surroundings


class Scripted(Sender):
    """Sends nothing, and answers as told."""

    def __init__(self, *results: Result) -> None:
        super().__init__({}.get, Path("/nowhere"))
        self.results = list(results)
        self.sent: list[tuple[str, Facts]] = []
        self.wait = asyncio.Event()
        self.wait.set()

    async def send(self, rule: Rule, facts: Facts) -> Result:
        self.sent.append((rule.name, facts))
        await self.wait.wait()
        return self.results.pop(0) if self.results else Result(True, "ok")


Script = Callable[[Heard, Scripted, Surroundings], Awaitable[None]]


def run(script: Script, *results: Result, actions: tuple[Action, ...] = ()) -> Surroundings:
    async def both() -> Surroundings:
        config = LinkConfig(actions=actions or (Action(on=("*",), cooldown_s=0, command=("/bin/true",)),))
        around = surroundings(config)
        sender = Scripted(*results)
        task = asyncio.create_task(ActionsPart(around, sender).run())
        await asyncio.sleep(0)
        heard = Heard(around.state)
        heard.hello()
        try:
            async with asyncio.timeout(20):
                await script(heard, sender, around)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        assert not around.actions.used
        return around

    return asyncio.run(both())


async def settled(around: Surroundings, **expected: int) -> None:
    """Wait until this came of actions."""
    while outcomes(around) != expected:
        await asyncio.sleep(0.001)


def outcomes(around: Surroundings) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for (_, outcome), count in around.ledger.outcomes.items():
        sums[outcome] += count
    return dict(sums)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(part, "WAITS_S", (0.0, 0.0))


def test_what_is_due_is_done_and_written_down():
    async def script(heard: Heard, sender: Scripted, around: Surroundings) -> None:
        heard.event("dog_bark", score=0.9)
        await settled(around, done=1)
        name, facts = sender.sent[0]
        assert (name, facts.label, facts.model) == ("1 command", "dog_bark", "home")
        assert isinstance(around.reports, Said)
        assert around.reports.kinds[-1] == "link-action-done"
        assert around.actions.used

    run(script)


def test_it_is_tried_three_times_and_no_more():
    async def script(heard: Heard, sender: Scripted, around: Surroundings) -> None:
        heard.event("dog_bark")
        await settled(around, done=1)
        assert len(sender.sent) == 3
        heard.event("dog_bark")
        await settled(around, done=1, failed=1)
        assert len(sender.sent) == 6

    again = Result(False, "503", again=True)
    run(script, again, again, Result(True, "200"), again, again, again)


def test_what_another_try_would_not_help_is_tried_once():
    async def script(heard: Heard, sender: Scripted, around: Surroundings) -> None:
        heard.event("dog_bark")
        await settled(around, failed=1)
        assert len(sender.sent) == 1

    run(script, Result(False, "404"))


def test_what_is_no_news_any_more_is_not_sent(monkeypatch):
    monkeypatch.setattr(part, "MAX_AGE_S", 0.0)

    async def script(heard: Heard, sender: Scripted, around: Surroundings) -> None:
        heard.event("dog_bark")
        await settled(around, late=1)
        assert not sender.sent

    run(script)


def test_one_that_hangs_delays_no_other_and_no_event():
    actions = tuple(Action(on=("*",), cooldown_s=0, command=(f"/bin/{name}",)) for name in ("a", "b"))

    async def script(heard: Heard, sender: Scripted, around: Surroundings) -> None:
        hangs = asyncio.Event()

        async def send(rule: Rule, facts: Facts) -> Result:
            if rule.number == 0:
                await hangs.wait()
            return Result(True, "ok")

        sender.send = send  # type: ignore[method-assign]
        for _ in range(3):
            heard.event("dog_bark")
        await settled(around, done=3)
        hangs.set()
        await settled(around, done=6)

    run(script, actions=actions)


def test_what_piles_up_is_dropped_oldest_first():
    async def script(heard: Heard, sender: Scripted, around: Surroundings) -> None:
        sender.wait.clear()
        heard.event("first")
        while not sender.sent:
            await asyncio.sleep(0)
        for number in range(MAX_WAITING + 2):
            heard.event(str(number))
        sender.wait.set()
        await settled(around, done=MAX_WAITING + 1, crowded=2)
        assert [facts.label for _, facts in sender.sent[1:3]] == ["2", "3"]

    run(script)


def test_a_switch_pauses_them_and_the_events_meanwhile_are_past():
    async def script(heard: Heard, sender: Scripted, around: Surroundings) -> None:
        around.actions.set(on=False)
        heard.event("dog_bark")
        await settled(around, paused=1)
        around.actions.set(on=True)
        heard.event("dog_bark")
        await settled(around, paused=1, done=1)
        assert len(sender.sent) == 1

    run(script)


def test_an_event_while_actions_are_paused_begins_no_cooldown():
    async def script(heard: Heard, sender: Scripted, around: Surroundings) -> None:
        around.actions.set(on=False)
        heard.event("dog_bark")
        await settled(around, paused=1)
        around.actions.set(on=True)
        heard.event("dog_bark")
        await settled(around, paused=1, done=1)
        around.actions.set(on=False)
        heard.event("dog_bark")  # the one that was done began it
        await settled(around, paused=1, done=1, cooling=1)

    run(script, actions=(Action(on=("*",), cooldown_s=3600, command=("/bin/true",)),))


def test_events_that_are_none_of_its_business_count_nothing():
    async def script(heard: Heard, sender: Scripted, around: Surroundings) -> None:
        heard.event("dog_bark")
        heard.prediction({"dog_bark": 0.9})
        heard.event("bell")
        await settled(around, done=1)

    run(script, actions=(Action(on=("bell",), command=("/bin/true",)),))


def test_settings_name_what_is_wrong_with_them():
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "does nothing"),
        ({"command": ("true",)}, "must be the path of a program"),
        ({"command": ("/bin/true",), "quiet": ("22-7",)}, "two times"),
    ]
    for fields, problem in cases:
        with pytest.raises(ValueError, match=problem):
            Action(on=("*",), **fields)
