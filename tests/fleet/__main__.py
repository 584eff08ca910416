"""``python -m tests.fleet simulate N DAYS``: what N Pis write in DAYS, made, shipped and asked, and what that costs.

The entries are audiomon's own, events and summaries through its `Journal`. What journald adds to each is added here,
and the result is packed as ``deploy/fleet/ship`` packs it with SHIP_FORM=json, and sent by rsync. Then the views of
``deploy/fleet/fleet.sql`` are asked, and their answers compared with what was put in; a file in a hundred is there
twice. What journald and systemd themselves cost is left out.
"""

import argparse
import contextlib
import json
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb

from audiomon.outputs.journal import Journal
from audiomon.pipeline.prediction import Event, Status, StatusKind
from audiomon.pipeline.statuses import period_summary
from audiomon.pipeline.tally import Tally
from tests.manual_clock import ManualClock

FLEET = Path(__file__).resolve().parents[2] / "deploy" / "fleet"
BEGIN_S = 1_767_225_600  # 2026-01-01
# Those of a day whose label changes in 3 % of windows: more than most rooms have.
EVENTS_A_DAY = 3670
LABELS = ("speech", "dog_bark", "baby_cry", "blender", "doorbell")
KEPT = set(re.findall(r"\b[A-Z_]{4,}\b", re.search(r"fields=.*?done", (FLEET / "ship").read_text(), re.S)[0]))


class Pi:
    """A machine: takes entries as journald does, and gives them out as journalctl does."""

    lost = waiting = 0

    def __init__(self, number: int, events: int) -> None:
        self.name = f"pi-{number:05d}"
        self._machine, self._boot = f"{number:032x}", f"{number + (1 << 100):032x}"
        self._random = random.Random(number)
        self._gap_s = 86_400 / events
        self._now_s = 0.0
        self._next_s = self._gap_s * self._random.random()
        self._lines: list[str] = []
        self._journal = Journal(self, "audiomon")  # type: ignore[arg-type]  # all of a socket that it uses
        self.entries = self.events = 0

    def send(self, fields: dict[str, str]) -> None:
        us = int(self._now_s * 1e6) + self.entries  # no two at one time
        kept = {name: value for name, value in fields.items() if name in KEPT or name[9:] in KEPT}
        added = {
            "__CURSOR": f"s={self._boot};i={self.entries:x};b={self._boot};m={us:x};t={BEGIN_S * 10**6 + us:x};x=0",
            "__REALTIME_TIMESTAMP": str(BEGIN_S * 10**6 + us),
            "__MONOTONIC_TIMESTAMP": str(us),
            "_BOOT_ID": self._boot,
            "_HOSTNAME": self.name,
            "_MACHINE_ID": self._machine,
        }
        self._lines.append(json.dumps(added | kept))
        self.entries += 1

    def live(self, minutes: int) -> str:
        """Live for some minutes; what journalctl says of them."""
        self._lines = []
        for _ in range(minutes):
            end_s = self._now_s + 60
            while self._next_s < end_s:
                self._event()
            self._now_s = end_s
            self._summary()
        return "\n".join(self._lines) + "\n"

    def _event(self) -> None:
        label, duration_s = self._random.choice(LABELS), 0.5 + self._random.random()
        self._now_s = self._next_s
        self._journal.event(Event(label, "on", 0.9, 0.0, 0, 0.0))
        self._now_s += duration_s
        self._journal.event(Event(label, "off", 0.2, 0.0, 0, duration_s))
        self._next_s += max(2.0, self._random.expovariate(1 / self._gap_s))
        self.events += 1

    def _summary(self) -> None:
        status = period_summary(Tally(117, {"speech": 117}), 59.8, 60.0, -42.0, ManualClock())
        facts = {**status.facts, "health": "listening", "model": "home", "model_sha256": "c0ffee12" * 8}
        self._journal.status(Status(StatusKind.SUMMARY, status.message, 0, facts))


@contextlib.contextmanager
def timed(what: str, entries: int) -> Iterator[None]:
    """Print what something costs, children included."""
    wall_s, cpu_s = time.perf_counter(), cpu()
    yield
    wall_s, cpu_s = time.perf_counter() - wall_s, cpu() - cpu_s
    print(f"{what:<34} {wall_s:8.2f} s  CPU {cpu_s:8.2f} s  {cpu_s / entries * 1e6:7.2f} µs an entry", flush=True)


def cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def make(pis: list[Pi], days: int, every: int, spool: Path) -> int:
    """Write what each Pi would have in its spool; how many bytes journalctl wrote for it."""
    size = 0
    for pi in pis:
        for number in range(days * 1440 // every):
            text = pi.live(every).encode()
            size += len(text)
            name = f"{pi.name}-{number * every:018d}.json.zst"
            with (spool / name).open("wb") as packed:
                subprocess.run(["zstd", "-q", "-10"], input=text, stdout=packed, check=True)
    return size


def simulate(count: int, days: int, events: int, every: int, folder: Path) -> None:
    spool, server = folder / "spool", folder / "server"
    spool.mkdir()
    server.mkdir()
    pis = [Pi(number, events) for number in range(count)]
    expected = count * days * (2 * events + 1440)
    with timed("made and packed", expected):
        size = make(pis, days, every, spool)
    entries = sum(pi.entries for pi in pis)
    packed = sum(path.stat().st_size for path in spool.iterdir())
    print(
        f"{count} Pis × {days} days: {entries} entries; a Pi and day: {entries / count / days:.0f} entries, "
        f"{size / count / days / 1e6:.2f} MB, {packed / count / days / 1e6:.3f} MB packed"
    )
    with timed("sent", entries):
        subprocess.run(["rsync", "-a", "--remove-source-files", f"{spool}/", f"{server}/"], check=True)
    for path in sorted(server.iterdir())[::100]:
        path.with_name(f"again-{path.name}").write_bytes(path.read_bytes())
    database = duckdb.connect(str(folder / "fleet.duckdb"))
    database.execute("set threads = 2; set memory_limit = '4GB'")
    database.execute(f"set variable fleet = '{server}/**/*.json.zst'")
    database.execute((FLEET / "fleet.sql").read_text())
    with timed("fleet.sql where it lies: pis", entries):
        found = database.execute("select sum(events), count(*) from pis").fetchone()
    wanted = sum(pi.events for pi in pis)
    assert found == (wanted, count), (found, wanted, count)
    with timed("once into Parquet", entries):
        database.execute(f"copy (from entries) to '{folder}/entries.parquet' (compression zstd)")
    parquet = (folder / "entries.parquet").stat().st_size
    print(f"Parquet: {parquet / entries:.1f} bytes an entry")
    database.execute(f"create or replace view entries as from '{folder}/entries.parquet'")
    for question in ("pis", "hourly", "models", "silent"):
        with timed(f"from Parquet: {question}", entries):
            database.execute(f"from {question}").fetchall()
    total = database.execute("select sum(events) from hourly").fetchone()
    assert total is not None
    assert abs(total[0] - wanted) <= count  # what is on at the end has no end yet
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fleet", description=__doc__)
    parser.add_argument("what", choices=["simulate"])
    parser.add_argument("count", type=int, metavar="N")
    parser.add_argument("days", type=int, metavar="DAYS")
    parser.add_argument("--events", type=int, default=EVENTS_A_DAY, help="of each Pi, a day (default: %(default)s)")
    parser.add_argument("--every", type=int, default=10, help="minutes from one shipment to the next (default: 10)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        simulate(asked.count, asked.days, asked.events, asked.every, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
