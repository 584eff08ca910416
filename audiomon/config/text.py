"""The text of a settings file, read once and in bounded time. Knows nothing of YAML."""

import os
import select
import stat
import time
from io import FileIO
from pathlib import Path

from yaml.reader import Reader

from audiomon.errors import ConfigError

MAX_BYTES = 1 << 20
# From opening a pipe to its end: the reader may be a daemon's main thread, which has other duties.
_MAX_PIPE_S = 5.0


def read_bytes(path: Path) -> tuple[bytes, bool]:
    """Read a file, a pipe or a device, at most a byte more than `MAX_BYTES`.

    Returns:
        What it holds, and whether it is a plain file: one that can be read again, and may say more then.

    Raises:
        ConfigError: it does not exist or cannot be read, or it is a pipe that does not end within 5 s.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISREG(mode):
                return _read_file(file), True
            return _read_stream(file, has_writer=not stat.S_ISFIFO(mode)), False
    except FileNotFoundError:
        reason = "no such file"
    except IsADirectoryError:
        reason = "is a folder, not a file"
    except PermissionError:
        reason = "permission denied"
    except (OSError, ValueError) as error:
        reason = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    raise ConfigError(reason, path=path)


def as_text(content: bytes, path: Path) -> str:
    """Decode what was read from ``path``.

    Raises:
        ConfigError: it is too large, is not UTF-8, or holds control characters.
    """
    if len(content) > MAX_BYTES:
        raise ConfigError(f"is larger than {MAX_BYTES >> 20} MiB; that is not a configuration", path=path, line=1)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError("is not UTF-8 text", path=path, line=line) from None
    if control := Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, control.start()) + 1
        code = ord(control.group())
        raise ConfigError(f"is not text: it holds the control character U+{code:04X}", path=path, line=line)
    return text


def _read_file(file: FileIO) -> bytes:
    # Not by stat's size: a file may grow, and /proc says 0.
    content = bytearray()
    while len(content) <= MAX_BYTES and (part := file.read(MAX_BYTES + 1 - len(content))):
        content += part
    return bytes(content)


def _read_stream(file: FileIO, *, has_writer: bool) -> bytes:
    deadline_s = time.monotonic() + _MAX_PIPE_S
    content = bytearray()
    while len(content) <= MAX_BYTES:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise OSError(None, f"this pipe has not come to its end within {_MAX_PIPE_S:g} s")
        part = file.read(MAX_BYTES + 1 - len(content))
        if part:
            content += part
        elif part is None or not (content or has_writer):
            # Nothing to read yet, or no writer yet: to a reader that does not wait, a pipe without one looks ended.
            select.select([file], [], [], left_s)
            has_writer = True
        else:
            break
    return bytes(content)
