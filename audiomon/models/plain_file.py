"""Reading a file that a user or a package names: bounded, without waiting. Follows a link only where it is asked to."""

import os
import stat
from pathlib import Path

from audiomon.errors import ModelError

# Read size for a file that grows meanwhile, or whose size the system does not report.
_PART_BYTES = 1 << 20


def read_plain_file(path: Path, max_bytes: int, folder: int | None = None) -> bytes:
    """Read a file, but no pipe, device or folder.

    Args:
        path: of the file, for messages too.
        max_bytes: that it may have.
        folder: descriptor of the open folder that it is in; then its name alone is looked up, and a link not followed.

    Raises:
        OSError: it cannot be opened or read.
        ModelError: it is not a plain file, or is larger than ``max_bytes``.
    """
    # Without O_NONBLOCK, opening a pipe waits for its writer.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if folder is None else os.O_NOFOLLOW)
    descriptor = os.open(path if folder is None else path.name, flags, dir_fd=folder)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ModelError("is not a file", path=path)
        content = b""
        if status.st_size <= max_bytes:
            # The reported size in one go: there may be no memory for a second copy of a large model.
            part_bytes = max(status.st_size, _PART_BYTES)
            while part := os.read(descriptor, min(part_bytes, max_bytes + 1 - len(content))):
                content += part
                part_bytes = _PART_BYTES
    finally:
        os.close(descriptor)
    if status.st_size > max_bytes or len(content) > max_bytes:
        raise ModelError(f"is larger than {max_bytes >> 20} MiB", path=path)
    return content
