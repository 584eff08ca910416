"""Has a plan done by a Dask cluster: a few parts at a time, and again where a worker was lost. Hears nothing itself."""

import random
import secrets
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from distributed import Client, Future, KilledWorker, as_completed

from audiomon import __version__
from audiomon.archive.plan import Plan
from audiomon.archive.store import StoreError
from audiomon.archive.worker import Manner, TaskPlugin, WorkerError, run_part
from audiomon.errors import AudiomonError, UserError

# Parts that wait for each worker: it must not run dry while the driver looks elsewhere.
_PARTS_AHEAD = 3
# Characters of what a stranger has to say of an error.
_MAX_REASON = 300
# Seconds for which the number of workers is good enough.
_COUNTED_FOR_S = 5.0
# Workers that may be lost to one part before it is left for another time.
_MAX_ATTEMPTS = 4
# Parts that may fail in a row before it is no longer they that are at fault.
_MAX_FAILURES = 10
_GONE = "the scheduler is gone"


class UnfinishedError(AudiomonError):
    """Not everything has been done; the same command goes on where this one ended."""

    exit_status = StoreError.exit_status


@dataclass(slots=True)
class Outcome:
    """What a driver has done.

    Attributes:
        unfinished: why a part has not been done, by its name.
        stopped: why everything was stopped; empty if it was not.
    """

    unfinished: dict[str, str] = field(default_factory=dict)
    stopped: str = ""


@dataclass(slots=True)
class _Attempt:
    part: str
    manner: Manner
    number: int = 1


class Engine:
    """Does a plan.

    Args:
        client: of the cluster.
        key: of the run.
        task: what workers need, encoded.
        plan: what is to be done.
        apart: parts whose recordings are to be heard in a child from the start.
        again: whether parts that are done are done all the same.

    Raises:
        UserError: the cluster cannot be used.
    """

    def __init__(
        self, client: Client, key: str, task: bytes, plan: Plan, *, apart: set[str], again: bool = False
    ) -> None:
        self._client, self._key, self._plan, self._apart, self._again = client, key, plan, apart, again
        # Two drivers at work on one plan each begin elsewhere; and the time that is left is better guessed.
        self._waiting = random.sample(plan.todo, len(plan.todo))
        self._driver = secrets.token_hex(4)
        self._live: dict[Future, _Attempt] = {}
        self._workers, self._counted_s = 0, -_COUNTED_FOR_S
        try:
            client.register_plugin(TaskPlugin(key, task, __version__))
        except Exception as error:
            # Whatever goes wrong over there comes back as it is: most likely, audiomon is not installed.
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise UserError(f"the cluster's scheduler or workers cannot load audiomon[archive]: {reason[-1]}") from None

    def run(self, done: Callable[[dict[str, Any]], None], notice: Callable[[str], None]) -> Outcome:
        """Do all of it.

        Args:
            done: is given what each part had to count, as it is done.
            notice: is given what a person should know of.

        Raises:
            KeyboardInterrupt: by the user; what was going on is given up.
        """
        outcome, failures = Outcome(), 0
        pool = as_completed(loop=self._client.loop)
        try:
            self._fill(pool)
            for future in pool:
                attempt = self._live.pop(future)
                if future.status == "finished":
                    try:
                        counted = future.result()
                    except (OSError, TimeoutError, CancelledError):  # done, and nobody there to fetch it from
                        outcome.stopped = _GONE
                    else:
                        done(counted)
                        failures = 0
                elif future.status != "error":
                    outcome.stopped = _GONE
                else:
                    failures += 1
                    error = future.exception()
                    again, outcome.stopped = self._failed(attempt, error, notice)
                    if again is not None:
                        self._submit(again, pool)
                    else:
                        outcome.unfinished[attempt.part] = _one_line(error)
                    if failures >= _MAX_FAILURES and not outcome.stopped:
                        outcome.stopped = f"{failures} parts failed one after the other: {_one_line(error)}"
                future.release()
                if outcome.stopped:
                    return outcome
                self._fill(pool)
        finally:
            for future in self._live:
                future.cancel()
        return outcome

    def _fill(self, pool: as_completed) -> None:
        slots = max(2, _PARTS_AHEAD * self._count_workers())
        while self._waiting and len(self._live) < slots:
            part = self._waiting.pop()
            self._submit(_Attempt(part, "apart" if part in self._apart else "together"), pool)

    def _count_workers(self) -> int:
        """Return how many there are, or were a moment ago: on a cluster they come and go."""
        if time.monotonic() - self._counted_s > _COUNTED_FOR_S:
            self._counted_s = time.monotonic()
            with suppress(OSError, TimeoutError):  # the scheduler is gone, which the futures will tell
                self._workers = len(self._client.nthreads())
        return self._workers

    def _submit(self, attempt: _Attempt, pool: as_completed) -> None:
        future = self._client.submit(
            run_part,
            self._key,
            attempt.part,
            self._plan.entries(attempt.part),
            attempt.manner,
            again=self._again,
            key=f"audiomon-{self._key}-{attempt.part}-{self._driver}-{attempt.number}",
            pure=False,
        )
        self._live[future] = attempt
        pool.add(future)

    def _failed(
        self, attempt: _Attempt, error: BaseException, notice: Callable[[str], None]
    ) -> tuple[_Attempt | None, str]:
        """Say whether, and how, a part is tried again, and why everything stops, if it does."""
        if isinstance(error, StoreError | WorkerError):
            return None, _one_line(error)
        if attempt.number >= _MAX_ATTEMPTS:
            return None, ""
        if isinstance(error, KilledWorker):
            if attempt.manner == "together":
                notice(f"a worker died with part {attempt.part}: its files are heard again, in a process of their own")
            return _Attempt(attempt.part, "apart", attempt.number + 1), ""
        return _Attempt(attempt.part, attempt.manner, attempt.number + 1), ""


def _one_line(error: BaseException | None) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, AudiomonError) else f"{type(error).__name__}: {text}"[:_MAX_REASON]
