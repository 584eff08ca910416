"""A real keeper in a process of its own, and the listener's side of it in this one."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from audiomon.clock import SystemClock
from audiomon.errors import UserError
from audiomon.outputs.clip_handover import ClipHandover, open_clip_handover
from audiomon.outputs.keeper_client import KeeperClient
from audiomon.pipeline.clips import Clip, ClipEvent, NoClip, Refusal
from tests.keeper.offers import DAY_NS, NOISE, RATE

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_S = 60


def until(holds: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


class Keeping:
    """A folder for a keeper, and what goes to it.

    Args:
        folder: for everything.
        config: text of keeper.yaml.
    """

    def __init__(self, folder: Path, config: str = "min_free_mb: 0\n") -> None:
        self.folder = folder / "kept"
        self.socket = folder / "keeper.sock"
        self.config = folder / "keeper.yaml"
        self.config.write_text(config)
        self.handover: ClipHandover = open_clip_handover(folder / "attic.sock", "attic", SystemClock())
        self._places = folder / "attic.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "audiomon", "clips", "keep", "--to", self.folder, "--config", self.config),
                *("--from", self._places, "--listen", self.socket),
            ],
            cwd=self.folder.parent,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY), "XDG_RUNTIME_DIR": str(self.folder.parent)},
            stderr=subprocess.PIPE,
        )
        until(self.answers)

    def answers(self) -> bool:
        try:
            KeeperClient(self.socket).close()
        except UserError:
            return False
        return True

    def offer(self, number: int = 0, *labels: str, samples=NOISE) -> None:
        """Hand a clip over; its number is the hours since the first one."""
        time_ns = 20_000 * DAY_NS + number * DAY_NS // 24
        events = tuple(ClipEvent(label, time_ns, 0.9, 1.5) for label in labels or ("dog_bark",))
        assert self.handover.admit(3600) is None
        self.handover.offer(Clip(samples, RATE, number, time_ns, events, "usb mic", "home", "f" * 64, 0.01, "speech"))

    def refuse(self, label: str) -> None:
        self.handover.admit(3600)
        event = ClipEvent(label, 20_000 * DAY_NS - 1, 0.9, 1.5)
        self.handover.refuse(NoClip((event,), Refusal.NEVER, "speech 0.41", "usb mic", "home", "f" * 64))

    def settle(self, kept: int) -> None:
        until(lambda: self.handover.counts.kept == kept and not self.handover.counts.on_their_way)

    def stop(self) -> None:
        self.handover.close()
        if self.process is not None:
            self.process.terminate()
            self.process.communicate(timeout=PATIENCE_S)


@contextmanager
def keeping(folder: Path, config: str = "min_free_mb: 0\n") -> Iterator[Keeping]:
    made = Keeping(folder, config)
    try:
        yield made
    finally:
        made.stop()
