"""The inference worker: the thread that pulls windows through a listener and hands on what was heard.

It owns the interpreter while it runs. It waits for samples, never for an output.
"""

import threading
from collections.abc import Callable

from audiomon.clock import Clock
from audiomon.errors import DeviceError
from audiomon.pipeline.listener import Heard, Listener
from audiomon.pipeline.output import Output
from audiomon.pipeline.overload import Overload
from audiomon.pipeline.prediction import Prediction, Status
from audiomon.pipeline.tally import Counting, Tally

# Ctrl-C must end within a second; a worker that has not ended by then is inside a model or a driver, and is left there.
STOP_PATIENCE_S = 0.7


class InferenceWorker:
    """Steps a listener until its source ends, it is told to stop, or something fails.

    Args:
        listener: what to step.
        output: gets predictions, events, and a status when audio was lost.
        clock: dates the statuses.
        counting: counts on; a new one if None.
        on_take_over: called in this thread with what took over, before its prediction goes out.
        on_done: called in this thread when it has ended.

    Attributes:
        last: the newest prediction.
        stepped_ns: monotonic time at which it last asked for a window; a thread that hangs leaves this behind.
        error: what ended it, if not the source's end or `stop`.
        done: set when it has ended.
    """

    def __init__(
        self,
        listener: Listener,
        output: Output,
        clock: Clock,
        *,
        counting: Counting | None = None,
        on_take_over: Callable[[Heard], None] | None = None,
        on_done: Callable[[], None] | None = None,
    ) -> None:
        self.last: Prediction | None = None
        self.stepped_ns = clock.monotonic_ns()
        self.error: Exception | None = None
        self.done = threading.Event()
        self._listener = listener
        self._counting = counting or Counting()
        self._output = output
        self._clock = clock
        self._on_take_over = on_take_over
        self._on_done = on_done
        self._closed = threading.Event()
        self._overload = Overload(listener.source.sample_rate, clock)
        self._stopping = self._abandoned = False
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)

    @property
    def tally(self) -> Tally:
        """What has been done so far."""
        return self._counting.total

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Ask it to end and wait; False if it has not ended in time."""
        self._stopping = True
        self._listener.source.close()
        self._closed.set()
        return self.done.wait(timeout_s)

    def abandon(self) -> None:
        """Leave the thread behind, since it hangs: should it ever move again, nothing more comes of it."""
        self._stopping = self._abandoned = True

    def _run(self) -> None:
        try:
            while not self._stopping and not self._listener.ended:
                self.stepped_ns = self._clock.monotonic_ns()
                self._step()
            self._finish()
        except DeviceError as error:
            self._finish()
            self._fail(error)
        except Exception as error:
            # The stream may go on without this thread, and so do its accounts.
            self._fail(error)
        finally:
            self.done.set()
            if self._on_done is not None:
                self._on_done()

    def _fail(self, error: Exception) -> None:
        # Handed to the main thread, which decides; a thread has nobody to raise to.
        if not self._stopping:
            self.error = error

    def _step(self) -> None:
        heard = self._listener.next()
        if heard is None or self._abandoned:
            return
        prediction = heard.prediction
        if prediction is None:
            self._counting.add_gated(heard.fates)
        else:
            self._counting.add(prediction, sum(event.state == "on" for event in heard.events), heard.fates)
            self.last = prediction
        model = self._listener.classifier.package.manifest.name
        self._tell(self._overload.note(heard.fates, self._listener.pace, model))
        if heard.lost:
            self._output.status(self._loss(heard.lost))
        if heard.take_over is not None and self._on_take_over is not None:
            self._on_take_over(heard)
        if prediction is not None:
            self._output.prediction(prediction)
        for event in heard.events:
            self._output.event(event)

    def _finish(self) -> None:
        """Count and tell what no further prediction will tell of."""
        if self._stopping:
            # Until then, a microphone goes on capturing what would be counted by nobody.
            self._closed.wait(STOP_PATIENCE_S)
        if self._abandoned:
            return
        fates = self._listener.finish()
        self._counting.add_fates(fates)
        if fates.lost:
            self._output.status(self._loss(fates.lost))
        model = self._listener.classifier.package.manifest.name
        self._tell(self._overload.note(fates, self._listener.pace, model))
        self._tell(self._overload.finish(f"{model} was too slow until the stream ended"))

    def _tell(self, status: Status | None) -> None:
        if status is not None:
            self._output.status(status)

    def _loss(self, lost: int) -> Status:
        seconds = lost / self._listener.source.sample_rate
        return Status(
            "audio-lost",
            f"lost {lost} samples ({seconds:.2f} s) of {self._listener.source.name}",
            self._clock.time_ns(),
            {"lost": lost, "lost_s": round(seconds, 6)},
            "warning",
        )
