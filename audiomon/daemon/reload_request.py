"""How a reload went, for the command that asked for it: a small file in the service's runtime folder.

The daemon writes it; ``audiomon reload`` sends SIGHUP and reads it. Both run as the same user in the same unit, or the
command as root, which then signals the process that systemd knows, whatever the file says.
"""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Annotated

import msgspec

from audiomon.errors import AudiomonError, UserError
from audiomon.runtime_files import read_runtime, wrote

FILE = "reload.json"

_LOOK_AGAIN_S = 0.02
_SYSTEMD_PATIENCE_S = 30


class ReloadState(msgspec.Struct, frozen=True):
    """What the daemon has done so far.

    Attributes:
        pid: of the daemon.
        begun: reloads it has begun, each of which read the configuration after it was counted.
        ended: the last reload that has ended; they are numbered by ``begun``.
        outcome: of that one, in one line.
        refused: whether that one was refused, so that the old settings still hold.
    """

    pid: Annotated[int, msgspec.Meta(gt=0)]
    begun: int = 0
    ended: int = 0
    outcome: str = ""
    refused: bool = False


def request_reload(folder: Path, patience_s: float, unit: str = "") -> str:
    """Ask the daemon to reload, and wait for the outcome.

    Args:
        folder: its runtime folder.
        patience_s: how long to wait.
        unit: of systemd's, if the folder is that of one and the caller is root: its main process is the daemon.

    Returns:
        What has changed, in one line.

    Raises:
        UserError: no daemon is running.
        AudiomonError: the reload was refused, for the reason given; or nothing came of it in time.
    """
    before = read_runtime(folder, FILE, ReloadState)
    if unit and before.pid != main_pid(unit):
        raise UserError(f"{folder / FILE} is not from the process that runs as {unit}: restart it")
    # Others than root can signal their own processes alone; those in a unit may not even see the daemon's in /proc.
    if os.geteuid() == 0 and not wrote(folder, FILE, before.pid):
        raise UserError(f"audiomon is not running any more: process {before.pid} is gone")
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


def main_pid(unit: str) -> int:
    """Return the number of the process that systemd started as a unit; 0 if there is none."""
    command = ("systemctl", "show", "--value", "--property=MainPID", "--", unit)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SYSTEMD_PATIENCE_S, check=False)
        return int(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return 0
