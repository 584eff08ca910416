"""Real processes around the link: a broker, the link itself, somebody who reads what is published; and a listener that
is made up, on a real socket.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from audiomon.clock import SystemClock
from audiomon.config import Config
from audiomon.outputs.feed import Feed, open_feed
from audiomon.outputs.snapshot import Snapshot
from tests.waiting import PATIENCE_S, wait_until

REPOSITORY = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MadeUpListener:
    """A listener's feed, served by a thread as the daemon's main thread does."""

    def __init__(self, path: Path, instance: str) -> None:
        self.feed: Feed = open_feed(path, instance, SystemClock())
        self.feed.configure(Config())
        self._snapshot: Snapshot | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def stand(self, snapshot: Snapshot) -> None:
        """Send a state, now and every few seconds from now on."""
        self._snapshot = snapshot
        self.feed.observe(snapshot)

    def wait_wanted(self) -> None:
        """Wait until events are sent: one that comes before is in no line, only in the next hello."""
        wait_until(lambda: "event" in self.feed._wanted, "a client that wants events")

    def close(self) -> None:
        self._ending.set()
        self._thread.join()
        self.feed.close()

    def _serve(self) -> None:
        rounds = 0
        while not self._ending.wait(0.01):
            self.feed.flush()
            rounds += 1
            if rounds % 500 == 0 and self._snapshot is not None:
                self.feed.observe(self._snapshot)


class Broker:
    """A real mosquitto.

    Args:
        folder: for its configuration and certificates.
        settings: further lines of its configuration; ``listener`` is there already.
    """

    def __init__(self, folder: Path, *settings: str) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", "persistence false", *settings]
        if os.geteuid() == 0:
            lines.append("user root")  # which reads what the test makes
        if not any(line.startswith("allow_anonymous") for line in lines):
            lines.append("allow_anonymous true")
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [mosquitto(), "-c", self._config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self._answers, "a broker")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


def mosquitto() -> str:
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if found is None or shutil.which("mosquitto_sub") is None:
        pytest.skip("no mosquitto (apt install mosquitto mosquitto-clients)")
    return found


class Reader:
    """A real mosquitto_sub.

    Attributes:
        messages: (topic, payload, whether it was retained) so far.
    """

    def __init__(self, port: int, *options: str) -> None:
        self.messages: list[tuple[str, str, bool]] = []
        # Values alone may have line ends; JSON has none.
        self._process = subprocess.Popen(
            ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(port), "-t", "#", "-q", "1", "-F", "%j", *options],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._process.stdout:
            message = json.loads(line)
            self.messages.append((message["topic"], message.get("payload") or "", bool(message["retain"])))

    def payloads(self, topic: str) -> list[str]:
        return [payload for one, payload, _ in list(self.messages) if one == topic]

    def last(self, topic: str) -> str:
        return (self.payloads(topic) or [""])[-1]

    def wait_for(self, topic: str, payload: str) -> None:
        wait_until(lambda: self.last(topic) == payload, lambda: (topic, payload, self.messages[-10:]))

    def wait_json(self, topic: str, true: Callable[[Any], bool]) -> Any:
        """Wait until the last message of a topic is one that this is true of; that."""

        def look() -> Any:
            last = self.last(topic)
            return last and true(json.loads(last)) and json.loads(last)

        return wait_until(look, lambda: (topic, self.messages[-10:]))

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()
        self._process.stdout.close()


def publish(port: int, topic: str, payload: str, *options: str) -> None:
    command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-q", "1", "-t", topic, *options]
    subprocess.run([*command, *(["-m", payload] if payload else ["-n"])], check=True, timeout=PATIENCE_S)


def _without_page(config: str) -> str:
    """Leave out the page, whose port is one for all that run at a time."""
    return config if "page:" in config else config + '\npage: {listen: ""}\n'


class Link:
    """A real ``audiomon link run``.

    Attributes:
        said: lines on stderr so far.
    """

    def __init__(self, folder: Path, config: str, **environment: str) -> None:
        # Several links on one machine stand for several machines.
        self._machine_id = folder / "machine-id"
        self._machine_id.write_text(f"{folder.name}\n")
        self.said: list[str] = []
        self.config = folder / "link.yaml"
        self.config.write_text(_without_page(config), encoding="utf-8")
        self.feeds = folder / "feeds"
        self.feeds.mkdir(exist_ok=True)
        self.runtime = folder / "runtime"
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(REPOSITORY)))),
            "RUNTIME_DIRECTORY": str(self.runtime),
            **environment,
        }
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        elsewhere = (
            "from pathlib import Path; from audiomon.cli import main; from audiomon.link import machine; "
            f"machine.MACHINE_ID = Path({str(self._machine_id)!r}); main()"
        )
        arguments = ["link", "run", "--config", self.config, "--feed", self.feeds]
        self.process = subprocess.Popen(
            [sys.executable, "-c", elsewhere, *arguments], env=self._environment, stderr=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()

    def _read(self, process: "subprocess.Popen[str]") -> None:
        for line in process.stderr:
            self.said.append(line.rstrip("\n"))

    def edit(self, text: str) -> None:
        draft = self.config.with_suffix(".draft")
        draft.write_text(_without_page(text), encoding="utf-8")
        draft.replace(self.config)

    def wait_said(self, part: str, count: int = 1) -> str:
        def found() -> list[str]:
            return [line for line in list(self.said) if part in line]

        wait_until(lambda: len(found()) >= count, lambda: (part, self.said))
        return found()[count - 1]

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextmanager
def made_up_listener(link: Link, instance: str = "audiomon") -> Iterator[MadeUpListener]:
    listener = MadeUpListener(link.feeds / f"{instance}.sock", instance)
    try:
        yield listener
    finally:
        listener.close()
