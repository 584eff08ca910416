"""What archives cost: ``python -m tests.archive.costs [cpu|plan|query]…`` measures it here and prints a table.

cpu     a 30 s WAV in one worker of a cluster, and in a plain loop; a worker's peak memory, with an hour-long file
plan    10⁶ recordings planned and found again, half of their parts done; the driver's peak memory; an empty part's cost
query   DuckDB on 10⁷ rows
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa

from audiomon.archive.cluster import Where, connected
from audiomon.archive.engine import Engine
from audiomon.archive.hearing import Hearing
from audiomon.archive.part import _words
from audiomon.archive.plan import Plan, list_recordings, make_plan
from audiomon.archive.questions import Filter, by_hour, by_site, surest
from audiomon.archive.schema import DETECTIONS, FILES, Run, make_run
from audiomon.archive.store import Entry, open_store
from audiomon.archive.task import Task
from audiomon.archive.views import connect
from audiomon.config.settings import load_settings
from audiomon.pipeline.loading import LoadingModel
from tests.archive.corpus import BEGAN, sound, write_corpus, write_recording

_ROUNDS = 3


def measure_cpu(scratch: Path, files: int = 48) -> None:
    task, hearing = _task(scratch)
    root = open_store(task.root)
    random_root = scratch / "in"
    random = np.random.default_rng(1)
    for index in range(files):
        at = BEGAN + timedelta(minutes=index)
        write_recording(random_root / f"{at:%Y%m%d_%H%M%S}.WAV", sound(random, 48_000, 30.0), 48_000)
    entries = list(root.recordings("", []))
    loop, worker = [], []
    out = open_store(task.out)
    with connected(Where(1, "1GiB")) as client:
        for number in range(_ROUNDS):
            for entry in entries[:4]:
                hearing.hear(root, entry)
            began_s = time.process_time()
            for entry in entries:
                hearing.hear(root, entry)
            loop.append((time.process_time() - began_s) / files)
            run = msgspec.structs.replace(task.run, min_score=0.1 * number)
            plan = make_plan(list_recordings(root, [""], []), root, out, run, part_files=12, part_bytes=1 << 40)
            before_s = client.run(time.process_time)
            encoded = msgspec.msgpack.encode(msgspec.structs.replace(task, run=run))
            engine = Engine(client, run.key, encoded, plan, apart=set())
            assert not engine.run(lambda _: None, print).unfinished
            after_s = client.run(time.process_time)
            tables = [out.read("files", f"run={run.key}", name) for name in out.names("files", f"run={run.key}")]
            heard = sum(sum(table["cpu_s"].to_pylist()) for table in tables) / files
            whole = sum(after_s[name] - before_s[name] for name in after_s) / files
            worker.append((heard, whole))
        (scratch / "hour").mkdir()
        write_corpus(scratch / "hour", 2, hours=1)
        hours = open_store(str(scratch / "hour"))
        task = msgspec.structs.replace(task, run=msgspec.structs.replace(task.run, scores=2), root=hours.address)
        plan = make_plan(list_recordings(hours, [""], []), hours, out, task.run, part_files=12, part_bytes=1 << 40)
        Engine(client, task.run.key, msgspec.msgpack.encode(task), plan, apart=set()).run(lambda _: None, print)
        peaks = client.run(lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    best = min(loop)
    heard, whole = min(one for one, _ in worker), min(one for _, one in worker)
    print(f"CPU of a 30 s WAV, {files} files, the best of {_ROUNDS} rounds")
    print(f"  plain loop                      {best * 1e3:6.1f} ms")
    print(f"  one worker, hearing             {heard * 1e3:6.1f} ms  × {heard / best:.2f}")
    print(
        f"  one worker, all that it does    {whole * 1e3:6.1f} ms  × {whole / best:.2f} (with its start-up and idling)"
    )
    print(f"worker's peak memory, an hour-long file included: {max(peaks.values()):.0f} MB")


def measure_plan(scratch: Path, files: int = 1_000_000) -> None:
    task, _ = _task(scratch)
    root, out = open_store(task.root), open_store(task.out)
    base_mb = _peak_mb()
    began_s = time.process_time()
    from audiomon.archive import plan as planning

    schema = pa.schema([field for field in planning.PLAN if field.name != "part"])

    def listing() -> pa.Table:
        batches = []
        for first in range(0, files, 50_000):
            entries: list[Entry] = [
                (f"site={index % 20:02d}/2026{index // 1_000_000:04d}_{index % 1_000_000:06d}.WAV", 2_880_044, index)
                for index in range(first, min(files, first + 50_000))
            ]
            batches.append(planning._packed(entries, schema))
        return pa.Table.from_batches(batches).sort_by("file")

    listed = listing()
    listed_s = time.process_time() - began_s
    began_s = time.process_time()
    plan = make_plan(listed, root, out, task.run, part_files=200, part_bytes=256 << 20)
    first_s = time.process_time() - began_s
    half = plan.todo[::2]
    del plan  # as it is when another process goes on
    for part in half:
        folder = Path(out.path("files", f"run={task.run.key}"))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{part}.parquet").touch()
    began_s = time.process_time()
    plan = make_plan(listed, root, out, task.run, part_files=200, part_bytes=256 << 20)
    again_s = time.process_time() - began_s
    peak_mb = _peak_mb()
    parts = len(plan.todo) + plan.done
    each_s, idle_s = _empty_parts(task, plan)
    work_s = 0.053 * files
    print(f"{files} recordings in {parts} parts")
    print(f"  listed {listed_s:.1f} s, planned {first_s:.1f} s, planned again half way {again_s:.1f} s of CPU")
    print(f"  engine, a part of {files // parts} files: {each_s * 1e3:.1f} ms of CPU; a second: {idle_s * 1e3:.1f} ms")
    # As long as the work takes on one worker, the driver and that worker are there.
    share = (listed_s + first_s + each_s * parts + idle_s * work_s) / work_s
    print(f"  planning and engine: {share:.2%} of the work's CPU, at 53 ms a file")
    print(f"  driver's peak memory {peak_mb:.0f} MB, {base_mb:.0f} MB of it before there was anything to plan")


def _empty_parts(task: Task, plan: Plan, parts: int = 200, seconds: float = 20.0) -> tuple[float, float]:
    """CPU seconds of driver, scheduler and worker for a part that is done already, and for a second of nothing."""
    done = Path(task.out) / f"files/run={task.run.key}"
    few = plan.todo[:parts]
    for part in few:
        (done / f"{part}.parquet").touch()
    plan.todo[:] = few
    with connected(Where(1, "1GiB")) as client:
        engine = Engine(client, task.run.key, msgspec.msgpack.encode(task), plan, apart=set())

        def spent_s() -> float:
            return time.process_time() + sum(client.run(time.process_time).values())

        began_s, began_at = spent_s(), time.monotonic()
        engine.run(lambda _: None, print)
        parts_s, wall_s = spent_s() - began_s, time.monotonic() - began_at
        began_s = spent_s()
        time.sleep(seconds)
        idle_s = (spent_s() - began_s) / seconds
        return max(0.0, parts_s - idle_s * wall_s) / parts, idle_s


def measure_query(scratch: Path, rows: int = 10_000_000) -> None:
    task, _ = _task(scratch)
    out = open_store(task.out)
    write_rows(task, rows)
    connection = connect(out, task.run.key)
    connection.execute("set threads = 2")
    chosen = Filter(("speech", "dog_bark", "baby_cry"), 0.8)
    asked: dict[str, Callable[[], object]] = {
        "events an hour by label": lambda: list(by_hour(connection, chosen).rows),
        "by site and day": lambda: list(by_site(connection, chosen).rows),
        "the 50 surest of each label": lambda: surest(connection, chosen, 50),
        "spans joined": lambda: connection.execute("select count(*), sum(score) from spans").fetchall(),
    }
    print(f"DuckDB, {rows} rows")
    for name, question in asked.items():
        times = []
        for _ in range(_ROUNDS):
            began_s = time.process_time()
            question()
            times.append(time.process_time() - began_s)
        print(f"  {name:<30} {min(times):5.2f} s of CPU, the best of {', '.join(f'{one:.2f}' for one in times)}")
    print(f"  peak memory {_peak_mb():.0f} MB")


def write_rows(task: Task, rows: int, parts: int = 200, windows: int = 118) -> None:
    """Write a run's tables with generated rows, as do_part lays them out."""
    out, run = open_store(task.out), task.run
    plan = pa.table({"part": ["x"], "file": ["x"], "size": [1], "mtime_ns": [1]})
    about = msgspec.json.encode({"run": run, "root": task.root})
    out.write(plan.replace_schema_metadata({"audiomon": about}), "plan", f"run={run.key}", "generated.parquet")
    random = np.random.default_rng(3)
    labels = ["background", "speech", "dog_bark", "baby_cry"]
    files = rows // parts // windows
    for part in range(parts):
        numbers = range(part * files, (part + 1) * files)
        begun = [BEGAN + timedelta(minutes=10 * (number // 20)) for number in numbers]
        names = [f"site={one % 20:02d}/{at:%Y%m%d_%H%M%S}.WAV" for one, at in zip(numbers, begun, strict=True)]
        begun_us = [round((at - datetime(1970, 1, 1)).total_seconds() * 1e6) for at in begun]
        start_s = np.tile(np.arange(windows) * 0.511, files)
        count = len(start_s)
        of_file = np.repeat(np.arange(files, dtype=np.int32), windows)
        columns = [
            _words(of_file, names),
            pa.array(start_s),
            pa.array(start_s + 1.0),
            pa.array(np.zeros(count, np.int16)),
            _words(random.choice(4, count, p=[0.9, 0.05, 0.03, 0.02]).astype(np.int32), labels),
            pa.array((0.4 + 0.6 * random.random(count)).astype(np.float32)),
            pa.array(np.array(begun_us)[of_file] + (start_s * 1e6).astype(np.int64), pa.timestamp("us")),
            *(_words(np.zeros(count, np.int32), [word]) for word in (run.model, run.model_sha256, "0", f"{part:020}")),
        ]
        table = pa.Table.from_arrays(columns, schema=DETECTIONS)
        out.write(table, "detections", f"run={run.key}", f"{part:020}.parquet")
        row = {"size": 1, "mtime_ns": 1, "status": "ok", "heard_s": 60.0, "windows": windows, "cpu_s": 0.05}
        row |= {"run": run.key, "part": f"{part:020}"}
        files_table = pa.Table.from_pylist([{"file": name, **row} for name in names], schema=FILES)
        out.write(files_table, "files", f"run={run.key}", f"{part:020}.parquet")


def _task(scratch: Path, model: str = "home") -> tuple[Task, Hearing]:
    settings = load_settings(None, model=model)
    loading = LoadingModel(settings)
    classifier = loading.classifier()
    run: Run = make_run(
        settings,
        loading.package,
        loading.rules,
        classifier.interpreter.backend,
        rows="windows",
        scores=1,
        min_score=0.0,
    )
    (scratch / "in").mkdir()
    manifest, weights = (path.read_bytes() for path in loading.package.files)
    task = Task(run, str(scratch / "in"), str(scratch / "out"), manifest, weights, loading.rules, 1)
    return task, Hearing(run, classifier, loading.rules)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


MEASURES = {"cpu": measure_cpu, "plan": measure_plan, "query": measure_query}


def main() -> None:
    for name in sys.argv[1:] or MEASURES:
        with tempfile.TemporaryDirectory() as scratch:
            MEASURES[name](Path(scratch))


if __name__ == "__main__":
    main()
