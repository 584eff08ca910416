"""Reports to systemd: readiness, one line of status, that all is alive.

The protocol is sd_notify(3): a datagram of ``NAME=value`` lines. Sent without waiting, which libsystemd does not offer:
a service manager that is busy must not hold up the one who reports to it.
"""

import contextlib
import os
import socket
from collections.abc import Mapping


class ServiceManager:
    """systemd, or nothing where there is none.

    Args:
        environment: where systemd says how to reach it.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # A name that starts with @ is in Linux's abstract namespace, which is written with a zero byte.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._watchdog_us = _watchdog_us(environment)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)

    @property
    def is_there(self) -> bool:
        """Whether there is one; it starts a service that fails again."""
        return bool(self._address)

    @property
    def watchdog_s(self) -> float | None:
        """Seconds within which `tell` must say ``WATCHDOG="1"``; None if systemd does not watch."""
        return self._watchdog_us / 1e6 if self._watchdog_us else None

    def tell(self, **lines: str) -> None:
        """Send lines, as in ``tell(READY="1", STATUS="listening")``; nothing happens without systemd."""
        if not self._address:
            return
        message = "\n".join(f"{name}={' '.join(value.split())}" for name, value in lines.items())
        with contextlib.suppress(OSError):
            self._socket.sendto(message.encode(), self._address)


def _watchdog_us(environment: Mapping[str, str]) -> int:
    meant_for = environment.get("WATCHDOG_PID", "")
    text = environment.get("WATCHDOG_USEC", "")
    return int(text) if text.isdigit() and meant_for in ("", str(os.getpid())) else 0
