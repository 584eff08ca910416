"""How this machine is called elsewhere, so that no two of them on one broker are taken for each other."""

import hashlib
import re
import socket
from dataclasses import dataclass
from pathlib import Path

MACHINE_ID = Path("/etc/machine-id")
_HASHED_FOR = b"audiomon-link"
# Host names that thousands of machines have, and that say nothing.
_COMMON_NAMES = frozenset({"raspberrypi", "raspberry", "localhost", "debian", "ubuntu", "dietpi", "pi", "audiomon"})
_MAX_NAME = 40


@dataclass(frozen=True, slots=True)
class Machine:
    """This machine.

    Attributes:
        name: for people: its host name, with a few digits of its id where that is a common one.
        id: 12 hexadecimal digits that no other machine has, and that do not give /etc/machine-id away.
    """

    name: str
    id: str

    @classmethod
    def this(cls) -> "Machine":
        """Find out what this machine is called."""
        host = socket.gethostname()
        try:
            secret = MACHINE_ID.read_bytes().strip()
        except OSError:
            secret = b""
        digest = hashlib.blake2b(secret or host.encode(), key=_HASHED_FOR, digest_size=6).hexdigest()
        name = re.sub(r"[^A-Za-z0-9-]+", "-", host.partition(".")[0])[:_MAX_NAME].strip("-")
        if not name or name.casefold() in _COMMON_NAMES:
            name = f"{name or 'audiomon'}-{digest[:4]}"
        return cls(name, digest)
