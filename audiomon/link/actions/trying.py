"""Tries every action of ``link.yaml`` once, with an event that is made up and says so."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from audiomon.link.actions.facts import Facts
from audiomon.link.actions.requests import SOCKETS
from audiomon.link.actions.rules import Rule
from audiomon.link.actions.sending import Result, Sender
from audiomon.link.settings import LinkConfig

LABEL = "test"


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one.

    Attributes:
        rule: which, as in ``1 ntfy``.
        result: how it went.
    """

    rule: str
    result: Result


async def try_all(config: LinkConfig, credential: Callable[[str], str | None], sockets: Path = SOCKETS) -> list[Tried]:
    """Do every action once: whatever its labels, its cooldown and the time of the day.

    Args:
        config: whose actions.
        credential: returns a secret by its name; None if there is none.
        sockets: folder of the sockets of the units that run commands.
    """
    sender = Sender(credential, sockets)
    try:
        tried = []
        for number, action in enumerate(config.actions):
            rule = Rule(number, action)
            state: Literal["on", "off"] = "off" if action.when == "off" else "on"
            label = next((pattern for pattern in action.on if not set("*?") & set(pattern)), LABEL)
            now = datetime.now(UTC).isoformat(timespec="microseconds")
            facts = Facts("audiomon", label, state, 1.0, now, 0.0, "", test=True)
            tried.append(Tried(rule.name, await sender.send(rule, facts)))
        return tried
    finally:
        await sender.close()
