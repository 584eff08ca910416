"""What there is to do: every recording in a part, each part a task. Append-only, and named by its content.

A plan made again after a crash would group files differently, and leave some in two parts; so what is planned stays.
"""

import fcntl
import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from audiomon.archive.schema import PLAN, Run
from audiomon.archive.store import Entry, Store, StoreError

# Recordings listed before they are packed: a Python tuple takes four times what Arrow does.
_PACKED = 50_000
# Stands for a modification time that the store does not tell, where rows are compared.
_UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Plan:
    """The parts of a run, those that are done among them.

    Attributes:
        table: columns as in PLAN, sorted by part.
        todo: names of the parts that are to be done.
        done: how many are done.
        files_done: recordings in those.
        bytes_todo: size of the recordings in the others.
        written: how many of the recordings are new in this plan.
    """

    table: pa.Table
    todo: list[str]
    done: int
    files_done: int
    bytes_todo: int
    written: int
    _starts: dict[str, tuple[int, int]]

    @property
    def files_todo(self) -> int:
        """Recordings in the parts that are to be done."""
        return sum(self._starts[part][1] for part in self.todo)

    def entries(self, part: str) -> list[Entry]:
        """Return the recordings of a part, sorted by name."""
        start, count = self._starts[part]
        rows = self.table.slice(start, count)
        columns = (rows[name].to_pylist() for name in ("file", "size", "mtime_ns"))
        return sorted(zip(*columns, strict=True), key=lambda entry: entry[0])


def list_recordings(root: Store, below: Iterable[str], denied: list[str]) -> pa.Table:
    """List what is to be heard.

    Args:
        root: where names start from.
        below: what in it; see `Store.recordings`.
        denied: is given the paths that may not be read.

    Returns:
        Columns as in PLAN but for the part, sorted by name.

    Raises:
        InputError: there is no such thing.
    """
    schema = pa.schema([field for field in PLAN if field.name != "part"])
    batches: list[pa.RecordBatch] = []
    entries: list[Entry] = []
    for one in below:
        for entry in root.recordings(one, denied):
            entries.append(entry)
            if len(entries) == _PACKED:
                batches.append(_packed(entries, schema))
                entries = []
    batches.append(_packed(entries, schema))
    return pa.Table.from_batches(batches, schema).sort_by("file")


def make_plan(
    listed: pa.Table,
    root: Store,
    out: Store,
    run: Run,
    *,
    part_files: int,
    part_bytes: int,
    again: Iterable[str] = (),
    write: bool = True,
) -> Plan:
    """Plan what no earlier plan of this run holds, and say what is still to be done.

    Args:
        listed: see `list_recordings`.
        root: where they are; noted for hearing them later.
        out: where plans and results are.
        run: that this is about.
        part_files: recordings in a part, at most.
        part_bytes: their size, after which a part is full.
        again: parts that are to be done once more.
        write: whether to write the plan down.

    Raises:
        StoreError: it cannot be written.
    """
    folder = f"run={run.key}"
    with _planning_alone(out, folder, write=write):
        planned = read_plan(out, run.key)
        fresh = _not_in(listed, planned)
        new = _parted(fresh, run.key, part_files, part_bytes)
        if write and len(new):
            about = {"run": run, "root": root.address}
            new = new.replace_schema_metadata({"audiomon": msgspec.json.encode(about)})
            # Parts are named by their content, so that their names alone tell the plan's.
            out.write(new, "plan", folder, f"{_digest(new.select(['part']).group_by('part').aggregate([]))}.parquet")
    table = pa.concat_tables([planned, new.replace_schema_metadata()]).sort_by([("part", "ascending")]).combine_chunks()
    starts = _starts(table)
    done = committed(out, run.key) & starts.keys()
    again = done.intersection(again)
    todo = [part for part in starts if part not in done or part in again]
    files_todo = pa.array(todo, pa.string())
    bytes_todo = pc.sum(table.filter(pc.is_in(table["part"], files_todo))["size"]).as_py() or 0
    done -= again
    return Plan(table, todo, len(done), sum(starts[part][1] for part in done), bytes_todo, len(new), starts)


def read_plan(out: Store, key: str) -> pa.Table:
    """Read what is planned for a run: columns as in PLAN."""
    folder = f"run={key}"
    tables = [out.read("plan", folder, name).replace_schema_metadata() for name in out.names("plan", folder)]
    return pa.concat_tables([PLAN.empty_table(), *tables])


def committed(out: Store, key: str) -> set[str]:
    """Return the names of the parts of a run that are done."""
    return {name.removesuffix(".parquet") for name in out.names("files", f"run={key}")}


def parts_with(out: Store, key: str, statuses: Iterable[str]) -> dict[str, set[str]]:
    """Return the parts that hold a recording with one of these statuses, and which of them each holds."""
    wanted = set(statuses)
    found: dict[str, set[str]] = {}
    for name in out.names("files", f"run={key}"):
        column = out.read("files", f"run={key}", name, columns=["status"])["status"]
        if there := wanted.intersection(column.unique().to_pylist()):
            found[name.removesuffix(".parquet")] = there
    return found


@contextmanager
def _planning_alone(out: Store, folder: str, *, write: bool) -> Iterator[None]:
    """Keep another driver on this file system from planning the same recordings into other parts at the same time.

    An object store has no locks; there the views leave out what two drivers have both done.
    """
    if not (write and out.local):
        yield
        return
    path = Path(out.path("plan", folder))
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StoreError(f"{path}: cannot be made: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _packed(entries: list[Entry], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*entries, strict=True) if entries else ((), (), ())
    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def _not_in(listed: pa.Table, planned: pa.Table) -> pa.Table:
    """Return the rows of a listing that no plan has: same name, size and modification time.

    A join would do the same, with three times the memory.
    """
    if not len(planned):
        return listed
    at = pc.index_in(listed["file"], planned["file"].combine_chunks()).combine_chunks()
    same = at.is_valid()
    for name in ("size", "mtime_ns"):
        there, here = (pc.fill_null(column, _UNKNOWN) for column in (planned[name].take(at), listed[name]))
        same = pc.and_(same, pc.equal(there, here))
    fresh = listed.filter(pc.invert(same))
    # A recording that was replaced is planned more than once, and the first row with its name need not be its own.
    other = planned.filter(pc.is_in(planned["file"], fresh["file"].combine_chunks()))
    known = set(zip(*(other[name].to_pylist() for name in fresh.column_names), strict=True))
    if not known:
        return fresh
    rows = zip(*(fresh[name].to_pylist() for name in fresh.column_names), strict=True)
    return fresh.filter(pa.array([row not in known for row in rows]))


def _parted(fresh: pa.Table, key: str, part_files: int, part_bytes: int) -> pa.Table:
    """Put recordings into parts: neighbours together, each part named after all that is in it."""
    sizes: NDArray[np.int64] = fresh["size"].to_numpy()
    bounds, count, held = [0], 0, 0
    for index, size in enumerate(sizes.tolist(), 1):
        count, held = count + 1, held + size
        if count >= part_files or held >= part_bytes or index == len(sizes):
            bounds.append(index)
            count = held = 0
    names = []
    for start, stop in itertools.pairwise(bounds):
        names.append(hashlib.sha256(f"{key} {_digest(fresh.slice(start, stop - start))}".encode()).hexdigest()[:20])
    lengths = np.diff(bounds)
    column = pa.array(np.repeat(np.arange(len(names), dtype=np.int32), lengths)) if names else pa.array([], pa.int32())
    parts = pa.DictionaryArray.from_arrays(column, pa.array(names, pa.string())).cast(pa.string())
    return pa.table([parts, *(fresh[name] for name in PLAN.names[1:])], schema=PLAN)


def _digest(table: pa.Table) -> str:
    columns = [table[name].to_pylist() for name in table.column_names]
    return hashlib.sha256(msgspec.json.encode(columns)).hexdigest()[:12]


def _starts(table: pa.Table) -> dict[str, tuple[int, int]]:
    """Return where each part's rows begin in a table sorted by part, and how many there are."""
    counts = table["part"].combine_chunks().value_counts() if len(table) else []
    starts, at = {}, 0
    for one in counts:
        count = one["counts"].as_py()
        starts[one["values"].as_py()] = (at, count)
        at += count
    return starts
