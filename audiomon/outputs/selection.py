"""Which predictions are written at all, and how much of each: a journal on an SD card need not have everything."""

from typing import Literal

from audiomon.pipeline.output import Output
from audiomon.pipeline.prediction import Event, Prediction, Status

Selection = Literal["every", "changes", "events"]

# Scores of a prediction that are written by default, of a model that has more.
SCORES_WRITTEN = 20


class Selector:
    """Decides what is written; has to see every prediction.

    Args:
        selection: ``every`` prediction, those whose label is another than the one before, or none (``events``).
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._label = ""

    def wants(self, prediction: Prediction) -> bool:
        """Say whether this one is to be written."""
        changed = prediction.label != self._label
        self._label = prediction.label
        return self._selection == "every" or (self._selection == "changes" and changed)


class Selected:
    """Passes on the predictions that were asked for, and everything else.

    Args:
        output: gets what is selected.
        selection: see `Selector`.
    """

    def __init__(self, output: Output, selection: Selection) -> None:
        self._output = output
        self._selector = Selector(selection)

    def prediction(self, prediction: Prediction) -> None:
        """See `Output.prediction`."""
        if self._selector.wants(prediction):
            self._output.prediction(prediction)

    def event(self, event: Event) -> None:
        """See `Output.event`."""
        self._output.event(event)

    def status(self, status: Status) -> None:
        """See `Output.status`."""
        self._output.status(status)
