"""What an output for live listening is, and the fan-out to all of them: none can raise into it, none is waited for.

An output that writes to a non-blocking socket is called directly, by the inference worker and the supervisor, and keeps
a bounded backlog of its own. One that writes to what may block (a terminal, a pipe, a file) has a thread and a bounded
queue: `audiomon.outputs.queued`.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from audiomon.clock import Clock
from audiomon.config import Config
from audiomon.outputs.observations import Observation
from audiomon.pipeline.columns import Columns
from audiomon.pipeline.output import Output
from audiomon.pipeline.prediction import Audience, Event, Facts, Prediction, Status, StatusKind

_Content = TypeVar("_Content")


class LiveOutput(Output, Protocol):
    """An output that never waits. Called by the inference worker and by the supervisor.

    Attributes:
        name: for messages about it.
        audience: which statuses it gets, besides those for all.
        error: what writing to it has failed with for good; None while it has not.
    """

    name: str
    audience: Audience
    error: Exception | None

    @property
    def fd(self) -> int | None:
        """What can be read from when `flush` has something to do before the next second; None if nothing ever can."""
        ...

    @property
    def wants_columns(self) -> bool:
        """Whether it shows columns of a spectrogram to anybody."""
        ...

    @property
    def waiting(self) -> int:
        """Entries that its reader has not taken yet."""
        ...

    @property
    def lost(self) -> int:
        """Entries dropped so far because too many were waiting."""
        ...

    @property
    def gone(self) -> bool:
        """Whether its reader is gone for good."""
        ...

    def configure(self, config: Config) -> None:
        """Apply the settings that concern it; at the start, and after each change."""
        ...

    def observe(self, observation: Observation) -> None:
        """Take note of what is so, if it passes that on."""
        ...

    def flush(self) -> None:
        """Write what is waiting, as far as it is taken now; called about once a second."""
        ...

    def close(self) -> None:
        """Write what is waiting, as far as it is taken soon, and release everything."""
        ...


class Fanout:
    """Passes everything on to several outputs.

    One that raises costs its own entries only, and is reported to the others the first time.

    Args:
        outputs: to pass on to.
        clock: dates what is said of them.

    Attributes:
        failures: exceptions that outputs have raised so far.
    """

    def __init__(self, outputs: Sequence[LiveOutput], clock: Clock) -> None:
        self.failures = 0
        self._outputs = tuple(outputs)
        self._clock = clock
        self._failing: set[str] = set()

    @property
    def fds(self) -> tuple[int, ...]:
        """What to wait for besides the next second, to `flush`."""
        return tuple(output.fd for output in self._outputs if output.fd is not None)

    @property
    def wants_columns(self) -> bool:
        """Whether anybody looks at columns of a spectrogram; see `audiomon.pipeline.columns.ColumnSink`."""
        return any(output.wants_columns for output in self._outputs)

    @property
    def waiting(self) -> int:
        """Entries that are waiting, in all outputs."""
        return sum(output.waiting for output in self._outputs)

    @property
    def lost(self) -> int:
        """Entries dropped so far, in all outputs."""
        return sum(output.lost for output in self._outputs)

    @property
    def gone(self) -> bool:
        """Whether the readers of all outputs are gone for good."""
        return all(output.gone for output in self._outputs)

    @property
    def failure(self) -> tuple[str, Exception] | None:
        """Name of an output whose writing has failed for good, and the error; a reader that left is no failure."""
        failed = ((output.name, output.error) for output in self._outputs if output.gone and output.error)
        return next(failed, None)

    def prediction(self, prediction: Prediction) -> None:
        """See `Output.prediction`."""
        for output in self._outputs:
            self._guarded(output, output.prediction, prediction)

    def event(self, event: Event) -> None:
        """See `Output.event`."""
        for output in self._outputs:
            self._guarded(output, output.event, event)

    def status(self, status: Status) -> None:
        """See `Output.status`."""
        for output in self._outputs:
            if status.audience in (Audience.ALL, output.audience):
                self._guarded(output, output.status, status)

    def columns(self, columns: Columns) -> None:
        """Pass on columns of a spectrogram."""
        self.observe(columns)

    def observe(self, observation: Observation) -> None:
        """See `LiveOutput.observe`."""
        for output in self._outputs:
            self._guarded(output, output.observe, observation)

    def configure(self, config: Config) -> None:
        """See `LiveOutput.configure`."""
        for output in self._outputs:
            self._guarded(output, output.configure, config)

    def flush(self) -> None:
        """See `LiveOutput.flush`."""
        for output in self._outputs:
            self._guarded(output, _flush, output)

    def close(self) -> None:
        """See `LiveOutput.close`."""
        for output in self._outputs:
            self._guarded(output, _close, output)

    def _guarded(self, output: LiveOutput, call: Callable[[_Content], None], content: _Content) -> None:
        try:
            call(content)
        except Exception as error:
            self._note_failure(output, error)

    def _note_failure(self, output: LiveOutput, error: Exception) -> None:
        self.failures += 1
        if output.name in self._failing:
            return
        self._failing.add(output.name)
        reason = f"{type(error).__name__}: {error}"
        message = f"The output {output.name} failed: {reason}. What it misses is not repeated."
        facts: Facts = {"output": output.name, "reason": reason}
        status = Status(StatusKind.OUTPUT_FAILED, message, self._clock.time_ns(), facts, "error")
        for other in self._outputs:
            if other is not output:
                self._guarded(other, other.status, status)


def _flush(output: LiveOutput) -> None:
    output.flush()


def _close(output: LiveOutput) -> None:
    output.close()
