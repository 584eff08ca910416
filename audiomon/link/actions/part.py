"""Actions as a part of the link: takes events in, and has each rule's worker do what is due.

A worker does one thing at a time, so a server that does not answer delays that rule alone, and no event.
"""

import asyncio
import time
from collections import deque

from audiomon.credentials import credential
from audiomon.link.actions.facts import Facts
from audiomon.link.actions.requests import SOCKETS
from audiomon.link.actions.rules import Rule
from audiomon.link.actions.sending import Result, Sender
from audiomon.link.ledger import Ledger, Outcome
from audiomon.link.reports import Reports
from audiomon.link.state import Listener, Message
from audiomon.link.surroundings import Surroundings
from audiomon.outputs.feed_protocol import EventLine

TRIES = 3
# Before the second try, and before the third.
WAITS_S = (1.0, 5.0)
# What happened longer ago is not news.
MAX_AGE_S = 60.0
# What waits for a worker; the oldest goes first.
MAX_WAITING = 20


class ActionsPart:
    """Does what ``actions:`` says.

    Args:
        surroundings: what the link's parts work with.
        sender: does it; None for the usual one.
    """

    def __init__(self, surroundings: Surroundings, sender: Sender | None = None) -> None:
        self._surroundings = surroundings
        self._ledger = surroundings.ledger
        self._sender = sender or Sender(credential, SOCKETS)
        rules = [Rule(number, action) for number, action in enumerate(surroundings.config.actions)]
        self._workers = [Worker(rule, self._sender, self._ledger, surroundings.reports) for rule in rules]

    async def run(self) -> None:
        """Do what is due until cancelled."""
        switch = self._surroundings.actions
        self._ledger.use(tuple(worker.rule.name for worker in self._workers))
        switch.use(used=True)
        try:
            with self._surroundings.state.subscribed("actions", self._hear, ("event",)):
                async with asyncio.TaskGroup() as tasks:
                    for worker in self._workers:
                        tasks.create_task(worker.run())
        finally:
            switch.use(used=False)
            self._ledger.use(())
            await self._sender.close()

    def _hear(self, listener: Listener, message: Message) -> None:
        if not isinstance(message, EventLine):
            return
        paused = not self._surroundings.actions.on
        for worker in self._workers:
            outcome = worker.rule.judge(listener.name, message, time.time(), time.monotonic(), paused=paused)
            if outcome == "done":
                worker.put(facts_of(listener, message))
            elif outcome is not None:
                self._ledger.count(worker.rule.name, outcome)


class Worker:
    """Does one rule's action, one at a time.

    Args:
        rule: which.
        sender: does it.
        ledger: gets what came of it.
        reports: the same, for the journal.

    Attributes:
        rule: which.
    """

    def __init__(self, rule: Rule, sender: Sender, ledger: Ledger, reports: Reports) -> None:
        self.rule = rule
        self._sender = sender
        self._ledger = ledger
        self._reports = reports
        self._waiting: deque[tuple[float, Facts]] = deque()
        self._ready = asyncio.Event()

    def put(self, facts: Facts) -> None:
        """Have it done as soon as may be. Never waits."""
        if len(self._waiting) >= MAX_WAITING:
            _, oldest = self._waiting.popleft()
            self._note(oldest, "crowded", f"{MAX_WAITING} others wait")
        self._waiting.append((asyncio.get_running_loop().time(), facts))
        self._ready.set()

    async def run(self) -> None:
        """Do what there is to do until cancelled."""
        while True:
            await self._ready.wait()
            while self._waiting:
                due_s, facts = self._waiting.popleft()
                await self._do(due_s, facts)
            self._ready.clear()

    async def _do(self, due_s: float, facts: Facts) -> None:
        """Try, and try again while that may help and it is still news."""
        loop = asyncio.get_running_loop()
        result = Result(False, "it had to wait")
        for number in range(TRIES):
            if number and not result.again:
                break
            if number:
                await asyncio.sleep(WAITS_S[number - 1])
            if loop.time() - due_s > MAX_AGE_S:
                self._note(facts, "late", f"{loop.time() - due_s:.0f} s after the event: {result.said}")
                return
            result = await self._sender.send(self.rule, facts)
            if result.done:
                self._note(facts, "done", result.said)
                return
        self._note(facts, "failed", result.said)

    def _note(self, facts: Facts, outcome: Outcome, said: str) -> None:
        self._ledger.count(self.rule.name, outcome)
        done = outcome == "done"
        verb = {"done": "done", "failed": "failed", "late": "not done, too late", "crowded": "not done"}[outcome]
        self._reports.report(
            "link-action-done" if done else "link-action-failed",
            f"Action {self.rule.name} for {facts.label}: {verb}: {said}",
            "info" if done else "warning",
            action=self.rule.name,
            label=facts.label,
            state=facts.state,
            outcome=outcome,
            said=said,
            instance=facts.listener,
        )


def facts_of(listener: Listener, event: EventLine) -> Facts:
    """Say what happened."""
    model = listener.hello.model if listener.hello else ""
    return Facts(listener.name, event.label, event.state, event.score, event.time, event.duration_s, model)
