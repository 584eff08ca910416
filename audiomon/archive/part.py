"""One part: its recordings heard, its two tables written. The second one is the commit."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audiomon.archive.hearing import FileHeard
from audiomon.archive.schema import DETECTIONS, FILES, Run, named_time_us
from audiomon.archive.store import Entry, Store

_Column = NDArray[Any]


def do_part(
    out: Store, run: Run, labels: tuple[str, ...], part: str, entries: list[Entry], hear: Callable[[Entry], FileHeard]
) -> dict[str, Any]:
    """Hear the recordings of a part and commit it.

    Args:
        out: where to.
        run: that the part is of.
        labels: of the model.
        part: its name.
        entries: its recordings.
        hear: classifies one.

    Returns:
        What there is to count: files, bad, audio_s, bytes, rows.

    Raises:
        StoreError: it cannot be written.
        OSError: a recording could not be fetched, for no fault of its own.
    """
    heard = [hear(entry) for entry in entries]
    detections = _detections(run, labels, part, entries, heard)
    files = _files(run, part, entries, heard)
    # In this order: a part without its second table has not been done, and is done again under the same names.
    out.write(detections, "detections", f"run={run.key}", f"{part}.parquet")
    out.write(files, "files", f"run={run.key}", f"{part}.parquet")
    return {
        "files": len(entries),
        "bad": sum(one.status != "ok" for one in heard),
        "killed": [entry[0] for entry, one in zip(entries, heard, strict=True) if one.status == "killed"],
        "audio_s": sum(one.heard_s for one in heard),
        "bytes": sum(size for _, size, _ in entries),
        "rows": len(detections),
    }


def _detections(run: Run, labels: tuple[str, ...], part: str, entries: list[Entry], heard: list[FileHeard]) -> pa.Table:
    starts_s = _column((one.starts_s for one in heard), np.float64)
    counts = [len(one.ranks) // 2 for one in heard]
    file = np.repeat(np.arange(len(entries), dtype=np.int32), counts)
    names = [name for name, _, _ in entries]
    begun_us = [named_time_us(name) for name in names]
    known = np.repeat([at is not None for at in begun_us], counts).astype(bool)
    at_us = np.repeat(np.array([at or 0 for at in begun_us], np.int64), counts)
    at_us += np.rint(starts_s * 1e6).astype(np.int64)
    columns = [
        _words(file, names),
        pa.array(starts_s),
        pa.array(_column((one.ends_s for one in heard), np.float64)),
        pa.array(_column((one.ranks for one in heard), np.int16)),
        _words(_column((one.labels for one in heard), np.int32), labels),
        pa.array(_column((one.scores for one in heard), np.float32)),
        pa.array(at_us, pa.timestamp("us"), mask=~known),
        *(_words(np.zeros(len(file), np.int32), [word]) for word in (run.model, run.model_sha256, run.audiomon, part)),
    ]
    return pa.Table.from_arrays(columns, schema=DETECTIONS)


def _files(run: Run, part: str, entries: list[Entry], heard: list[FileHeard]) -> pa.Table:
    facts = ("status", "error", "duration_s", "heard_s", "sample_rate", "channels", "windows", "cpu_s")
    columns: dict[str, Iterable[Any]] = {fact: [getattr(one, fact) for one in heard] for fact in facts}
    columns.update(zip(("file", "size", "mtime_ns"), zip(*entries, strict=True), strict=True))
    columns.update(run=itertools.repeat(run.key, len(entries)), part=itertools.repeat(part, len(entries)))
    return pa.Table.from_pydict({field.name: list(columns[field.name]) for field in FILES}, schema=FILES)


def _column(pieces: Iterable[bytes], kind: type) -> _Column:
    return np.frombuffer(b"".join(pieces), kind)


def _words(indices: _Column, words: Iterable[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(indices), pa.array(list(words), pa.string()))
