"""A camera without its network: noise comes through a Unix socket in real time; it can hang, and restart."""

import contextlib
import socket
import threading
import time
from pathlib import Path

import numpy as np

from tests.audio.test_stream import wav_header

_PIECE_S = 0.05


class Camera:
    """Sends to listeners that connect, one listener at a time.

    Args:
        path: of its socket.
        sample_rate: in Hz.

    Attributes:
        hangs: it neither sends nor ends, and answers nobody.
        scale: of its noise; 0 is silence.
        speed: how many times faster it sends than it says.
        raw: no header.
    """

    def __init__(self, path: Path, sample_rate: int, *, raw: bool = False) -> None:
        self.hangs = False
        self.scale, self.speed = 3000, 1.0
        self.raw = raw
        self._path, self._sample_rate = path, sample_rate
        self._ended = threading.Event()
        self._connection: socket.socket | None = None
        self._noise = np.random.default_rng(1).uniform(-1, 1, sample_rate)
        self.start()

    def start(self) -> None:
        """Begin, or begin once more."""
        self._listening = socket.socket(socket.AF_UNIX)
        self._path.unlink(missing_ok=True)
        self._listening.bind(str(self._path))
        self._listening.listen()
        self._ended.clear()
        self._thread = threading.Thread(target=self._serve, args=(self._listening,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End as a camera does whose power fails: nobody is there any more."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(60)
        self._listening.close()

    def _serve(self, listening: socket.socket) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    self._connection = connection
                    self._send(connection)

    def _send(self, connection: socket.socket) -> None:
        if not self.raw:
            connection.sendall(wav_header(self._sample_rate))
        due = time.monotonic()
        while not self._ended.is_set():
            if not self.hangs:
                count = round(self._sample_rate * _PIECE_S * self.speed)
                connection.sendall((self.scale * self._noise[:count]).astype("<i2").tobytes())
            due = max(due + _PIECE_S, time.monotonic() - 1)
            self._ended.wait(max(0.0, due - time.monotonic()))
