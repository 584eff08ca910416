"""What the feed and the link cost, and how fast they are: ``python -m tests.link.bench``.

Real processes on this machine: the daemon on a virtual microphone, a broker, the link; and a Home Assistant, where
``home_assistant.sh`` has installed one. Nothing is judged here; what has to be reached is written beside each figure.
"""

import os
import signal
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile

from audiomon.clock import SystemClock
from audiomon.outputs.feed import open_feed
from audiomon.outputs.feed_protocol import KINDS, Want, encode
from tests.conftest import VirtualMicrophone, start_virtual_microphone
from tests.daemon.daemon import Daemon, running_daemon
from tests.link.home_assistant import HomeAssistant, hass
from tests.link.processes import MadeUpListener
from tests.link.test_mqtt import BASE, House
from tests.outputs.listening import Client, event, prediction

_REPOSITORY = Path(__file__).resolve().parents[2]
_CONFIG = "model: home\nmicrophone:\n  device: mic\nfeed:\n  spectrogram: true\n"
_EVENTS = 100
_SPEECH = "binary_sensor.audiomon_attic_speech"


def cpu_ms(pid: int) -> float:
    """Processor time of a process's threads so far, in milliseconds."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e6


def rss_mb(pid: int) -> float:
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0]) / 1024


def cost(pid: int, seconds: float) -> tuple[float, float]:
    """Milliseconds of processor time a second, and resident megabytes at the end."""
    before, began = cpu_ms(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_ms(pid) - before) / (time.monotonic() - began), rss_mb(pid)


@contextmanager
def listening(folder: Path, socket: Path) -> Iterator[Daemon]:
    """A daemon that hears noise."""
    microphone: VirtualMicrophone = start_virtual_microphone(folder / "microphone", 22_050, "mic")
    sound = folder / "sound.wav"
    soundfile.write(sound, np.random.default_rng(1).integers(-3000, 3000, 22_050 * 20).astype(np.int16), 22_050)
    microphone("loop", "mic", sound)
    environment = {**microphone.environment, "AUDIOMON_MODELS": str(_REPOSITORY / "models")}
    try:
        with running_daemon(folder, environment, _CONFIG, "--feed", str(socket)) as daemon:
            daemon.wait_predictions(10)
            yield daemon
    finally:
        microphone("stop")


def ears(seconds: float) -> None:
    """Compare listening with a client of everything with listening without one, in turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with listening(folder, folder / "feed.sock") as daemon:
            without, reading = [], []
            for _ in range(3):
                without.append(cost(daemon.process.pid, seconds))
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(str(folder / "feed.sock"))
                    client.sendall(encode(Want(KINDS)) + b"\n")
                    client.setblocking(False)
                    before, began = cpu_ms(daemon.process.pid), time.monotonic()
                    while time.monotonic() - began < seconds:
                        time.sleep(0.5)
                        while _received(client):
                            pass
                    spent = (cpu_ms(daemon.process.pid) - before) / (time.monotonic() - began)
                    reading.append((spent, rss_mb(daemon.process.pid)))
            plain, fed = (statistics.median(one[0] for one in runs) for runs in (without, reading))
            memory = reading[-1][1] - without[0][1]
            click.echo(f"ears without a client:            {plain:.2f} ms/s, {without[0][1]:.1f} MB")
            click.echo(f"ears with a client of everything: {fed:.2f} ms/s: {fed / plain - 1:+.1%} (reach: ≤ +10 %)")
            click.echo(f"                                  {memory:+.1f} MB (reach: ≤ +1.5 MB)")
            with ExitStack() as stack:
                house = House(folder, stack)
                link = house.link()
                (link.feeds / "audiomon.sock").symlink_to(folder / "feed.sock")
                house.reader.wait_for(f"{BASE}/listener", "online")
                time.sleep(5)
                spent, memory = cost(link.process.pid, seconds)
                click.echo(f"link with MQTT, 2 predictions/s:  {spent:.2f} ms/s (≤ 1.5), {memory:.1f} MB (≤ 45)")


def _received(client: socket.socket) -> bool:
    try:
        return bool(client.recv(1 << 20))
    except BlockingIOError:
        return False


def idle(minutes: float) -> None:
    """Have a client that never reads beside one that reads all, with events as fast as the neighbour takes them."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "feed.sock"
        feed = open_feed(path, "idle", SystemClock())
        _idle, neighbour = Client(feed, path, "prediction"), Client(feed, path, "prediction")
        sent = received = 0
        neighbour.lines()
        began, before = time.monotonic(), 0.0
        while time.monotonic() - began < 60 * minutes:
            for _ in range(100):
                feed.prediction(prediction(number=sent))
                sent += 1
            received += len(neighbour.lines())
            before = before or (rss_mb(os.getpid()) if sent > 10_000 else 0.0)
        grown = rss_mb(os.getpid()) - before
        click.echo(f"a client that never reads, {sent} lines: its neighbour missed {sent - received}; {grown:+.2f} MB")
        feed.close()


def delays() -> None:
    """Measure from an event to a subscriber, and to Home Assistant's state; and what a kill costs."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        house = House(folder, stack)
        link = house.link()
        listener = house.listener(link)
        house.reader.wait_for(f"{BASE}/listener", "online")
        time.sleep(2)
        _say(
            "event → mosquitto_sub",
            _delays(listener, lambda wanted: house.reader.last(f"{BASE}/label/speech") == wanted.upper()),
        )
        try:
            hass()
        except pytest.skip.Exception as reason:
            click.echo(f"Home Assistant: {reason}")
            return
        (folder / "hass").mkdir()
        assistant = HomeAssistant(folder / "hass", house.port)
        stack.callback(assistant.stop)
        assistant.wait_state(_SPEECH, "off", "on")
        found = []
        for number in range(_EVENTS):
            state = "on" if number % 2 else "off"
            began = time.time_ns()
            listener.feed.event(event("speech", state, time_ns=began))
            assistant.wait_state(_SPEECH, state)
            changed = datetime.fromisoformat(assistant.states(_SPEECH)[_SPEECH]["last_changed"]).timestamp()
            found.append((changed - began / 1e9) * 1000)
        _say("event → Home Assistant's state", found, "median ≤ 100")
        began_s = time.monotonic()
        listener.close()
        assistant.wait_state(_SPEECH, "unavailable")
        click.echo(f"ears gone → unavailable: {time.monotonic() - began_s:.2f} s (reach: ≤ 1)")
        listener = house.listener(link)
        began_s = time.monotonic()
        assistant.wait_state(_SPEECH, "on", "off")
        click.echo(f"ears back → available:   {time.monotonic() - began_s:.2f} s (reach: ≤ 2)")
        link.stop(signal.SIGKILL)


def _delays(listener: MadeUpListener, arrived: Callable[[str], bool]) -> list[float]:
    found = []
    for number in range(_EVENTS):
        state = "on" if number % 2 else "off"
        began = time.monotonic()
        listener.feed.event(event("speech", state))
        while not arrived(state):
            time.sleep(0.0005)
        found.append((time.monotonic() - began) * 1000)
    return found


def _say(what: str, found: list[float], reach: str = "") -> None:
    median, worst = statistics.median(found), max(found)
    wanted = f" (reach: {reach})" if reach else ""
    click.echo(f"{what}: median {median:.1f} ms, worst {worst:.1f} ms of {len(found)}{wanted}")


@click.command()
@click.option("--seconds", default=60.0, show_default=True, help="For each measurement of processor time.")
@click.option("--minutes", default=10.0, show_default=True, help="For the client that never reads.")
@click.option("--only", type=click.Choice(["ears", "idle", "delays"]), help="Measure this alone.")
def bench(seconds: float, minutes: float, only: str | None) -> None:
    """Measure the feed and the link."""
    if only in (None, "ears"):
        ears(seconds)
    if only in (None, "delays"):
        delays()
    if only in (None, "idle"):
        idle(minutes)


if __name__ == "__main__":
    bench()
