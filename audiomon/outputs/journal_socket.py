"""Entries to journald by its native protocol, without ever waiting for it.

The protocol: https://systemd.io/JOURNAL_NATIVE_PROTOCOL. systemd-python's ``journal.send`` blocks, and stops every
other thread, once journald has stopped reading; this does not.
"""

import array
import errno
import fcntl
import os
import socket
import stat
import threading
from collections import deque
from collections.abc import Mapping

JOURNALD = "/run/systemd/journal/socket"

# Kept while journald does not read: about a quarter of an hour at two predictions a second.
_MAX_QUEUE_BYTES = 1 << 20
_SEND_BUFFER_BYTES = 8 << 20
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class JournalSocket:
    """Sends entries in order; what journald does not take now is kept, what does not fit is counted.

    Safe for several threads.

    Args:
        path: journald's socket.

    Attributes:
        lost: entries dropped so far because too many were waiting.
    """

    def __init__(self, path: str = JOURNALD) -> None:
        self.lost = 0
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """Entries that journald has not taken yet."""
        return len(self._waiting)

    def send(self, fields: Mapping[str, str]) -> None:
        """Send one entry, or keep it until journald takes it. Returns at once."""
        entry = encoded(fields)
        with self._lock:
            self._waiting.append(entry)
            self._waiting_bytes += len(entry)
            self._deliver()
            while self._waiting_bytes > _MAX_QUEUE_BYTES:
                self._waiting_bytes -= len(self._waiting.popleft())
                self.lost += 1

    def flush(self) -> None:
        """Send what is waiting, as far as journald takes it now."""
        with self._lock:
            self._deliver()

    def close(self) -> None:
        """Try once more, and close the socket."""
        self.flush()
        self._socket.close()

    def _deliver(self) -> None:
        while self._waiting and self._sent(self._waiting[0]):
            self._waiting_bytes -= len(self._waiting.popleft())

    def _sent(self, entry: bytes) -> bool:
        # Addressed each time: after a restart of journald the same path is another socket.
        try:
            self._socket.sendto(entry, self._path)
        except OSError as error:
            return error.errno in (errno.EMSGSIZE, errno.ENOBUFS) and self._sent_as_file(entry)
        return True

    def _sent_as_file(self, entry: bytes) -> bool:
        """Pass an entry that is too large for a datagram as a sealed file in memory."""
        try:
            file = os.memfd_create("audiomon-entry", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        except OSError:
            return False
        try:
            os.write(file, entry)
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))
            self._socket.sendmsg([b""], [rights], 0, self._path)  # socket.send_fds forgets the address
        except OSError:
            return False
        finally:
            os.close(file)
        return True


def encoded(fields: Mapping[str, str]) -> bytes:
    """Write fields as the native protocol wants them: ``NAME=value``, or with a length where a value has lines."""
    parts = []
    for name, text in fields.items():
        value = text.encode(errors="replace")
        if b"\n" in value:
            parts.append(b"%s\n%s%s\n" % (name.encode(), len(value).to_bytes(8, "little"), value))
        else:
            parts.append(b"%s=%s\n" % (name.encode(), value))
    return b"".join(parts)


def writes_to_journal(fd: int) -> bool:
    """Say whether what is written to this file descriptor ends in the journal, as systemd tells its services."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        there = os.fstat(fd)
    except OSError:
        return False
    return stat.S_ISSOCK(there.st_mode) and (device, inode) == (str(there.st_dev), str(there.st_ino))
