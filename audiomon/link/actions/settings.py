"""What ``actions:`` in ``link.yaml`` may say."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from audiomon.config.key import key
from audiomon.errors import FieldError
from audiomon.link.actions.quiet import QuietHours

MAX_ACTIONS = 50
_CREDENTIAL = r"^[A-Za-z0-9_.-]{1,100}$"
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
# Those that decide what a request is belong to the client.
_OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "content-type"})

Url = Annotated[str, Meta(max_length=2000)]
Text = Annotated[str, Meta(max_length=4096)]


class Ntfy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A notification by ntfy."""

    url: Annotated[Url, key("Server and topic, such as https://ntfy.sh/my-topic.", "live")]
    priority: Annotated[
        Literal["min", "low", "default", "high", "max"], key("How loud the phone is about it.", "live")
    ] = "default"
    tags: Annotated[tuple[Text, ...], key("Emoji and words shown with it.", "live", max_length=20)] = ()
    token: Annotated[
        Annotated[str, Meta(pattern=_CREDENTIAL)] | None, key("Name of the credential with the access token.", "live")
    ] = None

    def __post_init__(self) -> None:
        """Check the address.

        Raises:
            FieldError: it names no topic.
        """
        _check_url(self.url)
        if len(urlsplit(self.url).path.strip("/")) == 0 or "/" in urlsplit(self.url).path.strip("/"):
            raise FieldError(("url",), f"is '{self.url}', must end with one topic, as https://ntfy.sh/my-topic does")


class Webhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An HTTP request with what was heard as JSON."""

    url: Annotated[Url, key("Where to; http:// or https://.", "live")]
    headers: Annotated[dict[str, Text], key("Headers that go with it.", "live")] = {}
    json: Annotated[
        dict[str, Any] | None,
        key(
            "What is sent instead of the facts; {label}, {state}, {score} and the like in its texts are filled in.",
            "live",
        ),
    ] = None
    token: Annotated[
        Annotated[str, Meta(pattern=_CREDENTIAL)] | None,
        key("Name of the credential that is sent as Authorization: Bearer.", "live"),
    ] = None

    def __post_init__(self) -> None:
        """Check the address and the headers.

        Raises:
            FieldError: it is none, or a header that a request cannot have.
        """
        _check_url(self.url)
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
                raise FieldError(("headers", name), "is not a header that can be set")
            if not value.isprintable() or not value.isascii():
                raise FieldError(("headers", name), "must be one line of ASCII")


class Apprise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A notification by the ``apprise`` command, to the services that its configuration lists."""

    tags: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$")], ...],
        key("Which services: those with any of these tags; all without.", "live", max_length=20),
    ] = ()


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done when a label turns on or off."""

    on: Annotated[tuple[Text, ...], key("Labels; smoke* is all that begin with smoke.", "live", min_length=1)]
    when: Annotated[Literal["on", "off", "both"], key("When it turns on, off, or both.", "live")] = "on"
    min_score: Annotated[
        float, key("Not below this smoothed score; of no matter when it turns off.", "live", ge=0, le=1)
    ] = 0.0
    cooldown_s: Annotated[float, key("Seconds until the same label may do it again.", "live", ge=0, le=86_400)] = 60.0
    quiet: Annotated[
        tuple[str, ...], key("Local times in which nothing is done, such as 22:00-07:00.", "live", max_length=20)
    ] = ()
    ntfy: Annotated[Ntfy | None, key("Send a notification by ntfy.", "live")] = None
    webhook: Annotated[Webhook | None, key("Send an HTTP request.", "live")] = None
    apprise: Annotated[Apprise | None, key("Send a notification by Apprise.", "live")] = None
    command: Annotated[
        Annotated[tuple[Text, ...], Meta(min_length=1, max_length=100)] | None,
        key("Run this program with these arguments; no shell.", "live"),
    ] = None

    def __post_init__(self) -> None:
        """Check that it does one thing, at times that exist.

        Raises:
            FieldError: it does none or several, or a time is none.
        """
        kinds = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            chosen = f"has {' and '.join(kinds)}" if kinds else "does nothing"
            raise FieldError((kinds[1],) if kinds else (), f"{chosen}: an action has one of {', '.join(KINDS)}")
        if self.command is not None and not self.command[0].startswith("/"):
            raise FieldError(("command", 0), "must be the path of a program, from / on")
        for index, text in enumerate(self.quiet):
            try:
                QuietHours.of(text)
            except ValueError as error:
                raise FieldError(("quiet", index), f"is '{text}': {error}") from None

    @property
    def kind(self) -> str:
        """What it does: ntfy, webhook, apprise or command."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)


KINDS = ("ntfy", "webhook", "apprise", "command")


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid or not url.isascii() or not url.isprintable() or " " in url:
        raise FieldError(("url",), f"is '{url}', must begin with http:// or https:// and a host")
    if "@" in parts.netloc:
        raise FieldError(("url",), "must hold no password: name a credential with `token`")
