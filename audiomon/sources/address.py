"""The address of a camera or a radio, which may hold a password: for ffmpeg, and kept out of all that is said."""

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from audiomon.errors import UserError

# What ffmpeg may open, itself and whatever a playlist leads it to: the network, and the pipe with the address in it. No
# files of this machine.
PROTOCOLS = "pipe,tcp,udp,tls,rtp,srtp,rtsp,rtmp,rtmps,rtmpt,http,https,httpproxy,hls,crypto,data,srt"
_SCHEMES = ("rtsp", "rtsps", "http", "https", "srt", "udp", "rtp", "rtmp", "rtmps")
# Asked for in the address itself, as in rtsp://…/stream?udp, which ffmpeg reads.
_RTSP_TRANSPORTS = {"udp", "multicast", "tcp"}
# A camera that is silent for longer hangs. Longer than the third attempt at a connection takes to come, which is 3 s.
_PATIENCE_US = 3_500_000
# To find out what is sent. ffmpeg's own 5 s would be heard as a delay at every start; MPEG-TS says it seldom.
_ANALYZE_US, _ANALYZE_TS_US = 500_000, 2_000_000
_ANY_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"]*")
_HIDDEN = "(address)"
# A shorter one hides in any text.
_MIN_SECRET = 3


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """Where sound comes from. Has no representation: it may hold a password.

    Attributes:
        url: all of it.
        scheme: as in ``rtsp``.
    """

    url: str
    scheme: str

    @property
    def is_paced(self) -> bool:
        """Whether sound comes as it is made; through HTTP it comes in advance, or in pieces of some seconds."""
        return self.scheme not in ("http", "https")

    def script(self) -> bytes:
        """Return it as ffmpeg's concat demuxer reads it, with what else to know of it."""
        quoted = self.url.replace("'", r"'\''")
        options = "".join(f"option {name} {value}\n" for name, value in self._options().items())
        return f"ffconcat version 1.0\nfile '{quoted}'\n{options}".encode()

    def hidden(self, text: str) -> str:
        """Return a text without any address in it, and without any part of this one that may be secret."""
        text = _ANY_ADDRESS.sub(_HIDDEN, text)
        for secret in self._secrets():
            text = text.replace(secret, _HIDDEN)
        return text

    def _options(self) -> dict[str, str]:
        options = {"analyzeduration": str(_ANALYZE_TS_US if self.scheme in ("udp", "srt") else _ANALYZE_US)}
        if self.scheme.startswith("rtsp"):
            query = set(self.url.rpartition("?")[2].split("&"))
            transport = {} if query & _RTSP_TRANSPORTS else {"rtsp_transport": "tcp"}
            return options | transport | {"timeout": str(_PATIENCE_US), "allowed_media_types": "audio"}
        if self.scheme in ("udp", "srt"):
            return options | {"timeout": str(_PATIENCE_US)}
        return options | {"rw_timeout": str(_PATIENCE_US)}

    def _secrets(self) -> list[str]:
        parts = urlsplit(self.url)
        userinfo, _, _ = parts.netloc.rpartition("@")
        values = [self.url, userinfo, *userinfo.split(":", 1)[1:], parts.query]
        values += [value for pair in parts.query.split("&") for value in pair.split("=", 1)[1:]]
        found = {form for value in values for form in (value, unquote(value)) if len(form) >= _MIN_SECRET}
        # The longest first, so that none leaves a piece of itself.
        return sorted(found, key=len, reverse=True)


def read_address(text: str) -> Address:
    """Read an address.

    Raises:
        UserError: it is none that ffmpeg reads from the network; the message does not quote it.
    """
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() not in _SCHEMES or not rest or not text.isprintable() or " " in text:
        raise UserError(f"is no address of sound: write one that begins with {', '.join(_SCHEMES)}, as in rtsp://…")
    try:
        urlsplit(text)
    except ValueError:
        raise UserError("is no address of sound: what follows :// is not a host") from None
    return Address(text, scheme.lower())
