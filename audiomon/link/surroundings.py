"""What a part of the link is, and what it works with. It runs while its settings stay as they are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from audiomon.link.ledger import Ledger
from audiomon.link.machine import Machine
from audiomon.link.reports import Reports
from audiomon.link.settings import LinkConfig
from audiomon.link.state import State
from audiomon.link.toggle import Toggle


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every part gets.

    Attributes:
        config: all of ``link.yaml``.
        state: what listeners are like, and who hears of it.
        reports: where to say what has happened.
        machine: how this machine is called elsewhere.
        actions: whether actions are done, or paused.
        ledger: what the parts have done.
    """

    config: LinkConfig
    state: State
    reports: Reports
    machine: Machine
    actions: Toggle
    ledger: Ledger


class Part(Protocol):
    """Something that the link does, in the event loop that all parts share: it never blocks."""

    async def run(self) -> None:
        """Do it until cancelled. What it raises is reported, and it is started again after a while."""
        ...


@dataclass(frozen=True, slots=True)
class PartKind:
    """How a part comes to be.

    Attributes:
        name: for messages about it.
        settings: the settings that concern it; when they change, it is cancelled and started again. None: not to be.
        start: makes it.
    """

    name: str
    settings: Callable[[LinkConfig], Any]
    start: Callable[[Surroundings], Part]
