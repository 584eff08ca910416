"""Trainings in processes of their own: one for a package, or one for each fold, several at a time."""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue

from audiomon.lab.tensorflow_process import TensorFlowProcess
from audiomon.lab.train.features import cache_folder
from audiomon.lab.train.fitting import Job, Trained, fit_network
from audiomon.lab.train.loop import Epoch

# Called after every epoch: which job, and the epoch.
EpochDone = Callable[[int, Epoch], None]


def checkpoint_of(job: Job) -> Path:
    """Return the folder of an unfinished training."""
    return cache_folder() / "training" / job.fingerprint


def run_jobs(jobs: list[Job], processes: int, done: EpochDone) -> list[Trained]:
    """Train all, ``processes`` at a time; what an interrupted run has done is taken up again.

    Returns:
        In the order of the jobs.

    Raises:
        AudiomonError: TensorFlow is missing or fails.
    """
    for job in jobs:
        checkpoint_of(job).parent.mkdir(parents=True, exist_ok=True)
    count = max(1, min(processes, len(jobs)))
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(count))
        # Ended before the pool waits for its threads, which wait for them.
        running = [stack.enter_context(TensorFlowProcess()) for _ in range(count)]
        free: SimpleQueue[TensorFlowProcess] = SimpleQueue()
        for process in running:
            free.put(process)
        futures = [pool.submit(_run, jobs[number], number, free, done) for number in range(len(jobs))]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()


def _run(job: Job, number: int, free: "SimpleQueue[TensorFlowProcess]", done: EpochDone) -> Trained:
    process = free.get()
    try:
        return process.call(fit_network, job, checkpoint_of(job), progress=lambda epoch: done(number, epoch))
    finally:
        free.put(process)


def forget(jobs: list[Job]) -> None:
    """Delete the checkpoints of trainings whose results are safe."""
    for job in jobs:
        shutil.rmtree(checkpoint_of(job), ignore_errors=True)


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))
