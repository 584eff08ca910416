"""Which predictions are written at all: a journal on an SD card need not have every one."""

from typing import Literal

from audiomon.pipeline.output import Output
from audiomon.pipeline.prediction import Event, Prediction, Status

Selection = Literal["every", "changes", "events"]


class Selected:
    """Passes on what the configuration's ``journal.predictions`` asks for: every, changes or events.

    Args:
        output: gets what is selected.
        selection: ``every`` prediction, those whose label is another than the one before, or none.
    """

    def __init__(self, output: Output, selection: Selection) -> None:
        self.selection = selection
        self._output = output
        self._label = ""

    def prediction(self, prediction: Prediction) -> None:
        """See `Output.prediction`."""
        changed = prediction.label != self._label
        self._label = prediction.label
        if self.selection == "every" or (self.selection == "changes" and changed):
            self._output.prediction(prediction)

    def event(self, event: Event) -> None:
        """See `Output.event`."""
        self._output.event(event)

    def status(self, status: Status) -> None:
        """See `Output.status`."""
        self._output.status(status)
