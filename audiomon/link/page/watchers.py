"""Who watches the page, and what is sent to them: server-sent events, the same bytes to all, bounded for each."""

import asyncio
from collections import deque
from typing import Any

import msgspec

MAX_WATCHERS = 8
# What waits for a watcher that does not read; more, and it is dropped. It comes back, and is shown all that holds then.
MAX_BACKLOG_BYTES = 256 * 1024


class Watcher:
    """One open page.

    Attributes:
        dropped: whether it did not read, and is to be closed.
    """

    def __init__(self) -> None:
        self.dropped = False
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._ready = asyncio.Event()

    def put(self, event: bytes) -> None:
        """Have an event sent to it. Never waits."""
        if self._bytes + len(event) > MAX_BACKLOG_BYTES:
            self.drop()
        if not self.dropped:
            self._waiting.append(event)
            self._bytes += len(event)
            self._ready.set()

    def drop(self) -> None:
        """Have it closed."""
        self.dropped = True
        self._waiting.clear()
        self._ready.set()

    async def take(self) -> bytes:
        """Wait for events, and return all there are; empty if it is to be closed."""
        await self._ready.wait()
        self._ready.clear()
        events = b"".join(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        return events


class Watchers:
    """All open pages."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()

    def __len__(self) -> int:
        return len(self._watchers)

    @property
    def full(self) -> bool:
        """Whether there is no room for another."""
        return len(self._watchers) >= MAX_WATCHERS

    def add(self, first: Any) -> Watcher:
        """Open a page, and send it a message before all others."""
        watcher = Watcher()
        watcher.put(event_of(first))
        self._watchers.add(watcher)
        return watcher

    def remove(self, watcher: Watcher) -> None:
        """Close a page."""
        self._watchers.discard(watcher)

    def send(self, message: Any) -> None:
        """Send a message to all."""
        if self._watchers:
            event = event_of(message)
            for watcher in self._watchers:
                watcher.put(event)

    def close(self) -> None:
        """Close all pages."""
        for watcher in self._watchers:
            watcher.drop()


def event_of(message: Any) -> bytes:
    """Write a message as a server-sent event; JSON has no line ends."""
    return b"data: " + msgspec.json.encode(message) + b"\n\n"
