"""How long a saved line takes to become another model's first prediction, and what is lost meanwhile.

Watches the real daemon from outside: saves its configuration as an editor does, and reads what it writes.
"""

import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np

from audiomon.cli.bench import say as show
from audiomon.cli.settings import model_option
from audiomon.errors import AudiomonError
from audiomon.lab.bench.processes import contender_environment
from audiomon.models.package import MANIFEST, find_package
from tests.bench.microphone import device_option, hop_option, microphone

# A Raspberry Pi needs about 3 s to check a model.
_PATIENCE_S = 120


@dataclass(frozen=True, slots=True)
class Swap:
    """One swap.

    Attributes:
        to_prediction_s: from the save to the arrival of the new model's first prediction here.
        checked_s: reading and checking the new model, in a process of its own.
        loaded_s: loading and warming it beside the old one.
        lost: sample frames that no window covered, or that were not captured meanwhile.
    """

    to_prediction_s: float
    checked_s: float
    loaded_s: float
    lost: int


@dataclass(frozen=True, slots=True)
class SwapFigures:
    """What some swaps came to.

    Attributes:
        swaps: one by one.
        predictions: that came in all.
        lost: sample frames that those say were lost.
        uneven: how often two predictions after each other were not one hop apart; None where the models differ in
            their windows.
    """

    swaps: tuple[Swap, ...]
    predictions: int
    lost: int
    uneven: int | None

    def percentiles(self, name: str) -> tuple[float, float, float]:
        """Return the median, the 95th percentile and the highest of one figure of the swaps."""
        p50, p95, highest = np.percentile([getattr(swap, name) for swap in self.swaps], (50, 95, 100))
        return float(p50), float(p95), float(highest)


class _Daemon:
    """A running ``audiomon run``; its lines with the times at which they came."""

    def __init__(self, config: Path, models: Path, device: str, environment: dict[str, str]) -> None:
        self.config = config
        self._device = device
        self._lines: list[tuple[float, dict[str, Any]]] = []
        self._came = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "audiomon", "run", "--config", str(config), "--json"],
            env=contender_environment({**environment, "AUDIOMON_MODELS": str(models)}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def save(self, model: str, hop_s: float) -> float:
        """Have the configuration name a model; return when."""
        draft = self.config.with_name(".draft")
        # JSON is YAML.
        draft.write_text(json.dumps({"model": model, "hop_s": hop_s, "microphone": {"device": self._device}}))
        draft.replace(self.config)
        return time.monotonic()

    def wait(self, wanted: Callable[[dict[str, Any]], bool], since_s: float) -> tuple[float, dict[str, Any]]:
        """Wait for a line that came after a time; that line, and when it came.

        Raises:
            AudiomonError: it does not come.
        """
        deadline_s = time.monotonic() + _PATIENCE_S
        with self._came:
            while True:
                for came_s, line in self._lines:
                    if came_s >= since_s and wanted(line):
                        return came_s, line
                if self._process.poll() is not None or not self._came.wait(deadline_s - time.monotonic()):
                    raise AudiomonError(f"the listener does not answer: {self._complaint()}")

    def predictions(self) -> list[dict[str, Any]]:
        with self._came:
            return [line for _, line in self._lines if line["type"] == "prediction"]

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _complaint(self) -> str:
        self.end()
        return str(self._process.stderr.read()).strip() if self._process.stderr else ""

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            came_s = time.monotonic()
            with self._came:
                self._lines.append((came_s, json.loads(text)))
                self._came.notify_all()
        with self._came:
            self._came.notify_all()


def measure_swaps(
    model: Path,
    other: Path | None,
    *,
    count: int,
    hop_s: float,
    device: str,
    environment: dict[str, str],
    say: Callable[[str], None],
) -> SwapFigures:
    """Swap two models to and fro.

    Args:
        model: folder of the package to begin with.
        other: of the one to swap it with; a copy of the first under another name if None.
        count: how many times.
        hop_s: wanted seconds between predictions.
        device: microphone to listen to.
        environment: variables that a process needs to find it.
        say: told how far it is.

    Raises:
        AudiomonError: the listener does not start, or refuses a model.
    """
    moments = random.Random(1)
    with _models(model, other) as (models, names), tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "audiomon.yaml"
        config.touch()
        daemon = _Daemon(config, models, device, environment)
        daemon.save(names[0], hop_s)
        try:
            daemon.wait(lambda line: line.get("model") == names[0] and line["type"] == "prediction", 0.0)
            swaps = []
            for number in range(1, count + 1):
                say(f"swap {number} of {count}")
                # Anywhere between two predictions, as people save.
                time.sleep(2 * hop_s + moments.random() * hop_s)
                swaps.append(_swap(daemon, names[number % 2], hop_s))
            predictions = daemon.predictions()
        finally:
            daemon.end()
    steps = {round(after["position_s"] - before["position_s"], 4) for before, after in pairwise(predictions)}
    return SwapFigures(
        tuple(swaps),
        len(predictions),
        sum(prediction["lost"] for prediction in predictions),
        len(steps) - 1 if other is None else None,
    )


def _swap(daemon: _Daemon, name: str, hop_s: float) -> Swap:
    saved_s = daemon.save(name, hop_s)
    came_s, _ = daemon.wait(lambda line: line["type"] == "prediction" and line["model"] == name, saved_s)
    _, status = daemon.wait(lambda line: line.get("kind") in ("model-swapped", "swap-refused"), saved_s)
    if status["kind"] == "swap-refused":
        raise AudiomonError(f"the listener refused {name}: {status['message']}")
    return Swap(came_s - saved_s, status["checked_s"], status["loaded_s"], status["lost"] + status["lost_reopened"])


@contextmanager
def _models(model: Path, other: Path | None) -> Iterator[tuple[Path, tuple[str, str]]]:
    """Make a folder with both models, and yield it with their names."""
    with tempfile.TemporaryDirectory(prefix="audiomon-bench-") as scratch:
        folder = Path(scratch)
        shutil.copytree(model, folder / model.name)
        if other is not None:
            shutil.copytree(other, folder / other.name)
            yield folder, (model.name, other.name)
            return
        name = f"{model.name}-copy"
        shutil.copytree(model, folder / name)
        manifest = folder / name / MANIFEST
        text = manifest.read_text(encoding="utf-8")
        manifest.write_text(text.replace(f"name: {model.name}", f"name: {name}", 1), encoding="utf-8")
        yield folder, (model.name, name)


@click.command()
@model_option
@click.option("--other", metavar="MODEL", help="Swap with this one; otherwise with a copy under another name.")
@click.option("--count", type=click.IntRange(1), default=100, show_default=True, help="How many swaps.")
@hop_option
@device_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object with every swap instead of a table.")
def swap(model: str | None, other: str | None, count: int, hop_s: float, device: str | None, as_json: bool) -> None:
    """Measure how long a saved line takes to become another model's prediction, and what is lost meanwhile.

    \b
    Examples:
      python -m tests.bench swap
      python -m tests.bench swap --other esc10 --count 20 --device usb
    """
    folder = find_package(model or "home", Path()).resolve()
    other_folder = find_package(other, Path()).resolve() if other else None
    with microphone(device, folder) as (name, environment):
        figures = measure_swaps(
            folder, other_folder, count=count, hop_s=hop_s, device=name, environment=environment, say=show
        )
    show("")
    click.echo(msgspec.json.encode(figures).decode() if as_json else "\n".join(_table(figures)))


def _table(figures: SwapFigures) -> list[str]:
    rows = (
        ("to_prediction_s", "saved to first prediction"),
        ("checked_s", "  of that: read and check"),
        ("loaded_s", "  of that: load and warm"),
    )
    lines = [f"{f'{len(figures.swaps)} swaps, seconds':<28}  {'50 %':>7}  {'95 %':>7}  {'max':>7}"]
    for name, title in rows:
        p50, p95, highest = figures.percentiles(name)
        lines.append(f"{title:<28}  {p50:>7.3f}  {p95:>7.3f}  {highest:>7.3f}")
    lost = sum(swap.lost for swap in figures.swaps)
    lines.append(f"samples lost: {lost} by swaps, {figures.lost} in all, over {figures.predictions} predictions")
    if figures.uneven is not None:
        even = "every prediction one hop after the one before"
        lines.append(even if not figures.uneven else f"{figures.uneven} predictions not one hop after the one before")
    return lines
