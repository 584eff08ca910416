"""Noticing that files have been saved: by inotify on their folders, since editors replace files.

Knows nothing of what is in them.
"""

import contextlib
import itertools
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from inotify_simple import INotify, flags

# How long a file must be left alone before it counts as saved: editors write in several steps.
_SETTLE_NS = 100_000_000
# A user who asks outright waits for the answer, and has saved before asking.
_ASKED_NS = 50_000_000
# How long to wait for a writer that has not closed the file yet.
_WRITING_NS = 2_000_000_000

# What a save ends with; and a change of permissions, which may be what makes a file readable.
_SAVED = flags.CLOSE_WRITE | flags.MOVED_TO | flags.ATTRIB
_MASK = _SAVED | flags.CREATE | flags.MODIFY | flags.ONLYDIR
# Where only folders and links of the way lie: what else is written there wakes nobody.
_WAY_MASK = flags.MOVED_TO | flags.ATTRIB | flags.CREATE | flags.ONLYDIR
_MAX_LINKS = 40


class Settling:
    """When to look: a while after the last sign of change.

    Times are monotonic, in nanoseconds.

    Attributes:
        first_ns: when the first change came that has not been looked at yet; None if there is none.
        due_ns: when to look at it.
    """

    def __init__(self) -> None:
        self.first_ns: int | None = None
        self.due_ns = 0

    def touch(self, now_ns: int, *, saved: bool) -> None:
        """Note a change.

        Args:
            now_ns: when.
            saved: whether it was a file that was closed or moved into place, rather than one being written.
        """
        if self.first_ns is None:
            if not saved:
                return  # its writer will also close it
            self.first_ns = now_ns
        self.due_ns = now_ns + (_SETTLE_NS if saved else _WRITING_NS)

    def ask(self, now_ns: int) -> None:
        """Note that a look was asked for, changed or not."""
        if self.first_ns is None:
            self.first_ns = now_ns
            self.due_ns = now_ns + _ASKED_NS

    def postpone(self, first_ns: int, now_ns: int) -> None:
        """Look again later at a change that was looked at too soon."""
        self.first_ns = first_ns
        self.due_ns = now_ns + _WRITING_NS

    def due(self, now_ns: int) -> bool:
        """Say whether it is time to look."""
        return self.first_ns is not None and now_ns >= self.due_ns

    def settled(self) -> None:
        """Forget the changes: they have been looked at."""
        self.first_ns = None


class Watch:
    """Watches some files or folders; they, and even those that they are in, need not exist."""

    def __init__(self) -> None:
        self._inotify = INotify(nonblocking=True)
        self._paths: tuple[Path, ...] = ()
        self._folders: dict[Path, int] = {}
        self._files: frozenset[Path] = frozenset()
        self._way: frozenset[Path] = frozenset()

    @property
    def fd(self) -> int:
        """Can be read when something has happened."""
        fd: int = self._inotify.fileno()
        return fd

    def follow(self, paths: Iterable[Path]) -> None:
        """Watch these files, and no others any more; with every folder and link on the way to them."""
        self._paths = tuple(paths)
        ways = [tuple(_way(path)) for path in self._paths]
        self._files = frozenset(
            place for path, way in zip(self._paths, ways, strict=True) for place in (path.absolute(), *way[-1:])
        )
        self._way = frozenset(itertools.chain.from_iterable(ways)) - self._files
        masks = {place.parent: _WAY_MASK for place in self._way} | {file.parent: _MASK for file in self._files}
        before, self._folders = self._folders, {}
        for folder, mask in masks.items():
            # Again, even if it is watched: the folder may be another one by that name.
            with contextlib.suppress(OSError):  # it is not there
                self._folders[folder] = self._inotify.add_watch(folder, mask)
        for watch in set(before.values()) - set(self._folders.values()):
            with contextlib.suppress(OSError):  # the folder itself is gone, and its watch with it
                self._inotify.rm_watch(watch)

    def changes(self) -> list[bool]:
        """Return, for each change of a watched file since the last call, whether it was saved (or is being written)."""
        found = []
        by_watch = {watch: folder for folder, watch in self._folders.items()}
        for event in self._inotify.read(timeout=0):
            if (folder := by_watch.get(event.wd)) is None:
                continue
            place = folder / event.name
            if place in self._way:
                self.follow(self._paths)  # at once: what is saved there next is seen, too
                found.append(True)
            elif place in self._files:
                found.append(bool(event.mask & _SAVED) or (bool(event.mask & flags.CREATE) and not _is_new_file(place)))
        return found

    def close(self) -> None:
        """Stop watching."""
        self._inotify.close()


def _way(path: Path) -> Iterator[Path]:
    """Return every place on the way to a file, links followed: whatever changes there may make it another file."""
    absolute = path.absolute()
    place, parts, links = Path(absolute.anchor), [*reversed(absolute.parts[1:])], 0
    while parts:
        if (part := parts.pop()) == "..":
            place = place.parent
            continue
        place /= part
        yield place
        try:
            target = place.readlink()
        except OSError:  # it is no link, or not there
            continue
        links += 1
        if links > _MAX_LINKS:
            return
        place = place.parent / target.anchor
        parts += reversed(target.parts[1:] if target.anchor else target.parts)


def _is_new_file(path: Path) -> bool:
    """Say whether what has been created is a file that somebody is about to write, not a link to one that is whole."""
    try:
        found = path.lstat()
    except OSError:
        return True  # it is gone again
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1
