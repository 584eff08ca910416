"""What passes between the reloading and the sessions: a change to be put in force, and what became of a model."""

from collections.abc import Callable

import msgspec

from audiomon.daemon.running import Running
from audiomon.errors import AudiomonError
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


class Reversion(msgspec.Struct, frozen=True):
    """A model that failed while it listened, and was replaced by the one that worked before it.

    Attributes:
        digest: of the files of the package that failed.
        reason: what it did, in one line that names it.
    """

    digest: str
    reason: str
