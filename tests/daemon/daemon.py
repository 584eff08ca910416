"""A real ``audiomon run`` on a virtual microphone, told apart from a service only by who listens to it."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.waiting import PATIENCE_S, wait_until

REPOSITORY = Path(__file__).resolve().parents[2]


class Daemon:
    """A running one.

    Attributes:
        config: its configuration.
        lines: what it has written so far, parsed.
        told: what it has told its service manager so far, each a datagram taken apart.
    """

    def __init__(self, folder: Path, environment: dict[str, str], arguments: tuple[str, ...]) -> None:
        self.config = folder / "kitchen.yaml"
        self.lines: list[dict[str, Any]] = []
        self.told: list[dict[str, str]] = []
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(folder / "notify"))
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(REPOSITORY)))),
            "AUDIOMON_MODELS": str(folder / "models"),
            "RUNTIME_DIRECTORY": str(folder / "runtime"),
            "NOTIFY_SOCKET": str(folder / "notify"),
            **environment,
        }
        self.process = subprocess.Popen(
            [*self._command("run"), "--config", str(self.config), "--json", *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reading = threading.Thread(target=self._read_lines, daemon=True)
        self._reading.start()
        self._listening = threading.Thread(target=self._read_notifications, daemon=True)
        self._listening.start()

    def edit(self, text: str) -> None:
        """Save the configuration as editors do: a new file in the place of the old one."""
        draft = self.config.with_name(".draft")
        draft.write_text(text, encoding="utf-8")
        draft.replace(self.config)

    def reload(self) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self._command("reload"), env=self._environment, capture_output=True, text=True, timeout=100, check=False
        )

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in list(self.lines) if line.get("kind") == kind]

    def predictions(self) -> list[dict[str, Any]]:
        return [line for line in list(self.lines) if line["type"] == "prediction"]

    def wait_for(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Wait until there are so many statuses of a kind; the last of those."""
        self._alive()
        wait_until(lambda: len(self.of_kind(kind)) >= count, lambda: f"{count} × {kind} in {self.lines[-5:]}")
        return self.of_kind(kind)[count - 1]

    def wait_told(self, name: str, containing: str) -> str:
        def found() -> str | None:
            return next((one[name] for one in list(self.told) if containing in one.get(name, "")), None)

        return str(wait_until(found, lambda: f"{name}=…{containing}… in {self.told[-5:]}"))

    def wait_predictions(self, count: int = 1) -> None:
        """Wait until there are so many more than now."""
        self._alive()
        now = len(self.predictions())
        wait_until(lambda: len(self.predictions()) >= now + count, f"{count} predictions")

    def wait_for_end(self, kind: str) -> dict[str, Any]:
        """Read all that was written before it ended; the last status of a kind."""
        self._reading.join(PATIENCE_S)
        return self.of_kind(kind)[-1]

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        """End it, and leave nothing of it behind."""
        self.process.kill()
        self.process.wait()
        self._manager.shutdown(socket.SHUT_RDWR)
        for thread in (self._reading, self._listening):
            thread.join(PATIENCE_S)
        self._manager.close()
        self.process.stdout.close()
        self.process.stderr.close()

    def _alive(self) -> None:
        if self.process.poll() is not None:
            raise AssertionError(f"has ended ({self.process.returncode}): {self.process.stderr.read()}")

    def _command(self, name: str) -> list[str]:
        return [sys.executable, "-m", "audiomon", name]

    def _read_lines(self) -> None:
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def _read_notifications(self) -> None:
        while data := self._manager.recv(65_536):
            self.told.append(dict(line.split("=", 1) for line in data.decode().splitlines()))


@contextmanager
def running_daemon(folder: Path, environment: dict[str, str], config: str, *arguments: str) -> Iterator[Daemon]:
    (folder / "kitchen.yaml").write_text(config, encoding="utf-8")
    daemon = Daemon(folder, environment, arguments)
    try:
        yield daemon
    finally:
        daemon.close()
