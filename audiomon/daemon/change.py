"""What passes between the reloading and the sessions: a change to be put in force, and what became of a model.

Decides nothing and reports nothing.
"""

from collections.abc import Callable

import msgspec

from audiomon.daemon.messages import Changed, Gap
from audiomon.daemon.running import Running
from audiomon.errors import AudiomonError
from audiomon.pipeline.listener import Announce
from audiomon.pipeline.losses import Losses
from audiomon.pipeline.prediction import Status


class Change:
    """Something else to be put in force.

    Args:
        running: what.
        reopens: whether the source has to be closed and opened again.
        status: says that it holds, given what was not heard for it.

    Attributes:
        outcome: what came of it, in one line; None until then.
        error: why it cannot be; what was in force before is again.
    """

    def __init__(self, running: Running, *, reopens: bool, status: Callable[[Losses], Status]) -> None:
        self.running = running
        self.reopens = reopens
        self.status = status
        self.outcome: str | None = None
        self.error: AudiomonError | None = None


class PendingChange:
    """The change that does not hold yet, if there is one, and what announces it once that is with a listener.

    Attributes:
        change: None if there is none.
    """

    def __init__(self) -> None:
        self.change: Change | None = None
        self._announce: Announce | None = None

    def announced_after(self, gap: Gap, otherwise: Announce) -> Announce:
        """Return what will announce it with the first window after a gap; something else if there is no change."""
        if self.change is None:
            return otherwise
        self._announce = Changed(self.change.status, gap)
        return self._announce

    def is_announced_by(self, announce: Announce) -> bool:
        """Return whether this is what announces it."""
        return self.change is not None and announce is self._announce

    def hold(self, outcome: str) -> None:
        """Note that it holds, and what came of it."""
        if self.change is not None:
            self.change.outcome = outcome
        self.change = self._announce = None

    def refuse(self, error: AudiomonError) -> None:
        """Note that it cannot be."""
        if self.change is not None:
            self.change.error = error
        self.change = None


class Reversion(msgspec.Struct, frozen=True):
    """A model that failed while it listened, and was replaced by the one that worked before it.

    Attributes:
        digest: of the files of the package that failed.
        reason: what it did, in one line that names it.
    """

    digest: str
    reason: str
