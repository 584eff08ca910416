"""A folder or an object store, by its fsspec address: listed, read, and written to whole or not at all."""

import io
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from audiomon.audio.folder import SUFFIXES
from audiomon.errors import AudiomonError, InputError, UserError
from audiomon.extras import pip_install

_ESCAPED = re.compile(rb"\\x(5c|[89a-f][0-9a-f])")

Entry = tuple[str, int, int | None]  # a recording's name, its size in bytes, and its modification time in ns


class StoreError(AudiomonError):
    """Where the results go cannot be written: nothing that has been written before is lost."""

    exit_status = os.EX_TEMPFAIL


@dataclass(frozen=True, slots=True)
class Store:
    """A folder, here or elsewhere.

    Attributes:
        address: as it was given, without a slash at its end.
        fs: the fsspec file system that it is on.
        base: its path there.
        local: whether it is a folder of this machine.
    """

    address: str
    fs: Any
    base: str
    local: bool

    def path(self, *names: str) -> str:
        """Return the path of something in it."""
        return "/".join((self.base, *names))

    def names(self, *folder: str) -> list[str]:
        """Return the names of the Parquet files in a folder of it, sorted; none if there is no such folder."""
        path = self.path(*folder)
        try:
            self.fs.invalidate_cache()
            found = self.fs.ls(path, detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name for name in (one.rsplit("/", 1)[-1] for one in found) if name.endswith(".parquet"))

    def exists(self, *names: str) -> bool:
        """Whether there is such a file."""
        return bool(self.fs.exists(self.path(*names)))

    def read(self, *names: str, columns: list[str] | None = None) -> pa.Table:
        """Read a Parquet file."""
        # Arrow's threads would hold on to a Python object that they read from for a moment longer than they read: a
        # process that ends in that moment aborts. A part is small enough for one thread.
        with self.fs.open(self.path(*names), "rb") as file:
            return pq.ParquetFile(file, pre_buffer=False).read(columns=columns, use_threads=False)

    def metadata(self, *names: str) -> dict[bytes, bytes]:
        """Return what a Parquet file says of itself."""
        with self.fs.open(self.path(*names), "rb") as file:
            return pq.ParquetFile(file).schema_arrow.metadata or {}

    def write(self, table: pa.Table, *names: str) -> None:
        """Write a Parquet file, whole or not at all: a rename here, one PUT on an object store.

        Raises:
            StoreError: it cannot be written.
        """
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        path = self.path(*names)
        try:
            if self.local:
                _replace(Path(path), buffer.getbuffer())
            else:
                self.fs.pipe_file(path, buffer.getvalue())
        except OSError as error:
            raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from None

    @contextmanager
    def spooled(self, name: str) -> Iterator[Path]:
        """Have a recording as a file of this machine: itself, or a copy in $TMPDIR for as long as it is needed."""
        path = self.path(name)
        if self.local:
            yield local_path(path)
            return
        with tempfile.NamedTemporaryFile(prefix="audiomon-", suffix=os.path.splitext(name)[1]) as spool:
            self.fs.get_file(path, spool.name)
            yield Path(spool.name)

    def recordings(self, below: str, denied: list[str]) -> Iterator[Entry]:
        """List what is to be heard, recursively; links to folders are not followed, and hidden names are left out.

        Args:
            below: what in this store: a folder, a recording, or nothing for all of it.
            denied: is given the paths that may not be read.

        Raises:
            InputError: there is no such thing.
        """
        start = self.path(below) if below else self.base
        yield from _local_recordings(start, self.base, denied) if self.local else self._remote_recordings(start)

    def _remote_recordings(self, start: str) -> Iterator[Entry]:
        self.fs.invalidate_cache()
        cut = len(self.base) + 1
        if self.fs.isfile(start):
            details = self.fs.info(start)
            yield start[cut:], int(details["size"]), _modified_ns(details)
            return
        found = False
        # A folder at a time: a listing of everything takes a kilobyte of memory for each file.
        for folder, _, files in self.fs.walk(start, detail=True):
            found = True
            for name, details in files.items():
                if _is_recording(name):
                    yield f"{folder}/{name}"[cut:], int(details["size"]), _modified_ns(details)
            self.fs.invalidate_cache()
        if not found:
            raise InputError(f"{self.address}: no such folder")


def open_store(address: str) -> Store:
    """Open a folder by its path or its fsspec address.

    Raises:
        UserError: there is no such kind of address, or what reads it is not installed.
    """
    try:
        fs, base = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise UserError(f"{address}: {error} ({pip_install('s3fs')})") from None
    except ValueError as error:
        raise UserError(f"{address}: {error}") from None
    kinds = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
    local = "file" in kinds
    base = os.path.abspath(base) if local else base.rstrip("/")
    return Store(address.rstrip("/") or "/", fs, base, local)


def open_roots(addresses: Sequence[str]) -> tuple[Store, list[str]]:
    """Open what is to be heard: the folder that all of it is in, and what in there.

    Args:
        addresses: folders or recordings, here or elsewhere; at least one.

    Returns:
        The folder named, where there is one; of several, or of a recording, the deepest one that holds them all. And
        the names of what was named in it, empty for the folder itself.

    Raises:
        UserError: they are not in one place, or what reads them is not installed.
    """
    stores = [open_store(address) for address in addresses]
    first = stores[0]
    if any(store.fs != first.fs for store in stores):
        raise UserError(f"{stores[-1].address}: is not where {first.address} is; classify them one after the other")
    bases = [store.base for store in stores]
    folder = os.path.commonpath(bases)
    if folder in bases and first.fs.isfile(folder):
        folder = folder.rpartition("/")[0]
    below = sorted({base[len(folder) :].lstrip("/") for base in bases})
    address = folder if first.local else first.fs.unstrip_protocol(folder)
    return Store(address, first.fs, folder, first.local), [""] if "" in below else below


def file_name(path: str) -> str:
    r"""Return a path as valid Unicode: bytes of it that are none become ``\xHH``.

    A backslash before what already looks so becomes ``\x5c``; `local_path` undoes both.
    """
    if "\\x" not in path and path.isprintable():  # what is not Unicode is a lone surrogate here, which no one prints
        return path
    marked = re.sub(rb"\\(?=x(?:5c|[89a-f][0-9a-f]))", rb"\\x5c", os.fsencode(path))
    return marked.decode("utf-8", errors="backslashreplace")


def local_path(name: str) -> Path:
    """Return the path that `file_name` made valid Unicode of."""
    if "\\x" not in name:
        return Path(name)
    return Path(os.fsdecode(_ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), os.fsencode(name))))


def _is_recording(name: str) -> bool:
    # A Mac leaves ._20260301_040000.WAV beside 20260301_040000.WAV on every card that it mounts.
    return os.path.splitext(name)[1].lower() in SUFFIXES and not name.startswith(".")


def _local_recordings(start: str, base: str, denied: list[str]) -> Iterator[Entry]:
    cut = len(base.rstrip("/")) + 1
    if os.path.isfile(start):
        details = os.stat(start)
        yield file_name(start[cut:]), details.st_size, details.st_mtime_ns
        return
    if not os.path.isdir(start):
        raise InputError(f"{start}: no such file or folder")
    folders = [start]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            denied.append(folder)
            continue
        folders += [one.path for one in reversed(entries) if one.is_dir(follow_symlinks=False) and one.name[0] != "."]
        for entry in entries:
            if _is_recording(entry.name) and not entry.is_dir():
                try:
                    details = entry.stat()
                except OSError:  # a link to nowhere
                    denied.append(entry.path)
                    continue
                yield file_name(entry.path[cut:]), details.st_size, details.st_mtime_ns


def _modified_ns(details: dict[str, Any]) -> int | None:
    modified = details.get("mtime") or details.get("LastModified") or details.get("created")
    if isinstance(modified, datetime):
        modified = modified.timestamp()
    return None if not isinstance(modified, (int, float)) else round(modified * 1e6) * 1000


def _replace(path: Path, body: memoryview) -> None:
    """Write a file under another name, and give it its own once it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with draft.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):  # another process has just tidied up after writing the very same
            os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    for left in path.parent.glob(f"{path.name}.*.tmp"):  # of a process that was killed
        left.unlink(missing_ok=True)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
