"""Small files that tell other commands about a running daemon, in a folder that lives as long as it does."""

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import TypeVar

import msgspec

from audiomon.errors import UserError

SYSTEM_RUNTIME = Path("/run/audiomon")
# The listener that is audiomon.service; each other one is audiomon@NAME.service.
FIRST_INSTANCE = "audiomon"

# The largest, the status, is some kilobytes.
_MAX_BYTES = 1 << 20

_Content = TypeVar("_Content", bound=msgspec.Struct)


class ProcessStatus(msgspec.Struct, frozen=True):
    """What a process says of itself, whatever else that is.

    Attributes:
        pid: its number.
    """

    pid: int


_Process = TypeVar("_Process", bound=ProcessStatus)


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
        return system_runtime(instance)
    folders = [found for found in (runtime_folder(), SYSTEM_RUNTIME) if found]
    return next((found for found in folders if (found / file).exists()), folders[-1])


def system_runtime(instance: str) -> Path:
    """Return the runtime folder of a system service."""
    first = SYSTEM_RUNTIME
    return first if instance == FIRST_INSTANCE else first.with_name(f"{first.name}-{instance}")


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

    @property
    def kept(self) -> bool:
        """Whether what was written last is there for others to read."""
        return self._folder is not None and not self.problem

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
        return msgspec.json.decode(read_runtime_bytes(folder, name), type=kind)
    except msgspec.DecodeError:
        raise UserError(f"{folder / name}: is damaged; restart audiomon") from None


def read_if_running(folder: Path, name: str, kind: type[_Process]) -> _Process | None:
    """Read the file in which a process says how it stands; None where none runs.

    Args:
        folder: of the process's own, which is gone when it is.
        name: of the file.
        kind: what is in it, the process's number among it.

    Raises:
        UserError: it cannot be read, or is damaged.
    """
    if not folder.is_dir():
        return None
    found = read_runtime(folder, name, kind)
    return found if Path(f"/proc/{found.pid}").exists() else None


def read_runtime_bytes(folder: Path, name: str) -> bytes:
    """Read a file as it is, and nothing that it leads to.

    The folder is the service's, and what reads it is often root's: a service that has been taken over must not have
    root read something else for it. So no link is followed, and the file's owner is the folder's, or root.

    Raises:
        UserError: no daemon has written one, it may not be read, or it is no file of the daemon's.
    """
    path = folder / name
    try:
        inside = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # O_NONBLOCK: a pipe in its place holds nobody up.
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=inside)
            try:
                found, owners = os.fstat(descriptor), (os.fstat(inside).st_uid, 0)
                if not stat.S_ISREG(found.st_mode) or found.st_uid not in owners or found.st_size > _MAX_BYTES:
                    raise UserError(f"{path}: is no file of audiomon's; remove it")
                return os.read(descriptor, _MAX_BYTES)
            finally:
                os.close(descriptor)
        finally:
            os.close(inside)
    except FileNotFoundError:
        raise UserError(f"no audiomon is running here: there is no {path}") from None
    except PermissionError:
        raise UserError(f"{path}: may be read by root and by the service only: use sudo") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UserError(f"{path}: is a link, and no file of audiomon's; remove it") from None
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def wrote(folder: Path, name: str, pid: int) -> bool:
    """Whether a process is there that may have written a file: one of the same user's; not one that got its number."""
    try:
        return os.stat(f"/proc/{pid}").st_uid == (folder / name).lstat().st_uid
    except OSError:
        return False
