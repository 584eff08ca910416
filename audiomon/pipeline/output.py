"""What an output is: somewhere that predictions, events and statuses are written to."""

from typing import Protocol

from audiomon.pipeline.prediction import Event, Prediction, Status


class Output(Protocol):
    """Somewhere to write. Called from the inference worker; must not wait for anybody."""

    def prediction(self, prediction: Prediction) -> None:
        """Write one window's prediction."""
        ...

    def event(self, event: Event) -> None:
        """Write that a label turned on or off."""
        ...

    def status(self, status: Status) -> None:
        """Write something about the listener itself."""
        ...
