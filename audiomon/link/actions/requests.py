"""What goes between the link and the units that run programs: one line there, one line back.

The link says which rule of ``link.yaml`` is due and what happened. It does not say what to run.
"""

from pathlib import Path

import msgspec

from audiomon.link.actions.facts import Facts

# Made by systemd: audiomon-command.socket and audiomon-apprise.socket.
SOCKETS = Path("/run")

MAX_REQUEST_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 64 * 1024


class Request(msgspec.Struct, frozen=True):
    """What is due.

    Attributes:
        rule: number of the action in ``link.yaml``, from 0.
        facts: what happened.
    """

    rule: int
    facts: Facts


class Answer(msgspec.Struct, frozen=True):
    """What came of it.

    Attributes:
        done: whether the program ended well.
        said: how it ended, in one line.
    """

    done: bool
    said: str


def socket_of(kind: str, folder: Path = SOCKETS) -> Path:
    """Return the socket of the unit that runs actions of a kind: ``command`` or ``apprise``."""
    return folder / f"audiomon-{kind}.sock"
