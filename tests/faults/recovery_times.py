"""How soon faults are noticed and got over, measured: ``python -m tests.faults.recovery_times [ROUNDS]``.

A real daemon on real PortAudio and a sound server of its own, which is unplugged, killed and frozen. Prints the rows of
the table in ``audiomon/daemon/README.md``: median and worst of so many rounds, in seconds.
"""

import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from tests.conftest import SCRIPT, VirtualMicrophone, start_virtual_microphone
from tests.daemon.daemon import Daemon, running_daemon, wait_until
from tests.faults import CONFIG
from tests.faults.injected import Injection
from tests.models.tiny import write_tiny

Row = Callable[[Daemon, VirtualMicrophone], dict[str, float]]


@contextmanager
def listening(*, config: str = CONFIG, injected: bool = False) -> Iterator[tuple[Daemon, VirtualMicrophone]]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_tiny(folder / "models" / "float32", "float32")
        microphone = start_virtual_microphone(folder / "microphone", 22_050, "mic")
        environment = {**microphone.environment}
        if injected:
            environment |= Injection(folder / "injected").environment
        try:
            with running_daemon(folder, environment, config) as daemon:
                daemon.wait_predictions(10)
                yield daemon, microphone
        finally:
            microphone("stop")


def since(daemon: Daemon, kind: str, count: int, began_s: float) -> float:
    daemon.wait_for(kind, count)
    return time.monotonic() - began_s


def hears_since(daemon: Daemon, back_count: int, returned_s: float) -> dict[str, float]:
    """Seconds from a wall-clock time to the first sample of the stream that is then heard, and to its prediction."""
    back = daemon.wait_for("device-back", back_count)
    said_s = time.time()
    start = daemon.lines.index(back)
    first = wait_until(
        lambda: next((line for line in daemon.lines[start:] if line["type"] == "prediction"), None), "a prediction"
    )
    captured_s = datetime.fromisoformat(first["time"]).timestamp() - first["position_s"]
    return {"hears": max(0.0, captured_s - returned_s), "predicts": max(0.0, said_s - returned_s)}


def unplugged(daemon: Daemon, microphone: VirtualMicrophone) -> dict[str, float]:
    count, began_s = len(daemon.of_kind("device-lost")) + 1, time.monotonic()
    microphone("unplug", "mic")
    noticed = since(daemon, "device-lost", count, began_s)
    time.sleep(3)
    microphone("plug", "mic")
    return {"noticed": noticed, **hears_since(daemon, count, time.time())}


def killed(daemon: Daemon, microphone: VirtualMicrophone) -> dict[str, float]:
    count, began_s = len(daemon.of_kind("device-lost")) + 1, time.monotonic()
    microphone("kill")
    noticed = since(daemon, "device-lost", count, began_s)
    time.sleep(3)
    subprocess.run([SCRIPT, "start", microphone.folder, "22050", "mic"], check=True, stdout=subprocess.PIPE)
    return {"noticed": noticed, **hears_since(daemon, count, time.time())}


def frozen(daemon: Daemon, microphone: VirtualMicrophone) -> dict[str, float]:
    count, began_s = len(daemon.of_kind("device-lost")) + 1, time.monotonic()
    microphone("freeze")
    noticed = since(daemon, "device-lost", count, began_s)
    time.sleep(2)
    microphone("thaw")
    return {"noticed": noticed, **hears_since(daemon, count, time.time())}


def raises(daemon: Daemon, _: VirtualMicrophone) -> dict[str, float]:
    folder = Path(daemon.config).parent / "injected"
    count, began_s = len(daemon.of_kind("stage-failed")) + 1, time.monotonic()
    (folder / "inference-raises").touch()
    noticed = since(daemon, "stage-failed", count, began_s)
    lost = daemon.wait_for("audio-lost", count)
    predicts = time.monotonic() - began_s
    return {"noticed": noticed, "predicts": predicts, "lost": lost["lost_s"]}


def stopped(fate: tuple[str, ...]) -> float:
    with listening() as (daemon, microphone):
        if fate:
            microphone(*fate)
            daemon.wait_for("device-lost")
        began_s = time.monotonic()
        daemon.process.terminate()
        daemon.process.wait()
        ended_s = time.monotonic() - began_s
        daemon.wait_for_end("summary")
        return ended_s


def starved(seconds: float) -> str:
    with listening(config=CONFIG + "  channel: 31\n") as (daemon, _):
        daemon.wait_predictions(100)
        daemon.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        daemon.process.send_signal(signal.SIGCONT)
        return str(daemon.wait_for("undelivered")["message"])


def told(name: str, rounds: list[dict[str, float]]) -> None:
    figures = ", ".join(
        f"{key} {statistics.median(one[key] for one in rounds):.2f} (worst {max(one[key] for one in rounds):.2f})"
        for key in rounds[0]
    )
    print(f"{name}: {figures} s, {len(rounds)} rounds", flush=True)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    rows: list[tuple[str, Row, bool]] = [
        ("unplugged and replugged", unplugged, False),
        ("sound server killed and started again", killed, False),
        ("sound server frozen for 2 s after it was noticed", frozen, False),
    ]
    for name, row, injected in rows:
        with listening(injected=injected) as (daemon, microphone):
            told(name, [row(daemon, microphone) for _ in range(rounds)])
    with listening(injected=True) as (daemon, microphone):
        # A third within a minute would end the process.
        told("inference stage raises", [raises(daemon, microphone) for _ in range(2)])
    fates: tuple[tuple[str, ...], ...] = ((), ("unplug", "mic"), ("kill",), ("freeze",))
    for fate in fates:
        told(f"SIGTERM, {fate[0] if fate else 'all well'}", [{"ended": stopped(fate)} for _ in range(2)])
    print(f"stopped for 30 s: {starved(30)}")


if __name__ == "__main__":
    main()
