"""A live output to something that may block: a thread writes, from a bounded queue.

What is taken without waiting is written at once, by the caller: a pipe or a socket that has room, where the kernel can
tell. A terminal or a file is the thread's.
"""

import threading
from collections import deque
from collections.abc import Callable

from audiomon.clock import Clock
from audiomon.config import Config
from audiomon.outputs.observations import Observation
from audiomon.outputs.unwaiting import UnwaitingStream
from audiomon.pipeline.output import Output
from audiomon.pipeline.prediction import Audience, Event, Prediction, Status, StatusKind

# About four minutes at two predictions a second.
MAX_WAITING = 500
# How long the end waits for a reader that is slow.
_CLOSE_WAIT_S = 0.5


class Queued:
    """Hands entries to another output in a thread of its own.

    The oldest entries are dropped when the reader does not keep up, and how many is written once it reads again.

    Args:
        output: writes, in the thread; may block, and raises OSError when its reader is gone.
        name: for messages about it.
        clock: dates the statuses.
        max_waiting: entries kept for a reader that does not keep up.
        stream: what the output writes to, if it may be tried whether that takes an entry at once.

    Attributes:
        gone: whether its reader is gone for good: writing has failed.
        lost: entries dropped so far, since the reader did not keep up.
        error: what writing failed with, but for a reader that has gone.
    """

    audience = Audience.SCREEN
    fd = None
    wants_columns = False

    def __init__(
        self,
        output: Output,
        name: str,
        clock: Clock,
        *,
        max_waiting: int = MAX_WAITING,
        stream: UnwaitingStream | None = None,
    ) -> None:
        self.name = name
        self.gone = False
        self.lost = 0
        self.error: Exception | None = None
        self._output = output
        self._clock = clock
        self._max_waiting = max_waiting
        self._stream = stream
        self._reported_lost = 0
        self._queue: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._writing = self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"output-{name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """See `LiveOutput.waiting`."""
        return len(self._queue)

    def prediction(self, prediction: Prediction) -> None:
        """See `Output.prediction`."""
        self._add(lambda: self._output.prediction(prediction))

    def event(self, event: Event) -> None:
        """See `Output.event`."""
        self._add(lambda: self._output.event(event))

    def status(self, status: Status) -> None:
        """See `Output.status`."""
        self._add(lambda: self._output.status(status))

    def configure(self, config: Config) -> None:
        """See `LiveOutput.configure`: the command line says what is written here."""

    def observe(self, observation: Observation) -> None:
        """See `LiveOutput.observe`: what is so is not written."""

    def flush(self) -> None:
        """See `LiveOutput.flush`: the thread writes as soon as it can."""

    def close(self) -> None:
        """See `LiveOutput.close`. A reader that does not read is left; the thread ends with the process."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(_CLOSE_WAIT_S)

    def _add(self, write: Callable[[], None]) -> None:
        with self._changed:
            if self.gone or self._written_at_once(write):
                return
            self._queue.append(write)
            if len(self._queue) > self._max_waiting:
                # Not the rest of a line that has been begun.
                del self._queue[1 if self._stream is not None and self._queue[0] == self._stream.finish else 0]
                self.lost += 1
            self._changed.notify_all()

    def _written_at_once(self, write: Callable[[], None]) -> bool:
        """Write an entry in the caller's thread if nothing is before it, and nothing has to be waited for."""
        if self._stream is None or not self._stream.can_tell or self._writing or self._queue:
            return False
        if self.lost != self._reported_lost:
            return False
        try:
            if not self._stream.attempt(write):
                self._queue.append(self._stream.finish)
                self._changed.notify_all()
        except Exception as error:
            self._fail(error)
        return True

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, BrokenPipeError):
            self.error = error.with_traceback(None)
        self.gone = True
        self._queue.clear()

    def _run(self) -> None:
        while (write := self._next()) is not None:
            try:
                write()
            except Exception as error:
                # A thread has no caller to raise to.
                with self._changed:
                    self._fail(error)
                return

    def _next(self) -> Callable[[], None] | None:
        """Wait for the next entry; None when it is closed and nothing is left."""
        with self._changed:
            self._writing = False
            while not self._queue and not self._closing:
                self._changed.wait()
            self._writing = True
            lost = self.lost - self._reported_lost
            if lost:
                self._reported_lost = self.lost
                return lambda: self._output.status(self._loss(lost))
            return self._queue.popleft() if self._queue else None

    def _loss(self, lost: int) -> Status:
        message = f"{lost} entries were not written: {self.name} did not take them in time"
        return Status(StatusKind.OUTPUT_LOST, message, self._clock.time_ns(), {"entries_lost": lost}, "warning")
