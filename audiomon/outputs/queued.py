"""A live output to something that may block: a thread writes, from a bounded queue."""

import threading
from collections import deque
from collections.abc import Callable

from audiomon.clock import Clock
from audiomon.config import Config
from audiomon.outputs.observations import Observation
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

    Attributes:
        gone: whether its reader is gone for good: writing has failed.
        lost: entries dropped so far, since the reader did not keep up.
        error: what writing failed with, but for a reader that has gone.
    """

    audience = Audience.SCREEN
    fd = None
    wants_columns = False

    def __init__(self, output: Output, name: str, clock: Clock, *, max_waiting: int = MAX_WAITING) -> None:
        self.name = name
        self.gone = False
        self.lost = 0
        self.error: Exception | None = None
        self._output = output
        self._clock = clock
        self._max_waiting = max_waiting
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
            if self.gone:
                return
            self._queue.append(write)
            if len(self._queue) > self._max_waiting:
                self._queue.popleft()
                self.lost += 1
            self._changed.notify_all()

    def _run(self) -> None:
        while (write := self._next()) is not None:
            try:
                write()
            except Exception as error:
                # A thread has no caller to raise to.
                if not isinstance(error, BrokenPipeError):
                    self.error = error.with_traceback(None)
                with self._changed:
                    self.gone = True
                    self._queue.clear()
                return

    def _next(self) -> Callable[[], None] | None:
        """Wait for the next entry; None when it is closed and nothing is left."""
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            lost = self.lost - self._reported_lost
            if lost:
                self._reported_lost = self.lost
                return lambda: self._output.status(self._loss(lost))
            return self._queue.popleft() if self._queue else None

    def _loss(self, lost: int) -> Status:
        message = f"{lost} entries were not written: {self.name} did not take them in time"
        return Status(StatusKind.OUTPUT_LOST, message, self._clock.time_ns(), {"entries_lost": lost}, "warning")
