"""What other threads report to the thread that owns the session: the one way that leads to it.

The inference worker, and the thread that opens a source, post messages; they call nothing of the owner's, and share
nothing with it but the ring, the level and the counters.
"""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import msgspec

from audiomon.audio.source import LiveSource
from audiomon.daemon.running import Running
from audiomon.pipeline.listener import TakeOver

if TYPE_CHECKING:
    from audiomon.daemon.opening import Opening
    from audiomon.daemon.session import Session


class TookOver(msgspec.Struct, frozen=True):
    """A replacement has taken over, and has been announced."""

    session: "Session"
    take_over: TakeOver


class WorkerEnded(msgspec.Struct, frozen=True):
    """The worker has ended: with its source, or by an error."""

    session: "Session"
    error: Exception | None


class OpeningEnded(msgspec.Struct, frozen=True):
    """A source is open, or could not be opened.

    Attributes:
        opening: whose thread reports.
        running: what it was opened for, with a fresh copy of the model if that was asked for.
        source: what was opened; None if it could not be.
        error: why it could not be.
    """

    opening: "Opening"
    running: Running
    source: LiveSource | None = None
    error: Exception | None = None


Message = TookOver | WorkerEnded | OpeningEnded


class Inbox:
    """Messages in the order in which they were posted.

    Args:
        wake: called after each, in the thread that posts it.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._messages: SimpleQueue[Message] = SimpleQueue()
        self._wake = wake

    def post(self, message: Message) -> None:
        """Add a message; from any thread."""
        self._messages.put(message)
        self._wake()

    def take(self) -> Message | None:
        """Return the oldest message; None if there is none."""
        try:
            return self._messages.get_nowait()
        except Empty:
            return None
