"""Secrets that systemd hands over as files: from /etc/credstore, never from a setting, an option or the environment."""

import os
from collections.abc import Mapping
from pathlib import Path

from audiomon.errors import UserError

# Where the units take them from: a file audiomon.NAME each.
STORE = Path("/etc/credstore")
# More is no password or token.
_MAX_BYTES = 4096


def credential(name: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return a secret, without the line end that editors add; None if there is none.

    Raises:
        UserError: there is one that cannot be used.
    """
    folder = environment.get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        return None
    return _secret(Path(folder) / name)


def stored_credential(name: str) -> str | None:
    """Return a secret from where systemd takes it, for commands that root runs; see `credential`.

    Raises:
        UserError: there is one that cannot be used.
    """
    return _secret(STORE / f"audiomon.{name}")


def _secret(path: Path) -> str | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", path=path) from None
    try:
        secret = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        secret = "\0"
    if len(content) > _MAX_BYTES or not secret.isprintable():
        raise UserError(f"is no secret: one line of text is, of at most {_MAX_BYTES} bytes", path=path)
    return secret or None
