"""Stands in for journald: a datagram socket that is read when the test says so."""

import os
import socket
from pathlib import Path


class Journald:
    """Takes entries by the native protocol.

    Attributes:
        path: of its socket.
        files: how many entries came as files in memory.
    """

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.files = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(self.path)

    def entries(self) -> list[dict[str, str]]:
        """Everything that has come since the last call."""
        entries = []
        while True:
            try:
                data, files, _, _ = socket.recv_fds(self._socket, 1 << 20, 1)
            except BlockingIOError:
                return entries
            for file in files:
                self.files += 1
                os.lseek(file, 0, os.SEEK_SET)
                data = os.read(file, 1 << 26)
                os.close(file)
            entries.append(decoded(data))

    def stop(self) -> None:
        self._socket.close()
        Path(self.path).unlink()


def decoded(data: bytes) -> dict[str, str]:
    """Read one entry, by the protocol's own description rather than by the code that wrote it."""
    fields = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            length = int.from_bytes(data[:8], "little")
            value, data = data[8 : 8 + length], data[8 + length + 1 :]
        fields[name.decode()] = value.decode()
    return fields
