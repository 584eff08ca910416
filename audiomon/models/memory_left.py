"""How much memory the control group of this process has left, as the kernel tells it. Changes nothing.

A service's `MemoryMax=` and a container's limit are such groups. One that is full has the kernel end a process, and it
may end the next one while it is still cleaning up after the first: what may grow is better limited beforehand.
"""

import contextlib
from pathlib import Path

import msgspec


def memory_left_bytes(groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return how many bytes this process may take before a limit of its group, or of one around it, is reached.

    Files that the kernel keeps in memory count as free: it drops them before it ends anything.

    Args:
        groups: which groups the process is in, as `cgroups(7)` says.
        root: where they are mounted.

    Returns:
        None where nothing limits it, or where the system does not say.
    """
    try:
        lines = groups.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    left = []
    for line in lines:
        _, _, named = line.partition(":")
        controllers, _, path = named.partition(":")
        if "memory" in controllers.split(","):
            left += _left_on_the_way(root / "memory", path, _VERSION_1)
        elif not controllers:
            left += _left_on_the_way(root, path, _VERSION_2)
    return min(left, default=None)


class _Files(msgspec.Struct, frozen=True):
    """What a version of control groups calls its files and their entries."""

    limits: tuple[str, ...]
    used: str
    prefix: str


_VERSION_1 = _Files(("memory.limit_in_bytes",), "memory.usage_in_bytes", "total_")
# Above memory.high everything that allocates is slowed down, the one that listens too.
_VERSION_2 = _Files(("memory.high", "memory.max"), "memory.current", "")


def _left_on_the_way(root: Path, path: str, files: _Files) -> list[int]:
    """Return what is left of each limit from the group up to the root."""
    group = root / path.lstrip("/")
    left = []
    for folder in (group, *group.parents):
        if not folder.is_relative_to(root):
            break
        # Inside a container the path may be that of the machine outside, of which nothing is mounted; and what a
        # kernel writes otherwise than expected is as good as not there.
        with contextlib.suppress(OSError, ValueError, KeyError):
            limits = [(folder / name).read_text(encoding="ascii").strip() for name in files.limits]
            stat = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
            dropped = sum(int(stat[f"{files.prefix}{kind}_file"]) for kind in ("active", "inactive"))
            used = int((folder / files.used).read_text(encoding="ascii")) - dropped
            left += [max(0, int(limit) - used) for limit in limits if limit != "max"]
    return left
