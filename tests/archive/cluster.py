"""A real Dask scheduler and its workers with their nannies, on loopback: processes that a test may kill."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parents[2]
_PATIENCE_S = 240

# Has a process die of a recording whose name says so, as a decoder's bug would have it, and every other wait at a
# recording while the archive has as many parts as it may; see `faulty_python`.
_FAULTY = """
import glob, os, signal, time
_limit = os.path.join(os.path.dirname(__file__), "limit")
def _audit(event, arguments):
    if event != "open" or not isinstance(arguments[0], (str, bytes)):
        return
    name = os.fsdecode(arguments[0])
    if "deadly" in name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if name.lower().endswith((".wav", ".flac", ".ogg", ".mp3")):
        while _enough():
            time.sleep(0.02)
def _enough():
    try:
        with open(_limit) as file:
            parts, out = file.read().split(" ", 1)
    except FileNotFoundError:
        return False
    return len(glob.glob(os.path.join(glob.escape(out), "files/run=*/*.parquet"))) >= int(parts)
import sys
sys.addaudithook(_audit)
"""


def faulty_python(folder: Path) -> Path:
    """Return a folder for PYTHONPATH whose Pythons die of opening a file that has ``deadly`` in its name.

    They also wait before a recording while there are as many parts as `limit_parts` says.
    """
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(_FAULTY, encoding="utf-8")
    return folder


def limit_parts(folder: Path, out: Path, parts: int | None) -> None:
    """Have the Pythons of `faulty_python` stop at this many parts of an archive; None: at none."""
    limit = folder / "limit"
    if parts is None:
        limit.unlink(missing_ok=True)
        return
    draft = folder / "limit.draft"
    draft.write_text(f"{parts} {out}", encoding="utf-8")
    draft.replace(limit)


def wait_until(condition: Callable[[], object], what: str, seconds: float = _PATIENCE_S) -> None:
    """Wait for something that other processes bring about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"after {seconds} s still not: {what}"
        time.sleep(0.05)


def parts_done(out: Path) -> int:
    return len(list(out.glob("files/run=*/*.parquet")))


class Cluster:
    """Starts and kills; its scheduler's address is in ``scheduler_file``."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.environment = {
            **environment,
            "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "false",
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
        }
        self.scheduler_file = folder / "scheduler.json"
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []
        self._log = (folder / "log").open("ab")

    def start_scheduler(self) -> None:
        self.scheduler_file.unlink(missing_ok=True)
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", self.scheduler_file]
        self.scheduler = self._start("scheduler", *options)
        wait_until(self.scheduler_file.exists, "the scheduler runs")

    def start_worker(self) -> "subprocess.Popen[bytes]":
        options = ["--host", "127.0.0.1", "--nthreads", "1", "--memory-limit", "1GiB", "--no-dashboard"]
        scratch = ["--local-directory", self.folder / f"worker{len(self.workers)}"]
        worker = self._start("worker", *options, *scratch, "--scheduler-file", self.scheduler_file)
        self.workers.append(worker)
        return worker

    def wait_for_registrations(self, count: int) -> None:
        """Wait until workers have registered so often: a nanny whose worker is killed while it starts gives up."""
        log = self.folder / "log"
        wait_until(lambda: log.read_bytes().count(b"Register worker addr") >= count, f"{count} workers registered")

    def worker_process(self, nanny: "subprocess.Popen[bytes]") -> int:
        """The process under a nanny that does the work, once it is there."""
        found: list[int] = []

        def there() -> bool:
            with suppress(psutil.Error):
                children = psutil.Process(nanny.pid).children()
                found.extend(child.pid for child in children if "spawn_main" in " ".join(child.cmdline()))
            return bool(found)

        wait_until(there, "the nanny has a worker")
        return found[-1]

    def kill_worker(self, nanny: "subprocess.Popen[bytes]") -> None:
        """What runs out of memory: the worker alone."""
        os.kill(self.worker_process(nanny), signal.SIGKILL)

    def kill_machine(self, nanny: "subprocess.Popen[bytes]") -> None:
        """What a power cut does: worker and nanny."""
        children = psutil.Process(nanny.pid).children(recursive=True)
        nanny.kill()
        for child in children:
            with suppress(psutil.Error):
                child.kill()
        nanny.wait()
        self.workers.remove(nanny)

    def kill_scheduler(self) -> None:
        assert self.scheduler is not None
        self.scheduler.kill()
        self.scheduler.wait()

    def stop(self) -> None:
        for worker in list(self.workers):
            with suppress(psutil.Error):
                self.kill_machine(worker)
        if self.scheduler is not None:
            self.kill_scheduler()
        self._log.close()

    def _start(self, what: str, *options: object) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "distributed.cli.dask_" + what, *map(str, options)]
        return subprocess.Popen(command, env=self.environment, stdout=self._log, stderr=self._log)


@contextmanager
def cluster(folder: Path, environment: dict[str, str], workers: int) -> Iterator[Cluster]:
    one = Cluster(folder, environment)
    try:
        one.start_scheduler()
        for _ in range(workers):
            one.start_worker()
        yield one
    finally:
        one.stop()
