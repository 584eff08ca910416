"""What all listeners are like now, by what their feeds say; and who wants to know when that changes.

Lives in one event loop: nothing here waits, and nothing is locked.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass

from audiomon.link.reports import Reports
from audiomon.outputs.feed_protocol import (
    Dropped,
    EventLine,
    Goodbye,
    Hello,
    Kind,
    LevelLine,
    Line,
    On,
    PredictionLine,
    StateLine,
)
from audiomon.outputs.snapshot import Snapshot

# A page that is opened and closed in quick succession changes what is wanted no more often than this.
_WANTS_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Lost:
    """Stands among a listener's lines for its end: nothing that it said before holds any more.

    Attributes:
        reason: why its feed ended, in one line.
    """

    reason: str


# What a subscriber gets, and what it gets whatever it wants.
Message = Line | Lost
_ALWAYS = (Hello, Dropped, Goodbye, Lost)


class Listener:
    """One listener, as far as its feed has told.

    Attributes:
        name: of the instance.
        hello: its newest greeting; None while it is down.
        snapshot: its newest state; None while it is down, and before the first.
        on: labels that are on.
        level: of about the last second; None while nothing is known.
        prediction: the newest; None while there is none.
        problem: why it is down, in one line; empty while it is up.
        missed: lines that it dropped so far, since they were not read in time.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.hello: Hello | None = None
        self.snapshot: Snapshot | None = None
        self.on: dict[str, On] = {}
        self.level: LevelLine | None = None
        self.prediction: PredictionLine | None = None
        self.problem = "it has not been reached yet"
        self.missed = 0

    @property
    def up(self) -> bool:
        """Whether it is connected and has said what it is."""
        return self.hello is not None

    def take(self, message: Message) -> None:
        """Take note of what one message says."""
        match message:
            case Hello():
                self.hello, self.on, self.problem = message, dict(message.on), ""
                self.snapshot = message.state or self.snapshot
            case EventLine(state="on"):
                self.on[message.label] = On(message.time, message.score)
            case EventLine():
                self.on.pop(message.label, None)
            case StateLine():
                self.snapshot = message.state
            case LevelLine():
                self.level = message
            case PredictionLine():
                self.prediction = message
            case Dropped():
                self.missed += message.lines
            case Lost():
                self.problem = message.reason
                self.hello = self.snapshot = self.level = self.prediction = None
                self.on = {}
            case _:
                pass


class Subscription:
    """Somebody who hears of what listeners send.

    Args:
        name: for messages about it.
        hear: called with each message, after the state has taken it in. It returns at once; what it raises costs it
            that message, and is reported once.
        kinds: of lines that it wants; `Hello`, `Dropped`, `Goodbye` and `Lost` always come.
        change: called when the kinds have changed.
    """

    def __init__(
        self, name: str, hear: Callable[[Listener, Message], None], kinds: Iterable[Kind], change: Callable[[], None]
    ) -> None:
        self.name = name
        self.hear = hear
        self.failed = False
        self._kinds: frozenset[Kind] = frozenset(kinds)
        self._change = change

    @property
    def kinds(self) -> frozenset[Kind]:
        """What it wants; may be set at any time."""
        return self._kinds

    @kinds.setter
    def kinds(self, kinds: Iterable[Kind]) -> None:
        self._kinds = frozenset(kinds)
        self._change()


class State:
    """All listeners, and the subscribers to what they send.

    Args:
        reports: gets what is wrong with a listener or a subscriber.

    Attributes:
        listeners: by the name of the instance; one that has gone stays, and is down.
        reconnects: how often a feed that had been followed ended so far.
        failures: exceptions that subscribers have raised so far.
        problems: what is wrong with a part of the link now, by the part's name; empty where all is well.
    """

    def __init__(self, reports: Reports) -> None:
        self.listeners: dict[str, Listener] = {}
        self.problems: dict[str, str] = {}
        self.reconnects = 0
        self.failures = 0
        self._reports = reports
        self._subscriptions: list[Subscription] = []
        self._change = asyncio.Event()

    @property
    def wanted(self) -> frozenset[Kind]:
        """Kinds of lines that anybody wants; and always those by which this knows what is so, and who is alive."""
        wanted: frozenset[Kind] = frozenset({"state", "event"})
        return wanted.union(*(subscription.kinds for subscription in self._subscriptions))

    @contextlib.contextmanager
    def subscribed(
        self, name: str, hear: Callable[[Listener, Message], None], kinds: Iterable[Kind] = ()
    ) -> Iterator[Subscription]:
        """Subscribe for as long as a ``with`` block lasts; see `Subscription`."""
        subscription = Subscription(name, hear, kinds, self._note_change)
        self._subscriptions.append(subscription)
        self._note_change()
        try:
            yield subscription
        finally:
            self._subscriptions.remove(subscription)
            self._note_change()

    def listener(self, name: str) -> Listener:
        """Return one by its name, known or new."""
        return self.listeners.setdefault(name, Listener(name))

    def take(self, listener: Listener, message: Line) -> None:
        """Take note of a line, and pass it on; a listener that has no model yet is not up, whatever it sends."""
        if isinstance(message, Hello) and not message.model:
            self.lose(listener, f"waiting: {message.state.reason}" if message.state else "it has no model yet")
            return
        if not listener.up and not isinstance(message, Hello):
            if isinstance(message, StateLine):
                listener.problem = f"waiting: {message.state.reason}"
            return
        if isinstance(message, Hello) and not listener.up:
            self._reports.report("link-listener-up", f"{listener.name}: following its feed", instance=listener.name)
        self._pass_on(listener, message)

    def lose(self, listener: Listener, reason: str) -> None:
        """Note that a listener's feed has ended, or cannot be reached."""
        if not listener.up:
            listener.problem = reason
            return
        self.reconnects += 1
        self._reports.report(
            "link-listener-down",
            f"{listener.name}: its feed has ended: {reason}",
            "warning",
            instance=listener.name,
            reason=reason,
        )
        self._pass_on(listener, Lost(reason))

    async def wants(self) -> AsyncIterator[frozenset[Kind]]:
        """Yield what is wanted, now and whenever that has changed."""
        before: frozenset[Kind] | None = None
        while True:
            change, wanted = self._change, self.wanted
            if wanted != before:
                before = wanted
                yield wanted
                await asyncio.sleep(_WANTS_EVERY_S)
            else:
                await change.wait()

    def _pass_on(self, listener: Listener, message: Message) -> None:
        listener.take(message)
        kind = message.__struct_config__.tag if not isinstance(message, Lost) else ""
        for subscription in tuple(self._subscriptions):
            if kind in subscription.kinds or isinstance(message, _ALWAYS):
                try:
                    subscription.hear(listener, message)
                except Exception as error:
                    self._note_failure(subscription, error)

    def _note_failure(self, subscription: Subscription, error: Exception) -> None:
        self.failures += 1
        if not subscription.failed:
            subscription.failed = True
            self._reports.failure(subscription.name, error)

    def _note_change(self) -> None:
        self._change.set()
        self._change = asyncio.Event()
