"""Whether others on this machine may change what audiomon believes: its configuration and its models.

It is reported and not refused. A user who can write those files can make audiomon hear anything, or nothing, but gains
nothing beyond that (SECURITY.md), and a listener that stopped for its files' modes would be deaf for the same reason.
"""

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from audiomon.clock import Clock
from audiomon.config.settings import Settings
from audiomon.models.package import ModelPackage
from audiomon.pipeline.prediction import Status, StatusKind


def exposed(paths: Iterable[Path]) -> list[Path]:
    """Return which of these files, or of the folders that they are in, any user may change.

    A file may be changed by a user who may write it, or may put another in its place in its folder; where a
    path leads through links, what it leads to counts.
    """
    places: dict[Path, None] = {}
    for path in paths:
        with contextlib.suppress(OSError):
            real = path.resolve(strict=True)
            places |= dict.fromkeys((real, real.parent))
    return [place for place in places if _open(place)]


def exposed_in_words(place: Path) -> str:
    """Say so, with the command that ends it."""
    return f"{place}: any user of this machine may change it: chmod o-w {place}"


def exposures(settings: Settings, package: ModelPackage, clock: Clock) -> list[Status]:
    """Warn of each place that any user may change and so decide what is heard: the configuration, the model."""
    files = [*package.files, *([settings.document.path] if settings.document else [])]
    return [
        Status(StatusKind.FILES_EXPOSED, exposed_in_words(place), clock.time_ns(), {"place": str(place)}, "warning")
        for place in exposed(files)
    ]


def _open(place: Path) -> bool:
    try:
        mode = os.stat(place).st_mode
    except OSError:
        return False
    # In a folder such as /tmp, with the sticky bit, only its owner may put another file in a file's place.
    return bool(mode & stat.S_IWOTH) and not (stat.S_ISDIR(mode) and mode & stat.S_ISVTX) and not stat.S_ISCHR(mode)
