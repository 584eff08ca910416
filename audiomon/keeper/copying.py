"""An open file copied to disk, and waited for until it is there."""

import errno
import os
from pathlib import Path


def copy_to_disk(file: int, path: Path, size: int, mode: int = 0o600) -> None:
    """Copy the first bytes of a file, by the kernel; what was at the path is overwritten.

    Args:
        file: opened for reading.
        path: of the copy.
        size: bytes to copy.
        mode: of the copy, if it is new; as the umask allows.

    Raises:
        OSError: it cannot be written, or the file is shorter.
    """
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        done = 0
        while done < size:
            copied = os.sendfile(target, file, done, size - done)
            if not copied:
                raise OSError(errno.EIO, "the file ended early")
            done += copied
        os.fsync(target)
    finally:
        os.close(target)
