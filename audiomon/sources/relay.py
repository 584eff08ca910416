"""Listeners that ask for sound, and an ffmpeg for each of them.

Sound goes from ffmpeg to the listener directly; nothing here touches it. A listener that hangs up ends its ffmpeg, and
an ffmpeg that ends hangs up: who listens notices at once, says so, and asks again.
"""

import contextlib
import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

from audiomon.audio.stream_start import MAX_REQUEST_BYTES, refusal, requested_rate
from audiomon.errors import AudiomonError
from audiomon.sources.address import Address
from audiomon.sources.ffmpeg import Complaints, lines_of, start

# A listener, another instance with another model, and a doctor.
MAX_LISTENERS = 8
_ASKING_S = 2.0
_ENDING_S = 2.0


class Relay:
    """Gives listeners what an address sends.

    Args:
        address: to read.
        say: gets a line when something changes; called from any thread.
    """

    def __init__(self, address: Address, say: Callable[[str], None]) -> None:
        self._address = address
        self._say = say
        self._said = ""
        self._guard = threading.Lock()
        self._listeners = 0
        self._running: set[subprocess.Popen[bytes]] = set()
        self._ended = False

    def serve(self, listening: socket.socket, idle_s: float | None) -> None:
        """Answer listeners.

        Args:
            listening: where they connect.
            idle_s: return when nobody has listened for this long; None for never.
        """
        poll = select.poll()
        poll.register(listening, select.POLLIN)
        while True:
            if not poll.poll(None if idle_s is None else idle_s * 1000):
                if not self._listeners:
                    return
                continue
            with contextlib.suppress(OSError):  # one that has gone again
                connection, _ = listening.accept()
                connection.setblocking(True)
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def end(self) -> None:
        """End all that was started."""
        with self._guard:
            self._ended = True
            for process in self._running:
                process.kill()

    def _answer(self, connection: socket.socket) -> None:
        with connection, self._counted() as few:
            try:
                sample_rate = _asked(connection)
                if sample_rate is None:
                    return
                why = self._send(connection, sample_rate) if few else f"it has {MAX_LISTENERS} listeners already"
                if why:
                    connection.sendall(refusal(why))
            except OSError:
                return  # it has hung up

    def _send(self, connection: socket.socket, sample_rate: int) -> str:
        """Run ffmpeg until it ends or the listener hangs up; why it has sent nothing, if it has not."""
        complaints = Complaints(self._address)
        try:
            with self._started(sample_rate, connection) as process:
                hung_up = self._follow(process, connection, complaints)
        except AudiomonError as error:
            self._say_change(str(error))
            return str(error)
        why = complaints.why or f"ffmpeg ended with status {process.returncode}"
        if hung_up:
            return ""
        if complaints.begun:
            self._say_change(f"has ended{': ' + complaints.why if complaints.why else ''}")
            return ""
        self._say_change(why)
        return why

    @contextlib.contextmanager
    def _started(self, sample_rate: int, connection: socket.socket) -> Iterator[subprocess.Popen[bytes]]:
        process = start(self._address, sample_rate, connection.fileno())
        with self._guard:
            self._running.add(process)
            if self._ended:
                process.kill()
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_ENDING_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stderr is not None
            process.stderr.close()
            with self._guard:
                self._running.discard(process)

    def _follow(self, process: subprocess.Popen[bytes], connection: socket.socket, complaints: Complaints) -> bool:
        """Read what ffmpeg says until it ends; whether the listener has hung up before."""
        assert process.stderr is not None
        poll = select.poll()
        poll.register(process.stderr, select.POLLIN)
        poll.register(connection, select.POLLRDHUP)
        held, begun = bytearray(), False
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == connection.fileno():
                    return True
                lines = lines_of(process.stderr, held)
                if lines is None:
                    process.wait()
                    return False
                for line in lines:
                    complaints.take(line)
            if complaints.begun and not begun:
                begun = True
                self._say_change(f"sends {complaints.sound or 'sound'}")

    @contextlib.contextmanager
    def _counted(self) -> Iterator[bool]:
        with self._guard:
            few = self._listeners < MAX_LISTENERS
            self._listeners += 1
        try:
            yield few
        finally:
            with self._guard:
                self._listeners -= 1

    def _say_change(self, what: str) -> None:
        with self._guard:
            # Once it is ended, what its ffmpegs end with is no news, and standard error may be gone.
            if what == self._said or self._ended:
                return
            self._said = what
        self._say(what)


def refuse_all(listening: socket.socket, why: str, seconds: float) -> None:
    """Answer listeners with a reason, for some time."""
    end_s = time.monotonic() + seconds
    poll = select.poll()
    poll.register(listening, select.POLLIN)
    while (left_s := end_s - time.monotonic()) > 0:
        if poll.poll(left_s * 1000):
            with contextlib.suppress(OSError), listening.accept()[0] as connection:
                connection.setblocking(True)
                connection.settimeout(_ASKING_S)
                connection.recv(MAX_REQUEST_BYTES)  # unread, it would reset the connection before the answer is read
                connection.sendall(refusal(why))


def _asked(connection: socket.socket) -> int | None:
    """Read what sample rate a listener wants; None if it says no such thing in time."""
    connection.settimeout(_ASKING_S)
    line = b""
    while not line.endswith(b"\n") and len(line) < MAX_REQUEST_BYTES:
        try:
            piece = connection.recv(MAX_REQUEST_BYTES - len(line))
        except TimeoutError:
            return None
        if not piece:
            return None
        line += piece
    connection.settimeout(None)
    return requested_rate(line)
