"""What ``page:`` in ``link.yaml`` may say."""

import ipaddress
from typing import Annotated

import msgspec
from msgspec import Meta

from audiomon.config.key import key
from audiomon.errors import FieldError

DEFAULT_PORT = 8117
# A port below this is root's.
_MIN_PORT, _MAX_PORT = 1024, 65535
_NAME = r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$"


class Page(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the page is, and what it shows."""

    listen: Annotated[
        str,
        key(
            "Address and port of the page and of /metrics; elsewhere than 127.0.0.1 needs a token; empty for none.",
            "live",
        ),
    ] = f"127.0.0.1:{DEFAULT_PORT}"
    names: Annotated[
        tuple[Annotated[str, Meta(pattern=_NAME)], ...],
        key("Further names that browsers may call this machine by, such as that of a proxy.", "live"),
    ] = ()
    spectrogram: Annotated[
        bool, key("Whether the page draws a spectrogram, where the listener's feed.spectrogram allows it.", "live")
    ] = True
    clips: Annotated[
        bool, key("Whether the page, where it has a token, plays clips and lets people correct them.", "live")
    ] = False

    def __post_init__(self) -> None:
        """Check the address.

        Raises:
            FieldError: it is none.
        """
        try:
            if self.listen:
                address_of(self.listen)
        except ValueError as error:
            raise FieldError(("listen",), f"is '{self.listen}': {error}") from None


def address_of(listen: str) -> tuple[str, int]:
    """Take an address apart.

    Args:
        listen: such as ``127.0.0.1:8117``, ``[::1]:8117`` or ``192.168.1.5``.

    Raises:
        ValueError: it is no address, or its port is none that a service may have.
    """
    text, colon, port_text = listen.rpartition(":")
    if not colon or (listen.count(":") > 1 and not text.endswith("]")):
        text, port_text = listen, str(DEFAULT_PORT)
    try:
        address = ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise ValueError(f"must be an IP address, or one with a port, such as 127.0.0.1:{DEFAULT_PORT}") from None
    if not (port_text.isascii() and port_text.isdecimal() and _MIN_PORT <= int(port_text[:6]) <= _MAX_PORT):
        raise ValueError(f"the port must be a number from {_MIN_PORT} to {_MAX_PORT}")
    return str(address), int(port_text)


def is_loopback(listen: str) -> bool:
    """Say whether only this machine can reach an address."""
    return ipaddress.ip_address(address_of(listen)[0]).is_loopback
