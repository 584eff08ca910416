"""How the keeper stands, in a small file in memory: for ``audiomon status``."""

from pathlib import Path

from audiomon.runtime_files import ProcessStatus, read_if_running

KEEPER_RUNTIME = Path("/run/audiomon-keeper")
FILE = "status.json"
WRITE_S = 5.0


class KeeperStatus(ProcessStatus, frozen=True):
    """Everything at one moment.

    Attributes:
        pid: of the keeper.
        version: of audiomon.
        listeners: names of those that it is connected to.
        clips: on disk.
        mb: that they take.
        counts: what has been done since the folder was made: kept, refused, removed, each with its reason.
        clock_is_set: whether clips may be deleted by their age.
        problem: what is wrong, in one line; empty if nothing is.
    """

    version: str
    listeners: tuple[str, ...]
    clips: int
    mb: float
    counts: dict[str, int]
    clock_is_set: bool
    problem: str

    @property
    def line(self) -> str:
        """All of it in one line."""
        parts = [f"{self.clips} clips, {self.mb:.1f} MB", f"following {', '.join(self.listeners) or 'no listener'}"]
        parts += [f"{number} {name}" for name, number in sorted(self.counts.items())]
        parts += [] if self.clock_is_set else ["the clock is not synchronised: nothing is deleted by age"]
        return " · ".join([*parts, *([self.problem] if self.problem else [])])


def read_keeper_status(folder: Path = KEEPER_RUNTIME) -> KeeperStatus | None:
    """Return how the keeper stands; None where none runs.

    Raises:
        UserError: it cannot be read, or is damaged.
    """
    return read_if_running(folder, FILE, KeeperStatus)
