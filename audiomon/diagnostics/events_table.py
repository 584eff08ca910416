"""Events written to a Parquet file, a row each, so that pandas, DuckDB and the like can take over.

It needs pyarrow, of the ``archive`` extra, and keeps no more rows in memory than one row group has.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from audiomon.diagnostics.event_spans import EventSpan
from audiomon.errors import UserError
from audiomon.extras import install_extra

_ROW_GROUP = 50_000


class EventsTable:
    """A file that becomes one with the last row: a context manager, and nothing is left of it after an error.

    Its columns: host (string), machine_id (string), instance (string), time (timestamp[us, UTC], when the label turned
    on), label (string), score (float32, null), duration_s (float64, null), model (string), model_sha256 (string, null).

    Args:
        path: of the file.

    Raises:
        UserError: pyarrow is not installed, or the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise UserError(f"Parquet needs pyarrow: {install_extra('archive')}") from None
        self._arrow: Any = pyarrow
        names = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
        self._schema = pyarrow.schema(
            [
                pyarrow.field("host", names, nullable=False),
                pyarrow.field("machine_id", names, nullable=False),
                pyarrow.field("instance", names, nullable=False),
                pyarrow.field("time", pyarrow.timestamp("us", tz="UTC"), nullable=False),
                pyarrow.field("label", names, nullable=False),
                pyarrow.field("score", pyarrow.float32()),
                pyarrow.field("duration_s", pyarrow.float64()),
                pyarrow.field("model", names, nullable=False),
                pyarrow.field("model_sha256", names),
            ]
        )
        self._path, self._draft = path, path.with_name(f".{path.name}.draft")
        self._rows: list[EventSpan] = []
        try:
            self._writer = parquet.ParquetWriter(self._draft, self._schema, compression="zstd")
        except OSError as error:
            raise self._unwritable(error) from None

    def __enter__(self) -> "EventsTable":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._write()
            self._writer.close()
            if kind is None:
                os.replace(self._draft, self._path)
        except OSError as error:
            raise self._unwritable(error) from None
        finally:
            self._draft.unlink(missing_ok=True)

    def add(self, spans: Iterable[EventSpan]) -> None:
        """Write events."""
        self._rows.extend(spans)
        if len(self._rows) >= _ROW_GROUP:
            try:
                self._write()
            except OSError as error:
                raise self._unwritable(error) from None

    def _write(self) -> None:
        rows, self._rows = self._rows, []
        columns = {
            "host": [row.host.name for row in rows],
            "machine_id": [row.host.machine_id for row in rows],
            "instance": [row.instance for row in rows],
            "time": [round(row.begin_s * 1e6) for row in rows],
            "label": [row.label for row in rows],
            "score": [row.score for row in rows],
            "duration_s": [row.duration_s for row in rows],
            "model": [row.model for row in rows],
            "model_sha256": [row.model_sha256 for row in rows],
        }
        arrays = [self._arrow.array(columns[field.name], type=field.type) for field in self._schema]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(f"cannot be written: {error.strerror or error}", path=self._path)
