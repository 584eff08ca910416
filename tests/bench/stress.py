"""What a busy machine does to listening: the real daemon beside processes that want all CPUs, or with few of them.

Watched from outside: what it writes, and what the kernel says it holds.
"""

import dataclasses
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np

from audiomon.cli.bench import say as show
from audiomon.cli.settings import model_option
from audiomon.lab.bench.processes import contender_environment
from audiomon.models.package import find_package
from tests.bench.listening import Held, Listening
from tests.bench.microphone import device_option, hop_option, microphone

# As audiomon.service has it: other work goes first.
_NICE = ("nice", "-n", "5")
_HOG = "while True: pass"
# The first window takes a second to fill, and memory settles with the first few dozen.
_SETTLING_S = 10.0


@dataclass(frozen=True, slots=True)
class Condition:
    """What is done to the machine.

    Attributes:
        hogs: processes beside the daemon that never wait for anything.
        quota_percent: of one CPU that the daemon may have; None for no limit.
    """

    hogs: int = 0
    quota_percent: int | None = None

    def __str__(self) -> str:
        if self.quota_percent is not None:
            return f"CPUQuota={self.quota_percent} %"
        return f"{self.hogs or 'no'} CPU hog{'s' if self.hogs != 1 else ''}"


@dataclass(frozen=True, slots=True)
class Sample:
    """A look at the daemon.

    Attributes:
        at_s: seconds since it was ready.
        held: of memory, threads and descriptors.
        predictions: that it has written by then.
        lost: sample frames that it has counted as lost by then.
    """

    at_s: float
    held: Held
    predictions: int
    lost: int


@dataclass(frozen=True, slots=True)
class Endured:
    """How it went.

    Attributes:
        condition: that it was under.
        seconds: that it was watched for.
        predictions: that it made.
        lost: sample frames lost, as its predictions tell.
        windows_shed: windows passed over because the model could not keep up, as its last summary tells.
        shed: sample frames that were in those alone.
        lag_ms: median, 99th percentile and highest of captured to written; nothing if nothing was predicted.
        samples: from the first, after it has settled, to the last.
        missing: why it could not be measured; empty when it was.
    """

    condition: Condition
    seconds: float
    predictions: int = 0
    lost: int = 0
    windows_shed: int = 0
    shed: int = 0
    lag_ms: tuple[float, float, float] | None = None
    samples: tuple[Sample, ...] = ()
    missing: str = ""


def endure(
    conditions: Sequence[Condition],
    folder: Path,
    *,
    device: str,
    environment: Mapping[str, str],
    seconds: float,
    hop_s: float,
    every_s: float,
    say: Callable[[str], None],
) -> Iterator[Endured]:
    """Run the daemon under one condition after the other.

    Args:
        conditions: to be under.
        folder: of the model package.
        device: microphone to listen to.
        environment: variables that a process needs to find it.
        seconds: to watch each.
        hop_s: wanted seconds between predictions.
        every_s: seconds from one look at its memory to the next.
        say: told how far it is.

    Raises:
        AudiomonError: the daemon does not start.
    """
    command = [sys.executable, "-m", "audiomon", "run", "--json", "--device", device]
    command += ["--model", str(folder), "--hop", str(hop_s)]
    for condition in conditions:
        prefix = [*_NICE]
        if condition.quota_percent is not None:
            if not Path("/run/systemd/system").exists() or shutil.which("systemd-run") is None:
                yield Endured(condition, seconds, missing="needs systemd, which does not run here")
                continue
            prefix = ["systemd-run", "--scope", "--quiet", "-p", f"CPUQuota={condition.quota_percent}%", *_NICE]
        listening = Listening([*prefix, *command], contender_environment(environment))
        try:
            with _hogs(condition.hogs):
                endured = _watch(condition, listening, seconds, every_s, say)
        finally:
            listening.stop()
        total: dict[str, Any] = next(
            (line for _, line in reversed(listening.lines) if line.get("kind") == "summary"), {}
        )
        windows_shed, shed = int(total.get("windows_shed", 0)), int(total.get("shed", 0))
        yield dataclasses.replace(endured, windows_shed=windows_shed, shed=shed)


def _watch(
    condition: Condition, listening: Listening, seconds: float, every_s: float, say: Callable[[str], None]
) -> Endured:
    began_s = time.monotonic()
    looks = [min(_SETTLING_S, seconds / 2)]
    while looks[-1] < seconds:
        looks.append(min(seconds, looks[-1] + every_s))
    samples = []
    for look_s in looks:
        while (left_s := began_s + look_s - time.monotonic()) > 0:
            say(f"{condition}: {time.monotonic() - began_s:.0f} of {seconds:.0f} s")
            time.sleep(min(1.0, left_s))
        found = _predictions(listening, began_s)
        samples.append(Sample(time.monotonic() - began_s, listening.held(), len(found), _lost(found)))
    found = _predictions(listening, began_s)
    lags = np.percentile([line["lag_ms"] for line in found], (50, 99, 100)) if found else None
    return Endured(
        condition,
        seconds,
        len(found),
        _lost(found),
        lag_ms=(float(lags[0]), float(lags[1]), float(lags[2])) if lags is not None else None,
        samples=tuple(samples),
    )


def _predictions(listening: Listening, since_s: float) -> list[dict[str, Any]]:
    return [line for came_s, line in list(listening.lines) if came_s >= since_s and line["type"] == "prediction"]


def _lost(predictions: Sequence[Mapping[str, Any]]) -> int:
    return sum(int(line["lost"]) for line in predictions)


@contextmanager
def _hogs(count: int) -> Iterator[None]:
    hogs = [subprocess.Popen([sys.executable, "-S", "-c", _HOG], env=dict(os.environ)) for _ in range(count)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


@click.command()
@model_option
@click.option(
    "--hogs",
    type=click.IntRange(0, 64),
    multiple=True,
    default=(0, 1, 2, 4),
    show_default="0, 1, 2, 4",
    help="Processes beside it that take all the CPU they get; may be given several times.",
)
@click.option(
    "--quota",
    type=click.IntRange(1, 100),
    multiple=True,
    default=(10,),
    show_default="10",
    help="Percent of one CPU that systemd lets it have; may be given several times.",
)
@click.option("--no-quota", is_flag=True, help="Leave that out.")
@click.option("--seconds", type=click.FloatRange(5), default=30, show_default=True, help="How long under each.")
@click.option("--every", "every_s", type=click.FloatRange(1), default=60, show_default=True, help="Seconds per look.")
@hop_option
@device_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each row, with every look at its memory.")
def stress(
    model: str | None,
    hogs: tuple[int, ...],
    quota: tuple[int, ...],
    no_quota: bool,
    seconds: float,
    every_s: float,
    hop_s: float,
    device: str | None,
    as_json: bool,
) -> None:
    """Listen while other processes want the CPU, and while systemd gives little of it; one row for each.

    Lag is from capturing a window's last sample to the line written. Memory is that of the first and of the last look.

    \b
    Examples:
      python -m tests.bench stress
      python -m tests.bench stress --hogs 0 --no-quota --seconds 3600 --json
    """
    folder = find_package(model or "home", Path()).resolve()
    conditions = [Condition(hogs=count) for count in hogs]
    conditions += [] if no_quota else [Condition(quota_percent=percent) for percent in quota]
    with microphone(device, folder) as (name, environment):
        rows = endure(
            conditions,
            folder,
            device=name,
            environment=environment,
            seconds=seconds,
            hop_s=hop_s,
            every_s=every_s,
            say=show,
        )
        if not as_json:
            click.echo(_HEADER)
        for row in rows:
            show("")
            click.echo(msgspec.json.encode(row).decode() if as_json else _line(row))


_HEADER = (
    f"{'':<15} {'predictions':>11} {'windows shed':>13} {'samples lost':>13} {'lag 50 %':>9} {'99 %':>9} {'max':>9} "
    f"{'memory MB':>15} {'threads':>8} {'files':>6}"
)


def _line(row: Endured) -> str:
    if row.missing:
        return f"{row.condition!s:<15} {row.missing}"
    first, last = row.samples[0].held, row.samples[-1].held
    lags = " ".join(f"{lag_ms:>6.0f} ms" for lag_ms in row.lag_ms) if row.lag_ms else f"{'none':>9} {'':>9} {'':>9}"
    memory = f"{first.rss_bytes / 1e6:.1f} → {last.rss_bytes / 1e6:.1f}"
    return (
        f"{row.condition!s:<15} {row.predictions:>11} {row.windows_shed:>13} {row.lost:>13} {lags} {memory:>15} "
        f"{last.threads:>8} {last.descriptors:>6}"
    )
