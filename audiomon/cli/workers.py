"""Work spread over processes whose results come in order, and one of which may die without harm to the others.

Processes are forked before anything has threads, share what is loaded by then, talk through pipes alone (no shared
memory, no semaphores), and die with their parent.
"""

import ctypes
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Message = TypeVar("Message")

# What a process may have said of an item whose turn has not come; then it waits.
_MAX_WAITING_BYTES = 8 << 20
# Items begun before those in front of them are done: their results are kept.
_MAX_AHEAD = 64
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Lost:
    """An item whose process died of it.

    Attributes:
        how: in words: ``killed (SIGKILL)``.
    """

    how: str


@dataclass(slots=True)
class _Process:
    pid: int
    pipe: "connection.Connection[Any, Any]"
    item: int | None = None


@dataclass(slots=True)
class _Result(Generic[Message]):
    messages: deque[Message | Lost] = field(default_factory=deque)
    size: int = 0
    done: bool = False


def in_order(
    items: Sequence[Item], work: Callable[[Item], Iterator[Message]], jobs: int
) -> Generator[tuple[Item, Message | Lost], None, None]:
    """Work on all items, several at a time.

    Args:
        items: what to work on.
        work: gives messages of one item, which can be pickled, as they come.
        jobs: how many processes; 1 works in this one.

    Yields:
        An item and one of its messages, all of one item before those of the next; `Lost` last if its process died.
        Ends the processes when it is closed.
    """
    if jobs == 1:
        for item in items:
            for said in work(item):
                yield item, said
        return
    team = _Team(items, work, jobs)
    try:
        for number, message in team.messages():
            yield items[number], message
    finally:
        team.end()


class _Team(Generic[Item, Message]):
    """The processes, and what they have said."""

    def __init__(self, items: Sequence[Item], work: Callable[[Item], Iterator[Message]], jobs: int) -> None:
        self._items = items
        self._work = work
        self._jobs = jobs
        self._processes: list[_Process] = []
        self._results: dict[int, _Result[Message]] = {}
        self._begun = 0

    def messages(self) -> Iterator[tuple[int, Message | Lost]]:
        """Give all messages in the order of the items."""
        for number in range(len(self._items)):
            while True:
                self._hand_out(number)
                result = self._results[number]
                while result.messages:
                    yield number, result.messages.popleft()
                result.size = 0
                if result.done:
                    break
                self._receive(number)
            del self._results[number]

    def end(self) -> None:
        """Kill all processes."""
        for process in self._processes:
            os.kill(process.pid, signal.SIGKILL)
            os.waitpid(process.pid, 0)
            process.pipe.close()
        self._processes.clear()

    def _hand_out(self, current: int) -> None:
        """Give every idle process something to do, and start those that are missing."""
        idle = [process for process in self._processes if process.item is None]
        while self._begun < min(len(self._items), current + _MAX_AHEAD):
            if not idle:
                if len(self._processes) >= self._jobs:
                    return
                idle.append(self._start())
            process = idle.pop()
            try:
                process.pipe.send(self._begun)
            except OSError:
                self._bury(process)  # killed while it was idle: another one does it
                continue
            process.item = self._begun
            self._results[self._begun] = _Result()
            self._begun += 1

    def _receive(self, current: int) -> None:
        """Wait until a process says something, and keep it."""
        listened = {
            process.pipe: process
            for process in self._processes
            if process.item is not None
            and (process.item == current or self._results[process.item].size < _MAX_WAITING_BYTES)
        }
        for pipe in connection.wait(list(listened)):
            process = listened[pipe]  # type: ignore[index]  # what was given comes back
            assert process.item is not None
            result = self._results[process.item]
            try:
                packet = process.pipe.recv_bytes()
            except (EOFError, OSError):
                self._bury(process)
                continue
            message = _unpacked(packet)
            if message is None:
                result.done = True
                process.item = None
            else:
                result.messages.append(message)
                result.size += len(packet)

    def _bury(self, process: _Process) -> None:
        """Note what a process died of, and what it was at."""
        self._processes.remove(process)
        process.pipe.close()
        _, status = os.waitpid(process.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if process.item is not None:
            result = self._results[process.item]
            how = f"killed ({signal.Signals(-code).name})" if code < 0 else f"ended (status {code})"
            result.messages.append(Lost(how))
            result.done = True

    def _start(self) -> _Process:
        """Start a process."""
        ours, theirs = connection.Pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                ours.close()
                _die_with(parent)
                self._serve(theirs)
                status = 0
            except BaseException:  # it must never return to what its parent was doing
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(status)
        theirs.close()
        process = _Process(pid, ours)
        self._processes.append(process)
        return process

    def _serve(self, pipe: "connection.Connection[Any, Any]") -> None:
        """Work on what comes until nothing more does. Runs in the child."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        while True:
            try:
                number = pipe.recv()
            except EOFError:
                return
            try:
                for message in self._work(self._items[number]):
                    pipe.send(message)
                pipe.send(None)
            except BrokenPipeError:
                return


def _unpacked(packet: bytes) -> Any:
    return connection._ForkingPickler.loads(packet)  # type: ignore[attr-defined]


def _die_with(parent: int) -> None:
    """Have the kernel end this process with its parent, whatever that dies of."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class Batches(Generic[Message]):
    """Puts messages together for a tenth of a second, so that not every line costs a write.

    Args:
        clock: monotonic seconds.
    """

    PATIENCE_S = 0.1

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: list[Message] = []
        self._since_s = clock()

    def extend(self, messages: Iterable[Message]) -> None:
        """Keep messages."""
        self._kept.extend(messages)

    def are_due(self) -> bool:
        """Whether what is kept is to be passed on now."""
        return self._clock() - self._since_s >= self.PATIENCE_S

    def take(self) -> list[Message]:
        """Return all that is kept."""
        kept, self._kept = self._kept, []
        self._since_s = self._clock()
        return kept
