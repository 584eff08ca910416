"""What an output is: somewhere that predictions, events and statuses are written to."""

from typing import Protocol

from audiomon.pipeline.prediction import Event, Prediction, Status


class Output(Protocol):
    """Somewhere to write.

    Live, the inference worker and the supervisor call it, and it neither raises nor waits: `audiomon.outputs.fanout`
    stands between them and what might. Offline it may do both.
    """

    def prediction(self, prediction: Prediction) -> None:
        """Write one window's prediction."""
        ...

    def event(self, event: Event) -> None:
        """Write that a label turned on or off."""
        ...

    def status(self, status: Status) -> None:
        """Write something about the listener itself."""
        ...
