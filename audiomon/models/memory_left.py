"""How much memory the control group of this process has left, as the kernel tells it. Changes nothing.

A service's `MemoryMax=` and a container's limit are such groups. One that is full has the kernel end a process, and it
may take the next one too while it still clears up after the first: what may grow is better limited beforehand.
"""

import contextlib
from pathlib import Path

# Of every version: the largest file there is is no limit.
_UNLIMITED = 1 << 60


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
        lines = groups.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    left = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            left += _left_on_the_way(root / "memory", path, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
        elif not controllers:
            left += _left_on_the_way(root, path, "memory.max", "memory.current", "")
    return min(left, default=None)


def _left_on_the_way(root: Path, path: str, limit: str, used: str, prefix: str) -> list[int]:
    """Return what is left of each limit from the group up to the root."""
    group = root / path.lstrip("/")
    left = []
    for folder in (group, *group.parents):
        if not folder.is_relative_to(root):
            break
        # Inside a container the path may be that of the machine outside, of which nothing is mounted.
        with contextlib.suppress(OSError):
            most = (folder / limit).read_text(encoding="ascii").strip()
            if most == "max" or int(most) >= _UNLIMITED:
                continue
            of_what = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
            files = int(of_what[f"{prefix}active_file"]) + int(of_what[f"{prefix}inactive_file"])
            taken = int((folder / used).read_text(encoding="ascii")) - files
            left.append(max(0, int(most) - taken))
    return left
