"""A server of model files on loopback, over real HTTPS, with the faults of the network on request."""

import http.server
import re
import ssl
import subprocess
import threading
from pathlib import Path


class Server:
    """Serves `content` by several paths.

    ``/whole`` answers a request for a part; ``/stubborn`` never does; ``/cut`` breaks off in the middle of every answer
    that begins at the first byte; ``/chunked`` says no length, ``/chunked-cut`` breaks off as well; ``/other-part``
    sends another part than was asked for; ``/moved`` leads to ``/whole``, ``/away`` to plain HTTP, ``/file`` to a file
    of the machine; ``/huge`` says a length of 1 TB, ``/endless`` never ends.

    Attributes:
        requests: path and range of each request.
    """

    def __init__(self, folder: Path, content: bytes) -> None:
        self.requests: list[tuple[str, str]] = []
        served = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served.requests.append((self.path, self.headers.get("Range", "")))
                served.answer(self, content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.crt", folder / "server.key")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def address(self, path: str) -> str:
        return f"https://localhost:{self._server.server_port}{path}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, request: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
        path = request.path.partition("?")[0]
        if target := {
            "/moved": "/whole",
            "/away": "http://localhost/whole",
            "/file": "file:///etc/hostname",
        }.get(path):
            request.send_response(302)
            request.send_header("Location", target)
            request.end_headers()
            return
        if path not in ("/whole", "/stubborn", "/cut", "/chunked", "/chunked-cut", "/other-part", "/huge", "/endless"):
            request.send_error(404)
            return
        wanted = re.match(r"bytes=(\d+)-", request.headers.get("Range", ""))
        begin = int(wanted[1]) if wanted and path != "/stubborn" else 0
        if begin and begin >= len(content):
            request.send_error(416)
            return
        request.send_response(206 if begin else 200)
        if begin:
            said = begin + (path == "/other-part")
            request.send_header("Content-Range", f"bytes {said}-{len(content) - 1}/{len(content)}")
        rest = content[begin:]
        if path == "/huge":
            request.send_header("Content-Length", str(1 << 40))
        elif path not in ("/chunked", "/chunked-cut", "/endless"):
            request.send_header("Content-Length", str(len(rest)))
        request.end_headers()
        if path == "/endless":
            try:
                while True:
                    request.wfile.write(bytes(1 << 16))
            except OSError:
                return
        request.wfile.write(rest[: len(rest) // 2] if path in ("/cut", "/chunked-cut") and not begin else rest)


def make_certificate(folder: Path) -> None:
    """Write server.crt, which signs itself and names localhost, and server.key."""
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost -addext keyUsage=critical,digitalSignature,keyCertSign "
        "-keyout server.key -out server.crt"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
