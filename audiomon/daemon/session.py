"""A session: one open source and the worker that listens to it. It ends with its source, and the next one begins.

Owned by one thread. What its worker reports carries the session, so that what a past one still reports is known as
such. It opens nothing and decides nothing; `audiomon.daemon.sessions` does.
"""

from collections.abc import Callable

from audiomon.audio.level import LevelMeter
from audiomon.audio.mono import can_convert
from audiomon.audio.source import LiveSource
from audiomon.clock import Clock
from audiomon.daemon.inbox import TookOver, WorkerEnded
from audiomon.daemon.running import Running
from audiomon.pipeline.accounts import Accounts
from audiomon.pipeline.clip_cutter import ClipCutter
from audiomon.pipeline.clips import ClipSink
from audiomon.pipeline.columns import ColumnSink
from audiomon.pipeline.listener import Announce, Listener
from audiomon.pipeline.output import Output
from audiomon.pipeline.tally import Counting
from audiomon.pipeline.worker import STOP_WAIT_S, InferenceWorker


class Session:
    """An open source, its listener and the worker that steps it.

    Args:
        source: open.
        running: what to listen with.
        output: gets what is heard.
        counting: counts it.
        level: measures it.
        clock: times it.
        post: gets what the worker reports, in the worker's thread.
        accounts: of the source's samples so far, if it has been listened to before.
        columns: gets what there is to look at, if given.
        clips: gets the sound of events, if given.

    Attributes:
        listener: pulls windows from the source.
        worker: steps the listener.

    Raises:
        DeviceError: the source cannot give what the model needs.
    """

    def __init__(
        self,
        source: LiveSource,
        running: Running,
        *,
        output: Output,
        counting: Counting,
        level: LevelMeter,
        clock: Clock,
        post: Callable[[TookOver | WorkerEnded], None],
        accounts: Accounts | None = None,
        columns: ColumnSink | None = None,
        clips: ClipSink | None = None,
    ) -> None:
        self.source = source
        self.listener = Listener(
            source,
            running.classifier,
            running.rules,
            hop_s=running.asked_hop_s,
            channel=running.settings.config.microphone.channel,
            clock=clock,
            level=level,
            accounts=accounts,
            gate_dbfs=running.settings.config.gate_dbfs,
            columns=columns,
            clips=None if clips is None else ClipCutter(source, running.settings.config.microphone.channel, clips),
        )
        self.worker = InferenceWorker(
            self.listener,
            output,
            clock,
            counting=counting,
            on_take_over=lambda take_over: post(TookOver(self, take_over)),
            on_end=lambda error: post(WorkerEnded(self, error)),
        )
        self._opened_ns = clock.monotonic_ns()

    def can_hear_for(self, running: Running) -> bool:
        """Say whether another model can listen to this stream, so that no sample is lost between the two."""
        return can_convert(self.source.sample_rate, running.classifier.spec.sample_rate)

    @property
    def heard_s(self) -> float:
        """Seconds of audio heard so far."""
        return self.listener.position / self.source.sample_rate

    @property
    def delivers(self) -> bool:
        """Whether any sample has come."""
        return self.source.captured_ns > 0

    @property
    def newest_ns(self) -> int:
        """Monotonic time at which the newest sample was captured, read or not; before the first, of the opening."""
        return max(self._opened_ns, self.source.captured_ns)

    def start(self, running: Running, announce: Announce) -> None:
        """Begin to listen; the first window is announced as one after a change is."""
        self.replace(running, announce)
        self.worker.start()

    def replace(self, running: Running, announce: Announce) -> None:
        """Go on with something else from the next window on."""
        self.listener.replace(running.replacement(announce))

    def stop(self) -> bool:
        """Stop listening and close the source.

        Returns:
            False if the worker hangs. It is then left behind, and its copy of the model with it.
        """
        return self.worker.stop(STOP_WAIT_S)
