"""How the link stands, in a small file in memory: for ``audiomon status`` and ``audiomon doctor``."""

from pathlib import Path

import msgspec

from audiomon.runtime_files import ProcessStatus, read_if_running

LINK_RUNTIME = Path("/run/audiomon-link")
FILE = "status.json"
WRITE_S = 5.0


class FollowedListener(msgspec.Struct, frozen=True):
    """One listener, as the link sees it.

    Attributes:
        up: whether its feed is being read.
        problem: why not, in one line; empty if it is.
        missed: lines that were dropped so far, since they were not read in time.
    """

    up: bool
    problem: str
    missed: int


class LinkStatus(ProcessStatus, frozen=True):
    """Everything at one moment.

    Attributes:
        pid: of the link.
        version: of audiomon.
        at_s: when this was so, in seconds of the machine's monotonic clock.
        refused: why ``link.yaml`` as it is saved is not in force; empty if it is.
        listeners: by the name of the instance.
        parts: what is wrong with each part that runs; empty where nothing is.
        notes: what else there is to say of a part: where the page is, what came of actions.
    """

    version: str
    at_s: float
    refused: str
    listeners: dict[str, FollowedListener]
    parts: dict[str, str]
    notes: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        """What is wrong, a line each."""
        found = [f"goes on as before, since it refuses: {self.refused}"] if self.refused else []
        found += [f"{name}: {one.problem}" for name, one in self.listeners.items() if not one.up]
        return found + [f"{name}: {problem}" for name, problem in self.parts.items() if problem]

    @property
    def line(self) -> str:
        """All of it in one line."""
        up = [name for name, one in self.listeners.items() if one.up]
        parts = [f"following {', '.join(up) or 'no listener'}"]
        for name, problem in self.parts.items():
            if not problem:
                note = self.notes.get(name)
                parts.append(f"{name} works" + (f" ({note})" if note else ""))
        missed = sum(one.missed for one in self.listeners.values())
        return " · ".join([*parts, *([f"{missed} lines missed"] if missed else []), *self.problems])


def read_link_status(folder: Path = LINK_RUNTIME) -> LinkStatus | None:
    """Return how the link stands; None where none runs.

    Raises:
        UserError: it cannot be read, or is damaged.
    """
    return read_if_running(folder, FILE, LinkStatus)
