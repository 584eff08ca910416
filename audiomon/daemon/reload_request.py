"""How a reload went, for the command that asked for it: a small file in the service's runtime folder.

The daemon writes it; ``audiomon reload`` sends SIGHUP and reads it. Both run as the same user in the same unit.
"""

import os
import signal
import time
from pathlib import Path

import msgspec

from audiomon.errors import AudiomonError, UserError
from audiomon.runtime_files import read_runtime

FILE = "reload.json"

_LOOK_AGAIN_S = 0.02


class ReloadState(msgspec.Struct, frozen=True):
    """What the daemon has done so far.

    Attributes:
        pid: of the daemon.
        begun: reloads it has begun, each of which read the configuration after it was counted.
        ended: the last reload that has ended; they are numbered by ``begun``.
        outcome: of that one, in one line.
        refused: whether that one was refused, so that the old settings still hold.
    """

    pid: int
    begun: int = 0
    ended: int = 0
    outcome: str = ""
    refused: bool = False


def request_reload(folder: Path, patience_s: float) -> str:
    """Ask the daemon to reload, and wait for the outcome.

    Args:
        folder: its runtime folder.
        patience_s: how long to wait.

    Returns:
        What has changed, in one line.

    Raises:
        UserError: no daemon is running.
        AudiomonError: the reload was refused, for the reason given; or nothing came of it in time.
    """
    before = read_runtime(folder, FILE, ReloadState)
    try:
        os.kill(before.pid, signal.SIGHUP)
    except ProcessLookupError:
        raise UserError(f"audiomon is not running any more: process {before.pid} is gone") from None
    except PermissionError:
        raise UserError(
            f"process {before.pid} belongs to another user: use `systemctl reload`, or become that user"
        ) from None
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        state = read_runtime(folder, FILE, ReloadState)
        if state.pid != before.pid:
            raise AudiomonError("audiomon was restarted meanwhile")
        # A reload that had begun before the signal may have read the configuration before it was saved.
        if state.ended > before.begun:
            if state.refused:
                raise AudiomonError(state.outcome)
            return state.outcome
        time.sleep(_LOOK_AGAIN_S)
    raise AudiomonError(f"nothing came of it within {patience_s:g} s")
