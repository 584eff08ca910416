"""A file over HTTPS: bounded, continued where it was interrupted, and returned only if its SHA-256 is the one expected.

Never looks into what it fetches. A redirect to anything but HTTPS is refused, and certificates are always verified.
"""

import contextlib
import fcntl
import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO
from urllib.parse import urlsplit

from audiomon import __version__
from audiomon.errors import ModelError, UserError
from audiomon.foreign import shown

Progress = Callable[[int, int | None], None]

# For a connection, and for each read of it.
_TIMEOUT_S = 30.0
_BLOCK_BYTES = 1 << 16
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_ADDRESS = re.compile(r"https://[^/\s]+(/\S*)?\Z")
_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)\Z")
_PARTIAL, _RANGE_REFUSED = 206, 416


def is_address(text: str) -> bool:
    """Whether a text is an address on the network rather than the name of a file."""
    return "://" in text


def download(address: str, sha256: str, partial: Path, *, max_bytes: int, progress: Progress) -> bytes:
    """Fetch a file.

    Args:
        address: of it, ``https://…``.
        sha256: that it must have, in hexadecimal.
        partial: where it is kept until all of it is there; continued if it exists, and deleted once the file is whole,
            or is another. It lies in a folder that nobody else may write to.
        max_bytes: that it may have.
        progress: gets the bytes that are there and those there will be, if the server says.

    Raises:
        UserError: the address or the checksum is none, or another process fetches the same.
        ModelError: it cannot be fetched, is too large, or is another file.
    """
    _check_address(address)
    if not _SHA256.match(sha256.lower()):
        raise UserError(f"'{shown(sha256)}' is not a SHA-256: 64 digits from 0 to f")
    with _opened(partial) as file:
        content = _whole(address, file, sha256.lower(), max_bytes, progress)
        file.truncate(0)
    return content


def _check_address(address: str) -> None:
    if not address.isascii() or not _ADDRESS.match(address):
        raise UserError(f"{shown(address)}: is not an address that begins with https://")


@contextlib.contextmanager
def _opened(partial: Path) -> Iterator[BinaryIO]:
    """Open what is there of a file, or an empty one, for this process alone; delete it if it is empty in the end."""
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ModelError(f"cannot be written: {error.strerror}", path=partial) from None
    with os.fdopen(descriptor, "r+b") as file:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError("is being fetched by another process", path=partial) from None
        try:
            yield file
        finally:
            if not os.fstat(descriptor).st_size:
                partial.unlink()


def _whole(address: str, file: BinaryIO, sha256: str, max_bytes: int, progress: Progress) -> bytes:
    """Fetch what is missing of a file; begin again, once, if what was there already belongs to another."""
    while True:
        kept = file.seek(0, os.SEEK_END)
        if kept and (content := _verified(file, sha256)) is not None:
            return content  # interrupted after its last byte
        kept = _fetch(address, file, kept, max_bytes, progress)
        if (content := _verified(file, sha256)) is not None:
            return content
        file.truncate(0)
        if not kept:
            raise ModelError(f"{shown(address)}: is not the file that it should be: its SHA-256 is not {sha256}")


def _verified(file: BinaryIO, sha256: str) -> bytes | None:
    file.seek(0)
    content = file.read()
    return content if hashlib.sha256(content).hexdigest() == sha256 else None


def _fetch(address: str, file: BinaryIO, kept: int, max_bytes: int, progress: Progress) -> int:
    """Append the rest of a file to what there is of it; return how many bytes of that were kept."""
    headers = {"User-Agent": f"audiomon/{__version__}", **({"Range": f"bytes={kept}-"} if kept else {})}
    opener = urllib.request.build_opener(_HttpsOnly)
    try:
        with opener.open(urllib.request.Request(address, headers=headers), timeout=_TIMEOUT_S) as answer:
            began = _began(answer)
            kept = kept if began == kept else 0
            if began != kept:
                raise ModelError(f"{shown(address)}: the server sent another part of it than was asked for")
            _append(address, answer, file, kept, max_bytes, progress)
    except urllib.error.HTTPError as error:
        if error.code == _RANGE_REFUSED and kept:  # what is there is longer than the file
            return kept
        raise ModelError(f"{shown(address)}: the server says {error.code} {shown(str(error.reason))}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:  # URLError is an OSError
        reason = getattr(error, "reason", error)
        raise ModelError(
            f"{shown(address)}: cannot be fetched: {shown(str(reason) or type(reason).__name__)}"
        ) from None
    return kept


def _began(answer: http.client.HTTPResponse) -> int:
    """Return the place in the file of the first byte of an answer."""
    if answer.status != _PARTIAL:
        return 0
    place = _RANGE.match(answer.headers.get("Content-Range", ""))
    return int(place[1]) if place else -1


def _append(
    address: str, answer: http.client.HTTPResponse, file: BinaryIO, kept: int, max_bytes: int, progress: Progress
) -> None:
    total = None if answer.length is None else kept + answer.length
    there = kept
    file.truncate(kept)
    file.seek(kept)
    interruption = ""
    try:
        while there <= max_bytes and (total or 0) <= max_bytes and (block := answer.read(_BLOCK_BYTES)):
            _write(file, block)
            there += len(block)
            progress(there, total)
    except (OSError, http.client.HTTPException) as error:
        interruption = f" ({shown(str(error) or type(error).__name__)})"
    if max(there, total or 0) > max_bytes:
        file.truncate(0)
        raise ModelError(f"{shown(address)}: is larger than {max_bytes >> 20} MiB")
    if interruption or (total is not None and there < total):
        raise ModelError(
            f"{shown(address)}: interrupted after {there} bytes{interruption}; the same command continues it"
        )


def _write(file: BinaryIO, block: bytes) -> None:
    try:
        file.write(block)
        file.flush()
    except OSError as error:
        raise ModelError(f"cannot be kept: {error.strerror}") from None


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to another address of HTTPS."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Refuse what is not HTTPS; the base class decides on the rest."""
        if urlsplit(newurl).scheme != "https":
            raise ModelError(f"{shown(req.full_url)}: sends on to {shown(newurl)}, which is not HTTPS")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
