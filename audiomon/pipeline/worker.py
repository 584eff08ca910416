"""The inference worker: the thread that pulls windows through a listener and hands on what was heard.

It owns the interpreter while it runs. It waits for samples, never for an output.
"""

import threading

from audiomon.clock import Clock
from audiomon.pipeline.listener import Listener
from audiomon.pipeline.output import Output
from audiomon.pipeline.prediction import Status
from audiomon.pipeline.tally import Tally


class InferenceWorker:
    """Steps a listener until its source ends, it is told to stop, or something fails.

    Args:
        listener: what to step.
        output: gets predictions, events, and a status when audio was lost.
        clock: dates the statuses.

    Attributes:
        tally: what it has done so far.
        error: what ended it, if not the source's end or `stop`.
        done: set when it has ended.
    """

    def __init__(self, listener: Listener, output: Output, clock: Clock) -> None:
        self.tally = Tally()
        self.error: Exception | None = None
        self.done = threading.Event()
        self._listener = listener
        self._output = output
        self._clock = clock
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Ask it to end and wait; False if it has not ended in time."""
        self._stopping = True
        self._listener.source.close()
        return self.done.wait(timeout_s)

    def _run(self) -> None:
        try:
            while not self._stopping and not self._listener.ended:
                self._step()
        except Exception as error:
            # Handed to the main thread, which decides; a thread has nobody to raise to.
            if not self._stopping:
                self.error = error
        finally:
            self.done.set()

    def _step(self) -> None:
        heard = self._listener.next()
        if heard is None:
            return
        prediction = heard.prediction
        self.tally.add(prediction)
        if prediction.lost:
            self._output.status(self._loss(prediction.lost))
        self._output.prediction(prediction)
        for event in heard.events:
            self.tally.events += event.state == "on"
            self._output.event(event)

    def _loss(self, lost: int) -> Status:
        seconds = lost / self._listener.source.sample_rate
        return Status(
            "audio-lost",
            f"lost {lost} samples ({seconds:.2f} s) of {self._listener.source.name}",
            self._clock.time_ns(),
            {"lost": lost, "lost_s": round(seconds, 6)},
            "warning",
        )
