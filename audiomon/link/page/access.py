"""Who may see the page: the names a browser may call it by, the token, and how often one may guess.

Without a token everybody who reaches the page may see it, which is why it is then on loopback only. With one, a program
sends it as ``Authorization: Bearer``, and a browser has a cookie that is made from it and does not hold it.
"""

import hashlib
import hmac
import ipaddress
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable

from audiomon.errors import UserError

COOKIE = "audiomon-page"
COOKIE_S = 30 * 86_400
MIN_TOKEN_LENGTH = 16

# Guesses that one address has at once, and how long it takes to earn another.
MAX_GUESSES = 5
GUESS_EVERY_S = 10.0
# Addresses that are remembered; the one that guessed the longest ago is forgotten first.
_MAX_ADDRESSES = 1024
# All addresses together: a stranger with many has no more than this.
_MAX_GUESSES_OF_ALL = 60
_GUESS_OF_ALL_EVERY_S = 1.0
# A cookie is no longer than its expiry and a SHA-256 in hexadecimal.
_MAX_COOKIE_LENGTH = 100


class Names:
    """The names that a browser may call the page by, against DNS rebinding.

    A stranger's page can have its own name point here and then read what comes as its own. It cannot do so with a
    literal address, nor with a name that is not its own.

    Args:
        further: names from the settings, such as that of a proxy.
    """

    def __init__(self, further: Iterable[str] = ()) -> None:
        own = socket.gethostname().lower()
        self._names = {"localhost", own, own.partition(".")[0], f"{own.partition('.')[0]}.local"}
        self._names.update(name.lower() for name in further)

    def allow(self, host: str) -> bool:
        """Say whether a ``Host`` header is one of these, with any port."""
        name = host.strip().lower()
        if name.startswith("["):
            name, bracket, port = name[1:].partition("]")
            return bool(bracket) and _is_port(port) and _is_address(name)
        name, colon, port = name.partition(":")
        if not _is_port(colon + port):
            return False
        return name.removesuffix(".") in self._names or _is_address(name)


class Guesses:
    """How often a token may be tried and be wrong.

    Args:
        now_s: a monotonic clock, in seconds.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._by_address: OrderedDict[str, _Allowance] = OrderedDict()
        self._of_all = _Allowance(_MAX_GUESSES_OF_ALL, _GUESS_OF_ALL_EVERY_S, now_s())

    def may_try(self, address: str) -> bool:
        """Say whether an address may try now."""
        return self._of_all.left(self._now_s()) >= 1 and self._of(address).left(self._now_s()) >= 1

    def failed(self, address: str) -> None:
        """Note that an address tried and was wrong."""
        for allowance in (self._of_all, self._of(address)):
            allowance.take(self._now_s())

    def _of(self, address: str) -> "_Allowance":
        network = _network_of(address)
        allowance = self._by_address.pop(network, None) or _Allowance(MAX_GUESSES, GUESS_EVERY_S, self._now_s())
        self._by_address[network] = allowance
        if len(self._by_address) > _MAX_ADDRESSES:
            self._by_address.popitem(last=False)
        return allowance


class _Allowance:
    """A number of tries that are earned back one by one."""

    def __init__(self, most: int, every_s: float, now_s: float) -> None:
        self._most, self._every_s = most, every_s
        self._left, self._at_s = float(most), now_s

    def left(self, now_s: float) -> float:
        self._left = min(self._most, self._left + (now_s - self._at_s) / self._every_s)
        self._at_s = now_s
        return self._left

    def take(self, now_s: float) -> None:
        self._left = max(0.0, self.left(now_s) - 1)


class Token:
    """The secret that lets people and programs in.

    Args:
        text: at least `MIN_TOKEN_LENGTH` characters.
        now_s: seconds since 1970-01-01 UTC.

    Raises:
        UserError: it is too short to keep anybody out.
    """

    def __init__(self, text: str, now_s: Callable[[], float] = time.time) -> None:
        if len(text) < MIN_TOKEN_LENGTH:
            raise UserError(
                f"the page's token has {len(text)} characters and needs {MIN_TOKEN_LENGTH}: "
                "`openssl rand -hex 16` makes a good one"
            )
        self._token = text.encode()
        self._now_s = now_s

    def is_right(self, given: str) -> bool:
        """Say whether this is the token; takes as long for every wrong one of its length."""
        return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self._token)

    def cookie(self) -> str:
        """Return a cookie that lets in for `COOKIE_S`; another token makes it worthless."""
        expires = str(int(self._now_s()) + COOKIE_S)
        return f"{expires}.{self._signed(expires)}"

    def admits(self, cookie: str) -> bool:
        """Say whether a cookie is one of these and has not expired."""
        expires, _, signature = cookie[:_MAX_COOKIE_LENGTH].partition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "surrogatepass"), self._signed(expires).encode()):
            return False
        return int(expires) > self._now_s()

    def _signed(self, expires: str) -> str:
        text = f"audiomon page {expires}".encode("utf-8", "surrogatepass")
        return hmac.new(self._token, text, hashlib.sha256).hexdigest()


def _is_port(text: str) -> bool:
    return not text or (text.startswith(":") and text[1:].isascii() and text[1:].isdecimal() and len(text) <= 6)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _network_of(address: str) -> str:
    """Return what counts as one address: of IPv6 the half that a stranger does not choose."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 6 and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
