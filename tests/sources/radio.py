"""A radio: a real HTTP server that sends a tone in real time, to those who know the password.

As AU, which ffmpeg recognises by its first bytes; of WAV it reads some seconds before it believes it.
"""

import base64
import contextlib
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

RATE = 16_000
TONE_HZ = 1000
_PIECE_S = 0.05
_PCM_16 = 3


class Radio:
    """Sends while it is not told to hang.

    Args:
        password: of the user ``admin``; a listener without it is refused.

    Attributes:
        hangs: it sends nothing and does not end.
        listeners: connections at the moment.
    """

    def __init__(self, password: str) -> None:
        self.hangs = False
        self.listeners = 0
        wanted = "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()
        radio = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.headers.get("Authorization") != wanted:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="radio"')
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("Content-Type", "audio/basic")
                self.end_headers()
                radio.listeners += 1
                try:
                    with contextlib.suppress(OSError):  # the listener has gone
                        radio.send(self.wfile)
                finally:
                    radio.listeners -= 1

            def log_message(self, *_: object) -> None:
                pass

        self._ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def send(self, to) -> None:
        to.write(struct.pack(">4sIIIII", b".snd", 24, 0xFFFFFFFF, _PCM_16, RATE, 1))
        tone = 16_000 * np.sin(2 * np.pi * TONE_HZ * np.arange(round(RATE * _PIECE_S)) / RATE)
        due = time.monotonic()
        while not self._ended.is_set():
            if not self.hangs:
                to.write(tone.astype(">i2").tobytes())
            due = max(due + _PIECE_S, time.monotonic() - 1)
            self._ended.wait(max(0.0, due - time.monotonic()))

    def end(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
