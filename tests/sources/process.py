"""The real ``python -m audiomon.sources``, as its unit runs it but for systemd."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_S = 60


class SourceProcess:
    """A running one.

    Attributes:
        socket: where to listen to it.
        said: lines of its standard error so far.
    """

    def __init__(self, folder: Path, address: str) -> None:
        (folder / "credentials").mkdir(exist_ok=True)
        (folder / "credentials" / "address").write_text(address + "\n")
        self.socket = folder / "cam"
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "audiomon.sources", "cam", str(self.socket)],
            env={
                **os.environ,
                "PYTHONPATH": str(REPOSITORY),
                "CREDENTIALS_DIRECTORY": str(folder / "credentials"),
                "XDG_CONFIG_HOME": "/nowhere",
            },
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def children(self) -> list[tuple[int, str]]:
        """Numbers and command lines of what it has started."""
        found = []
        for pid in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            for child in pid.read_text().split():
                line = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                found.append((int(child), line))
        return found

    def end(self) -> int:
        self.process.terminate()
        status = self.process.wait(PATIENCE_S)
        self._reading.join(PATIENCE_S)
        return status

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.rstrip("\n"))


@contextmanager
def running_source(folder: Path, address: str) -> Iterator[SourceProcess]:
    source = SourceProcess(folder, address)
    try:
        yield source
    finally:
        source.end()
