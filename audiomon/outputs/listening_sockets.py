"""Unix sockets that other programs connect to: made by systemd and passed to this process, or made here."""

import os
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from audiomon.errors import AudiomonError, UserError

# systemd passes file descriptors from this one on; see sd_listen_fds(3).
_FIRST_PASSED = 3
# Of sockets in a folder that has one for each listener; what stands before it is the listener's name.
SOCKET_SUFFIX = ".sock"
# Connections that wait to be accepted.
_BACKLOG = 16


def passed_socket(name: str, environment: Mapping[str, str] = os.environ) -> socket.socket | None:
    """Return the listening socket that systemd passes under a name (``FileDescriptorName=``); None if it passes none.

    Raises:
        AudiomonError: what is passed is not a listening Unix stream socket.
    """
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return None
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    if name not in names:
        return None
    fd = _FIRST_PASSED + names.index(name)
    try:
        passed = socket.socket(fileno=fd)
        suits = passed.family == socket.AF_UNIX and passed.type == socket.SOCK_STREAM
        suits = suits and bool(passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        suits = False
    if not suits:
        raise AudiomonError(f"file descriptor {fd}, passed as {name}, is not a listening Unix stream socket")
    passed.setblocking(False)
    passed.set_inheritable(False)
    return passed


def make_socket(path: Path) -> socket.socket:
    """Make a listening Unix stream socket that only this user may connect to; one left behind by a crash is replaced.

    Raises:
        UserError: it cannot be made there, or another process listens there.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if path.is_socket():
            if _is_alive(path):
                raise UserError("another process listens there already", path=path)
            path.unlink()
        # By a name of its own until it listens: who sees it there can connect to it.
        draft = path.with_name(f".{path.name}.new")
        draft.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            made.bind(os.fspath(draft))
        finally:
            os.umask(before)
        made.listen(_BACKLOG)
        os.link(draft, path)  # which, unlike a new name, replaces nothing that is there
        draft.unlink()
    except (OSError, ValueError) as error:
        made.close()
        raise UserError(f"cannot be made: {getattr(error, 'strerror', None) or error}", path=path) from None
    except UserError:
        made.close()
        raise
    return made


def sockets_in(places: Iterable[Path]) -> list[Path]:
    """Return all listeners' sockets: those named, and those in the folders named."""
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            found += sorted(place.glob(f"*{SOCKET_SUFFIX}"))
        elif place.exists():
            found.append(place)
    return found


def _is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True
