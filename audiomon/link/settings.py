"""What ``link.yaml`` may say: every key with its unit, range, default and one sentence.

The JSON schema that editors complete by, ``config/link.schema.json``, is made from these definitions.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from audiomon.config import read_settings_file, settings_schema
from audiomon.config.key import key
from audiomon.errors import FieldError
from audiomon.foreign import shown
from audiomon.link.actions.settings import MAX_ACTIONS, Action
from audiomon.link.page.settings import Page

LINK_CONFIG = Path("/etc/audiomon/link.yaml")

_MAX_TOPIC = 100
_TOPIC = re.compile(r"[^+#$/\s\x00-\x1f]+(/[^+#/\s\x00-\x1f]+)*")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HOST = re.compile(r"[^\s:/\[\]]+|\[[0-9A-Fa-f:.]+\]")
_MAX_PORT = 65_535
_TLS_PORT, _PLAIN_PORT = 8883, 1883


class Mqtt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The broker, and what it gets."""

    broker: Annotated[str, key("Host of the broker, or host:port; nothing is sent anywhere without one.", "live")] = ""
    tls: Annotated[
        Literal["auto"] | bool, key("Whether to encrypt; auto does so on port 8883. Certificates are verified.", "live")
    ] = "auto"
    ca: Annotated[
        str, key("File with the certificate of your own authority; the system's are used without one.", "live")
    ] = ""
    username: Annotated[str, key("Name to log in with; the password is the credential mqtt-password.", "live")] = ""
    topic: Annotated[str, key("What all topics begin with.", "live")] = "audiomon"
    name: Annotated[
        str | None,
        key("Name of this machine in topics and in Home Assistant; its host name without one.", "live"),
    ] = None
    discovery: Annotated[
        str | None,
        key("What Home Assistant's discovery topics begin with; null for no discovery.", "live"),
    ] = "homeassistant"
    labels: Annotated[
        tuple[str, ...], key("Labels that are published, of those that make events; wildcards as in decisions.", "live")
    ] = ("*",)
    predictions: Annotated[bool, key("Whether every prediction is published, too.", "live")] = False
    state_s: Annotated[
        float, key("Seconds from one message of level and state to the next.", "live", ge=1, le=3600)
    ] = 10.0

    @property
    def encrypted(self) -> bool:
        """Whether the connection is."""
        return self.tls is True or (self.tls == "auto" and (self.address[1] == _TLS_PORT or bool(self.ca)))

    @property
    def address(self) -> tuple[str, int]:
        """Host and port; without a port, the usual one of the kind of connection."""
        host, colon, port = self.broker.rpartition(":")
        if colon and port.isdecimal() and not host.endswith(":"):
            return host.strip("[]"), int(port[:9])
        return self.broker.strip("[]"), _TLS_PORT if self.tls is True else _PLAIN_PORT

    def __post_init__(self) -> None:
        """Refuse what no broker could be reached at, and what is no topic."""
        port = self.address[1]
        if self.broker and (not _HOST.fullmatch(self.broker.removesuffix(f":{port}")) or port > _MAX_PORT):
            raise FieldError(("broker",), f"is '{shown(self.broker)}', must be a host, or host:port")
        for field in ("topic", "discovery"):
            topic = getattr(self, field)
            if topic is not None and (len(topic) > _MAX_TOPIC or not _TOPIC.fullmatch(topic)):
                reason = f"must be words with / between them, without spaces, + and #, at most {_MAX_TOPIC} characters"
                raise FieldError((field,), f"is '{shown(topic)}', {reason}")
        if self.name is not None and not _NAME.fullmatch(self.name):
            raise FieldError(("name",), f"is '{shown(self.name)}', must be at most 64 letters, digits, - and _")


class LinkConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of ``link.yaml``."""

    mqtt: Annotated[Mqtt, key("MQTT and Home Assistant.", "live")] = Mqtt()
    page: Annotated[Page, key("The live page, and the metrics beside it.", "live")] = Page()
    actions: Annotated[
        tuple[Action, ...], key("What is done when a label turns on or off.", "live", max_length=MAX_ACTIONS)
    ] = ()


def load_link_config(path: Path) -> LinkConfig:
    """Read and check ``link.yaml``.

    Raises:
        ConfigError: it cannot be read, or does not fit: file, line, key, what is wrong, what is allowed.
    """
    return read_settings_file(path, LinkConfig)[0]


def link_json_schema() -> dict[str, Any]:
    """Return the JSON schema of ``link.yaml``, for editors; ``python -m audiomon.link`` prints it."""
    return settings_schema(LinkConfig, "link.yaml")
