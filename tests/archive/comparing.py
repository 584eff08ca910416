"""Compares an archive with what ``audiomon classify --csv`` says of the same recordings, to the bit."""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np


@dataclass(frozen=True)
class Comparison:
    """Rows of the table and of the archive, and in how many they disagree."""

    rows: int
    archived: int
    differing: int
    missing: int
    twice: int
    statuses: dict[str, int]
    files: int
    drafts: int

    @property
    def equal(self) -> bool:
        return self.rows == self.archived and not (self.differing or self.missing or self.twice or self.drafts)


def compare(table: bytes, root: Path, out: Path) -> Comparison:
    """Read the raw Parquet, not the views, which would leave out what is there twice.

    Args:
        table: what ``classify --csv`` wrote; names in it start with ``root``.
        root: of the recordings.
        out: the archive, of one run.
    """
    expected = {}
    # Bytes of a name that are not Unicode are escaped there as they are in the archive.
    reader = csv.reader(io.StringIO(table.decode("utf-8")))
    next(reader)
    for name, position, label, score, *_ in reader:
        expected[name[len(str(root)) + 1 :], position] = label, np.float32(score)
    seen: Counter[tuple[str, str]] = Counter()
    differing = 0
    columns = "file, end_s, label, score, rank"
    found = duckdb.sql(f"select {columns} from read_parquet('{out}/detections/*/*.parquet', hive_partitioning=false)")
    for name, end_s, label, score, rank in found.fetchall():
        key = name, f"{end_s:.6f}"
        seen[key] += 1
        differing += rank != 0 or expected.get(key) != (label, np.float32(score))
    files = duckdb.sql(
        f"select status, count(*), count(distinct file) from "
        f"read_parquet('{out}/files/*/*.parquet', hive_partitioning=false) group by all"
    ).fetchall()
    assert all(count == distinct for _, count, distinct in files), files
    return Comparison(
        rows=len(expected),
        archived=seen.total(),
        differing=differing,
        missing=len(expected.keys() - seen.keys()),
        twice=sum(count - 1 for count in seen.values()),
        statuses={status: count for status, count, _ in sorted(files)},
        files=sum(count for _, count, _ in files),
        drafts=len(list(out.rglob("*.tmp"))),
    )
