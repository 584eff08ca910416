"""A Dask cluster: of processes on this machine, or one that runs already."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dask
from distributed import Client, LocalCluster
from distributed.security import Security

from audiomon.errors import UserError

# What Dask does by the way costs more here than what it is asked for: by default it samples the stacks of its workers,
# looks at its event loop fifty times a second, and has the allocator return memory at every chance.
_LOCAL = {
    "distributed.worker.profile.enabled": False,
    "distributed.worker.preload": ["audiomon.archive.local_worker"],
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.limit": "60s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.worker.memory.monitor-interval": "1s",
    # There is nothing to steal: parts are handed out as they are done.
    "distributed.scheduler.work-stealing": False,
    "distributed.client.scheduler-info-interval": "30s",
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 16 << 20,
    # A part that was in a worker that died is heard in a child the next time, at once.
    "distributed.scheduler.allowed-failures": 0,
}
# So many seconds a scheduler on another machine is given to answer.
_PATIENCE = "30s"


@dataclass(frozen=True, slots=True)
class Where:
    """On what cluster.

    Attributes:
        jobs: worker processes of this machine.
        memory: that each may take, as ``1GiB``, before it is ended.
        scheduler: address of a cluster that runs already, instead.
        scheduler_file: that such a cluster's scheduler wrote, instead.
    """

    jobs: int
    memory: str
    scheduler: str | None = None
    scheduler_file: Path | None = None


@contextmanager
def connected(where: Where) -> Iterator[Client]:
    """Connect to a cluster, started first if it is this machine's.

    Raises:
        UserError: it does not answer.
    """
    # Lost connections are what this is made for; what Dask has to say of each would hide what matters.
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)
    if where.scheduler is None and where.scheduler_file is None:
        with _local(where) as client:
            yield client
        return
    target = where.scheduler or str(where.scheduler_file)
    try:
        if where.scheduler_file is None:
            client = Client(where.scheduler, timeout=_PATIENCE, set_as_default=False)
        else:
            client = Client(scheduler_file=str(where.scheduler_file), timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        reason = str(error).strip().splitlines()
        raise UserError(f"{target}: no Dask scheduler answers there: {(reason or [type(error).__name__])[0]}") from None
    try:
        yield client
    finally:
        client.close(timeout=30)


@contextmanager
def _local(where: Where) -> Iterator[Client]:
    # Anyone who can connect to Dask can run anything as this user: hence the certificates, made for this run.
    with (
        dask.config.set(_LOCAL),
        LocalCluster(
            n_workers=where.jobs,
            threads_per_worker=1,
            memory_limit=where.memory,
            host="127.0.0.1",
            protocol="tls",
            security=Security.temporary(),
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            scheduler_sync_interval=30,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client
