"""Whether a file has been saved since it was last looked at, for processes that look about once a second.

The listener, which wakes only when there is something to do, watches its files by `audiomon.daemon.watch` instead.
"""

import os
from pathlib import Path


class SavedFile:
    """A file that people edit.

    Args:
        path: of it; None for one that never changes.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen = self._stamp()

    def forget(self) -> None:
        """Have the next look find it changed."""
        self._seen = None

    def changed(self) -> Path | None:
        """Return the file's path if it has been saved, or is gone or back, since the last call; None if not."""
        stamp = self._stamp()
        if stamp == self._seen:
            return None
        self._seen = stamp
        return self._path

    def _stamp(self) -> tuple[int, int, int] | None:
        if self._path is None:
            return None
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size
