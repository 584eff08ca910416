"""What runs in the cluster: a task, loaded once in each worker, and parts done with it.

A worker is sent the model's bytes, and the fingerprint that they must come to: it reads no model of its own.
"""

from typing import Any, Literal

import msgspec
from distributed import Worker, WorkerPlugin

from audiomon import __version__
from audiomon.archive.child import Child
from audiomon.archive.part import do_part
from audiomon.archive.store import Entry, open_store
from audiomon.archive.task import Task
from audiomon.errors import AudiomonError, ModelError

Manner = Literal["together", "apart"]


class WorkerError(AudiomonError):
    """A worker is not one that can do this work: it lacks the model, or is of another version."""


class TaskPlugin(WorkerPlugin):  # type: ignore[misc]  # Dask is not typed everywhere
    """Gives every worker the task, those that join later included.

    Args:
        task: in JSON, so that a worker of another version can say that it is one.
        version: of audiomon that made it.
    """

    def __init__(self, key: str, task: bytes, version: str) -> None:
        self.name = f"audiomon-{key}"
        self._key, self._task, self._version = key, task, version

    def setup(self, worker: Worker) -> None:  # noqa: ARG002  # Dask's signature
        """Keep the task where `run_part` finds it; what is wrong with it is said there."""
        if self._version != __version__:
            _tasks[self._key] = f"it has audiomon {__version__}, and this is a run of {self._version}"
        else:
            _tasks[self._key] = msgspec.msgpack.decode(self._task, type=Task)


# By the key of the run; a text says why there is none.
_tasks: dict[str, Task | str] = {}


def run_part(key: str, part: str, entries: list[Entry], manner: Manner, *, again: bool) -> dict[str, Any]:
    """Do a part of a run, in a worker.

    Args:
        key: of the run.
        part: its name.
        entries: its recordings.
        manner: whether this process hears them, or a child that they may kill.
        again: do it even if it is done.

    Returns:
        See `do_part`; nothing heard if another driver's worker has done it meanwhile.

    Raises:
        WorkerError: this worker cannot.
        StoreError, OSError: see `do_part`.
    """
    task = _tasks.get(key, "it was not sent the model")
    if isinstance(task, str):
        raise WorkerError(task)
    out, root = open_store(task.out), open_store(task.root)
    if not again and out.exists("files", f"run={key}", f"{part}.parquet"):
        size = sum(size for _, size, _ in entries)
        return {"files": len(entries), "bad": 0, "killed": [], "audio_s": 0.0, "bytes": size, "rows": 0}
    try:
        labels = task.loaded.classifier.labels
    except ModelError as error:
        raise WorkerError(str(error)) from None
    if manner == "together":
        return do_part(out, task.run, labels, part, entries, lambda entry: task.loaded.hear(root, entry))
    child = Child(task, root)
    try:
        return do_part(out, task.run, labels, part, entries, child.hear)
    finally:
        child.close()
