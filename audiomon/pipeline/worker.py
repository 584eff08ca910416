"""The inference worker: the thread that pulls windows through a listener and hands on what was heard.

It owns the interpreter while it runs. It waits for samples; whether it waits for an output is the output's choice. It
keeps no error and calls nothing of its owner's but two callbacks, which only post a message.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from audiomon.clock import Clock
from audiomon.errors import DeviceError
from audiomon.pipeline.listener import Heard, Listener, TakeOver
from audiomon.pipeline.losses import Losses
from audiomon.pipeline.output import Output
from audiomon.pipeline.overload import Overload
from audiomon.pipeline.prediction import Prediction, Status, StatusKind
from audiomon.pipeline.tally import Counting, Tally

# Ctrl-C must end within a second; a worker that has not ended by then is inside a model or a driver, and is left there.
STOP_WAIT_S = 0.7


class InferenceWorker:
    """Steps a listener until its source ends, `stop` is called, or something fails.

    Args:
        listener: what to step.
        output: gets predictions, events, and a status when audio was lost.
        clock: dates the statuses.
        counting: counts on; a new one if None.
        on_take_over: called in this thread when a replacement has taken over and has been announced.
        on_end: called in this thread when it has ended, with what ended it if that was neither the source's end nor
            `stop`. The error is passed on and not kept: its traceback holds this object.

    Attributes:
        last: the newest prediction.
        stepped_ns: monotonic time at which it last asked for a window; a thread that hangs leaves this behind.
        done: set when it has ended.
    """

    def __init__(
        self,
        listener: Listener,
        output: Output,
        clock: Clock,
        *,
        counting: Counting | None = None,
        on_take_over: Callable[[TakeOver], None] | None = None,
        on_end: Callable[[Exception | None], None] | None = None,
    ) -> None:
        self.last: Prediction | None = None
        self.stepped_ns = clock.monotonic_ns()
        self.done = threading.Event()
        self._listener = listener
        self._counting = counting or Counting()
        self._output = output
        self._clock = clock
        self._on_take_over = on_take_over
        self._on_end = on_end
        self._source_closed = threading.Event()
        self._overload = Overload(listener.source.sample_rate, clock)
        self._stopping = self._finished = False
        # Held while a window is counted and written, so that what is abandoned is counted by either side, not by both.
        self._handing_on = threading.Lock()
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)

    @property
    def tally(self) -> Tally:
        """What has been done so far."""
        return self._counting.total

    def cpu_s(self) -> float:
        """Return how long its thread has computed, in seconds of CPU time; of one that is `done`, any number."""
        try:
            told = Path(f"/proc/self/task/{self._thread.native_id}/stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            return 0.0
        # The thread's name, in parentheses, may hold anything; user and system time are 12th and 13th after it.
        user, system = told.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Close the source and wait for the thread to end.

        A thread that does not end in time hangs in a model, a driver or an output, and is abandoned: should it ever
        move again, nothing more comes of it. What it has not counted is counted here.

        Returns:
            False if it was abandoned.
        """
        self._stopping = True
        self._listener.source.close()
        self._source_closed.set()
        if self.done.wait(timeout_s):
            if not self._finished:  # it failed, and its stream was not taken up again
                self._counting.add_fates(self._listener.finish())
            return True
        if self._handing_on.acquire(timeout=timeout_s):
            self._abandoned = True
            self._handing_on.release()
        self._abandoned = True
        self._counting.add_fates(self._listener.finish())
        return False

    def _run(self) -> None:
        error: Exception | None = None
        try:
            while not self._stopping and not self._listener.ended:
                self.stepped_ns = self._clock.monotonic_ns()
                self._step()
            self._finish()
        except DeviceError as failure:
            self._finish()
            error = failure
        except Exception as failure:
            # The stream may go on without this thread, and so do its accounts.
            error = failure
        finally:
            self.done.set()
            if self._on_end is not None:
                self._on_end(None if self._stopping else error)
            # Two cycles, which only the cyclic collector would free, and with them the source and its ring: the
            # traceback holds this frame, and the callbacks hold the worker's owner.
            error = self._on_end = self._on_take_over = None

    def _step(self) -> None:
        heard = self._listener.next()
        if heard is None:
            return
        with self._handing_on:
            if not self._abandoned:
                self._hand_on(heard)

    def _hand_on(self, heard: Heard) -> None:
        prediction = heard.prediction
        if prediction is None:
            self._counting.add_gated(heard.fates)
        else:
            self._counting.add(prediction, sum(event.state == "on" for event in heard.events), heard.fates)
            self.last = prediction
        model = self._listener.classifier.package.manifest.name
        self._say(self._overload.note(heard.fates, self._listener.pace, model))
        if heard.lost:
            self._output.status(self._loss(heard.lost))
        for take_over in heard.take_overs:
            for status in take_over.statuses:
                self._output.status(status)
            if self._on_take_over is not None:
                self._on_take_over(take_over)
        if prediction is not None:
            self._output.prediction(prediction)
        for event in heard.events:
            self._output.event(event)

    def _finish(self) -> None:
        """Count and report what no further prediction will."""
        if self._stopping:
            # Until then, a live source goes on capturing what would not be counted.
            self._source_closed.wait(STOP_WAIT_S)
        with self._handing_on:
            if self._abandoned:
                return
            self._finished = True
            fates = self._listener.finish()
            self._counting.add_fates(fates)
            if fates.lost:
                self._output.status(self._loss(fates.lost))
            model = self._listener.classifier.package.manifest.name
            self._say(self._overload.note(fates, self._listener.pace, model))
            self._say(self._overload.finish(f"{model} was too slow until the stream ended"))

    def _say(self, status: Status | None) -> None:
        if status is not None:
            self._output.status(status)

    def _loss(self, lost: int) -> Status:
        seconds = lost / self._listener.source.sample_rate
        return Status(
            StatusKind.AUDIO_LOST,
            f"lost {lost} samples ({seconds:.2f} s) of {self._listener.source.name}",
            self._clock.time_ns(),
            {**Losses(lost).facts, "lost_s": round(seconds, 6)},
            "warning",
        )
