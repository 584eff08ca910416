"""Small files that tell other commands about a running daemon, in a folder that lives as long as it does."""

import contextlib
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from audiomon.errors import UserError

SYSTEM_RUNTIME = Path("/run/audiomon")
# The listener that is audiomon.service; each other one is audiomon@NAME.service.
FIRST_INSTANCE = "audiomon"

_Content = TypeVar("_Content", bound=msgspec.Struct)


def runtime_folder() -> Path | None:
    """Return the folder for files that live as long as the daemon: systemd's, or the user's; None if there is none."""
    for variable, below in (("RUNTIME_DIRECTORY", ""), ("XDG_RUNTIME_DIR", "audiomon")):
        # systemd separates several runtime directories by colons.
        if value := os.environ.get(variable, "").split(":")[0]:
            return Path(value) / below
    return None


def find_runtime(folder: Path | None, file: str, instance: str = FIRST_INSTANCE) -> Path:
    """Return the folder that a command is to look in.

    Args:
        folder: asked for; None for the first that has the file of: the process's own, the system service's.
        file: its name.
        instance: which system service is asked for; any but the first has one folder only.
    """
    if folder is not None:
        return folder
    if instance != FIRST_INSTANCE:
        return SYSTEM_RUNTIME.with_name(f"{SYSTEM_RUNTIME.name}-{instance}")
    folders = [found for found in (runtime_folder(), SYSTEM_RUNTIME) if found]
    return next((found for found in folders if (found / file).exists()), folders[-1])


def unit_of(instance: str) -> str:
    """Return what systemd calls a listener."""
    return instance if instance == FIRST_INSTANCE else f"{FIRST_INSTANCE}@{instance}"


class RuntimeFiles:
    """The daemon's side: writes, and goes on where that fails.

    Args:
        folder: where; None for nowhere.

    Attributes:
        problem: why the last write failed; empty if it did not.
    """

    def __init__(self, folder: Path | None) -> None:
        self.problem = ""
        self._folder = folder

    def write(self, name: str, content: msgspec.Struct) -> None:
        """Replace a file, whole."""
        if self._folder is None:
            return
        draft = self._folder / f".{name}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(msgspec.json.encode(content))
            draft.replace(self._folder / name)
        except OSError as error:
            self.problem = f"{self._folder / name}: cannot be written: {error.strerror}"
        else:
            self.problem = ""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        if self._folder is not None:
            with contextlib.suppress(OSError):  # a reader sees that its process is gone
                (self._folder / name).unlink(missing_ok=True)


def read_runtime(folder: Path, name: str, kind: type[_Content]) -> _Content:
    """Read a file: the other commands' side.

    Raises:
        UserError: no daemon has written one, it may not be read, or it is damaged.
    """
    try:
        return msgspec.json.decode((folder / name).read_bytes(), type=kind)
    except FileNotFoundError:
        raise UserError(f"no audiomon is running here: there is no {folder / name}") from None
    except PermissionError:
        raise UserError(f"{folder / name}: may be read by root and by the service only: use sudo") from None
    except OSError as error:
        raise UserError(f"{folder / name}: cannot be read: {error.strerror}") from None
    except msgspec.DecodeError:
        raise UserError(f"{folder / name}: is damaged; restart audiomon") from None
