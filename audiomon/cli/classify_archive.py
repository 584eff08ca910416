"""``audiomon classify ROOT… --output OUT``: an archive planned, done by a cluster, and what came of it said."""

import importlib.util
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click
import msgspec

from audiomon.archive.cluster import Where, connected
from audiomon.archive.engine import Engine, Outcome, UnfinishedError
from audiomon.archive.plan import Plan, list_recordings, make_plan, parts_with
from audiomon.archive.progress import Progress
from audiomon.archive.schema import Run, make_run
from audiomon.archive.store import Store, open_roots, open_store
from audiomon.archive.task import Task
from audiomon.cli.archive_options import ArchiveOptions
from audiomon.config.settings import Settings
from audiomon.errors import InputError, UserError
from audiomon.pipeline.loading import LoadingModel

_SHOWN = 5
_GOES_ON = "the same command goes on"


def run_archive(addresses: Sequence[str], archive: ArchiveOptions, settings: Settings, scores: int, jobs: int) -> int:
    """Classify archives, and return the exit status.

    Args:
        addresses: of folders and recordings.
        archive: where the results go, and how.
        settings: names the model.
        scores: labels in a row, the highest first.
        jobs: processes.

    Raises:
        UnfinishedError: not all of it was done.
    """
    with _interruptible():
        try:
            return _run(addresses, archive, settings, scores, jobs)
        except KeyboardInterrupt:
            raise UnfinishedError(f"interrupted: {_GOES_ON}") from None


def _run(addresses: Sequence[str], archive: ArchiveOptions, settings: Settings, scores: int, jobs: int) -> int:
    loading = LoadingModel(settings)
    try:
        root, below = open_roots(addresses)
        out = open_store(archive.output)
        denied: list[str] = []
        listed = list_recordings(root, below, denied)
    except BaseException:
        loading.cancel()
        raise
    for path in denied:
        click.echo(f"audiomon: {UserError(f'{path}: may not be read by this user')}", err=True)
    # Its check is waited for: a model that fails it here would fail in every worker.
    classifier = loading.classifier()
    run = make_run(
        settings,
        loading.package,
        loading.rules,
        classifier.interpreter.backend,
        rows=archive.rows,
        scores=scores,
        min_score=archive.min_score if scores > 1 else 0.0,
    )
    bad_parts = parts_with(out, run.key, ("refused", "killed")) if archive.retry_errors else {}
    plan = make_plan(
        listed,
        root,
        out,
        run,
        part_files=archive.part_files,
        part_bytes=archive.part_mb << 20,
        again=bad_parts,
        write=not archive.dry_run,
    )
    del listed
    click.echo(_intention(run, plan), err=True)
    if archive.dry_run:
        return 0
    if plan.todo:
        manifest, weights = (path.read_bytes() for path in loading.package.files)
        task = Task(run, root.address, out.address, manifest, weights, loading.rules, settings.config.threads)
        where = Where(min(jobs, len(plan.todo)), archive.memory, archive.scheduler, archive.scheduler_file)
        apart = {part for part, statuses in bad_parts.items() if "killed" in statuses}
        _do(task, where, plan, apart, again=archive.retry_errors)
    return InputError.exit_status if _sum_up(out, run.key) or denied else 0


def _intention(run: Run, plan: Plan) -> str:
    todo = f"{plan.files_todo} files ({plan.bytes_todo / 1e9:.1f} GB) in {len(plan.todo)} parts to do"
    return f"run {run.key}, model {run.model}: {todo}, {plan.files_done} files done"


def _do(task: Task, where: Where, plan: Plan, apart: set[str], *, again: bool) -> None:
    progress = Progress(plan.files_todo, plan.bytes_todo, sys.stderr, sys.stderr.isatty())
    killed: list[str] = []

    def done(counts: dict[str, Any]) -> None:
        progress.add(counts)
        for name in counts["killed"]:
            progress.say(f"audiomon: {UserError(f'{name}: killed the process that read it')}")
        killed.extend(counts["killed"])

    outcome = Outcome(stopped="interrupted")
    try:
        with connected(where) as client:
            if where.scheduler is None and where.scheduler_file is None and importlib.util.find_spec("bokeh"):
                progress.say(f"dashboard: {client.dashboard_link}")
            engine = Engine(client, task.run.key, msgspec.msgpack.encode(task), plan, apart=apart, again=again)
            progress.begin()
            outcome = engine.run(done, progress.say)
    except KeyboardInterrupt:
        pass
    progress.say(progress.line())
    left = plan.files_todo - progress.done
    if outcome.stopped:
        raise UnfinishedError(f"{outcome.stopped}; {left} of {plan.files_todo} files are not done: {_GOES_ON}")
    if outcome.unfinished:
        part, why = next(iter(outcome.unfinished.items()))
        raise UnfinishedError(
            f"{len(outcome.unfinished)} parts with {left} files are not done: {_GOES_ON}; part {part}: {why}"
        )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Have SIGTERM and SIGHUP, which a batch system and a closed terminal send, end it as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _sum_up(out: Store, key: str) -> int:
    """Say what became of all files of the run; return how many are not whole."""
    statuses: Counter[str] = Counter()
    bad: list[str] = []
    heard_s = 0.0
    for name in out.names("files", f"run={key}"):
        table = out.read("files", f"run={key}", name, columns=["status", "error", "heard_s"])
        statuses.update(table["status"].to_pylist())
        heard_s += sum(table["heard_s"].to_pylist())
        bad += [error for error in table["error"].to_pylist() if error is not None and len(bad) < _SHOWN]
    count = statuses.total() - statuses["ok"]
    click.echo(f"{statuses.total()} files, {heard_s / 3600:.1f} h heard; {dict(statuses.most_common())}", err=True)
    for error in bad[:_SHOWN]:
        click.echo(f"audiomon: {UserError(error)}", err=True)
    if count > _SHOWN:
        click.echo(f"audiomon: and {count - _SHOWN} more: `audiomon query {out.address} --errors`", err=True)
    return count
