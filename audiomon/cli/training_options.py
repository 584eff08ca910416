"""What `audiomon train` and `audiomon evaluate --cv` share: progress bars and how many trainings at a time."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from threading import Lock
from typing import Any

import click

from audiomon.lab.train.fitting import Job
from audiomon.lab.train.loop import Epoch
from audiomon.lab.train.preparation import Advance
from audiomon.lab.train.training import EpochDone, cores

jobs_option = click.option(
    "-j", "--jobs", type=click.IntRange(1, 64), help="Trainings at a time; otherwise as many as cores."
)
skip_bad_option = click.option("--skip-bad", is_flag=True, help="Leave out what cannot be used instead of refusing.")
noise_option = click.option(
    "--noise",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of recordings to mix in behind.",
)
teacher_option = click.option(
    "--teacher",
    "teacher_folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Model package that says which windows of a recording hold its class, such as YAMNet's.",
)


def shared_threads(processes: int) -> int:
    """Return the threads of each training when ``processes`` of them run at a time."""
    return max(1, cores() // processes)


@contextmanager
def features_bar() -> Iterator[Advance]:
    """Show the progress of features, on a terminal."""
    with _bar(1, "Features") as bar:

        def advance(label: str, total: int, done: int) -> None:
            bar.label, bar.length = label, total
            bar.update(done - bar.pos)

        yield advance


@contextmanager
def training_bar(jobs: list[Job]) -> Iterator[EpochDone]:
    """Show the progress of trainings, with loss and accuracy, on a terminal."""
    reached = [0] * len(jobs)
    drawing = Lock()
    with _bar(sum(job.settings.epochs for job in jobs), "Training") as bar:

        def show(number: int, epoch: Epoch) -> None:
            watched = ""
            if isfinite(epoch.validation_loss):
                watched = f", validation {epoch.validation_loss:.3f} {epoch.validation_accuracy:.0%}"
            which = f" {number + 1}/{len(jobs)}" if len(jobs) > 1 else ""
            with drawing:  # each training's epochs come from a thread of its own
                bar.label = f"Training{which}: loss {epoch.loss:.3f}, right {epoch.accuracy:.0%}{watched}"
                bar.update(epoch.number - reached[number])
                reached[number] = epoch.number

        yield show


def _bar(length: int, label: str) -> Any:
    return click.progressbar(length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())
