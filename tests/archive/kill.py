"""Everything that can be killed is, in the middle of an archive: ``python -m tests.archive.kill [--files 2000]``.

A worker, the driver, a worker with its nanny, the scheduler, and whatever reads one recording; the same command goes on
each time. In the end the archive is compared with what ``audiomon classify --csv`` says, and both are printed.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.archive.cluster import REPOSITORY, Cluster, faulty_python, limit_parts, parts_done, wait_until
from tests.archive.comparing import Comparison, compare
from tests.archive.corpus import write_corpus, write_recording

DEADLY = "site=09/deadly.wav"


@dataclass(frozen=True)
class Killed:
    """What came of it.

    Attributes:
        comparison: with the table.
        log: what was killed when, by the parts that were done.
        statuses: exit statuses of the drivers that ended by themselves.
        last: what the last driver said.
        again: what the same command says once more.
    """

    comparison: Comparison
    log: list[str]
    statuses: list[int]
    last: str
    again: str


def kill_everything(
    folder: Path, *, files: int, seconds: float, hours: int, part_files: int, model: str, models: Path | None = None
) -> Killed:
    """Classify a corpus twice: in one go, and with everything killed on the way.

    The workers wait for each kill, so that every one of them finds something undone.
    """
    root, out = folder / "recordings", folder / "out"
    faulty = faulty_python(folder / "faulty")
    written = write_corpus(root, files, seconds=seconds, hours=hours)
    environment = {
        **os.environ,
        # A folder of recordings may have names that no terminal shows.
        "PYTHONIOENCODING": "utf-8:surrogateescape",
        "PYTHONPATH": os.pathsep.join([str(faulty), str(REPOSITORY)]),
        **({} if models is None else {"AUDIOMON_MODELS": str(models)}),
    }
    paths = sorted(path for path in root.rglob("*.*") if path.suffix != ".TXT" and path.name[0] != ".")
    table = subprocess.run(
        [sys.executable, "-m", "audiomon", "classify", "--csv", "-j", "1", "-m", model, *paths],
        env=environment,
        capture_output=True,
        check=False,
    ).stdout
    write_recording(root / DEADLY, np.zeros(48_000 * 3, np.int16), 48_000)
    command = [sys.executable, "-m", "audiomon", "classify", root, "--output", out, "-m", model]
    command += ["--part-files", str(part_files), "--scheduler-file", folder / "cluster" / "scheduler.json"]
    total = -(-(written + 1) // part_files)
    log: list[str] = []
    statuses: list[int] = []

    def note(text: str) -> None:
        log.append(f"{time.strftime('%H:%M:%S')} {parts_done(out)} of about {total} parts: {text}")
        print(log[-1], flush=True)

    def drive() -> "subprocess.Popen[bytes]":
        return subprocess.Popen(command, env=environment, stderr=(folder / "driver.log").open("wb"))

    def allow(share: float) -> int:
        parts = max(1, int(total * share))
        limit_parts(faulty, out, parts)
        return parts

    def wait_for(parts: int, driver: "subprocess.Popen[bytes]") -> None:
        wait_until(lambda: parts_done(out) >= parts or driver.poll() is not None, f"{parts} parts are done", 3600)
        assert driver.poll() is None, (folder / "driver.log").read_text(errors="replace")

    one = Cluster(folder / "cluster", environment)
    try:
        one.start_scheduler()
        first, second = one.start_worker(), one.start_worker()
        one.wait_for_registrations(2)
        parts = allow(0.15)
        driver = drive()
        wait_for(parts, driver)
        note("a worker process is killed")
        one.kill_worker(first)
        one.wait_for_registrations(3)
        wait_for(allow(0.3), driver)
        note("the driver is killed, and the same command begins")
        driver.kill()
        driver.wait()
        driver = drive()
        wait_for(allow(0.5), driver)
        note("a worker and its nanny are killed")
        one.kill_machine(second)
        wait_for(allow(0.7), driver)
        note("the scheduler is killed")
        one.kill_scheduler()
        limit_parts(faulty, out, None)
        statuses.append(driver.wait(600))
        note(f"the driver has ended with {statuses[-1]}: {_last(folder)}")
        for worker in list(one.workers):
            one.kill_machine(worker)
        one.start_scheduler()
        one.start_worker()
        one.start_worker()
        driver = drive()
        statuses.append(driver.wait(7200))
        last = (folder / "driver.log").read_text(errors="replace")
        note(f"the driver has ended with {statuses[-1]}")
        again = subprocess.run([*command, "--dry-run"], env=environment, capture_output=True, check=False)
    finally:
        one.stop()
    return Killed(compare(table, root, out), log, statuses, last, again.stderr.decode())


def _last(folder: Path) -> str:
    return ((folder / "driver.log").read_text(errors="replace").strip().splitlines() or [""])[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of most recordings")
    parser.add_argument("--hours", type=int, default=1, help="recordings that are an hour long")
    parser.add_argument("--model", default="home")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as folder:
        killed = kill_everything(
            Path(folder),
            files=options.files,
            seconds=options.seconds,
            hours=options.hours,
            part_files=50,
            model=options.model,
        )
    print(killed.last)
    print(killed.again)
    print(killed.comparison)
    print("equal to the bit" if killed.comparison.equal else "NOT EQUAL")
    sys.exit(not killed.comparison.equal)


if __name__ == "__main__":
    main()
