"""What ``link.yaml`` may say: every key with its unit, range, default and one sentence.

The JSON schema that editors complete by, ``config/link.schema.json``, is made from these definitions.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from audiomon.config import read_settings_file, settings_schema
from audiomon.config.key import key
from audiomon.link.actions.settings import MAX_ACTIONS, Action
from audiomon.link.page.settings import Page

LINK_CONFIG = Path("/etc/audiomon/link.yaml")

# A level of a topic, or several: no wildcards, and nothing that a broker keeps to itself.
_TOPIC = r"^[^+#$/\s\x00-\x1f]+(/[^+#/\s\x00-\x1f]+)*$"
_NAME = r"^[A-Za-z0-9_-]+$"


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
    topic: Annotated[str, key("What all topics begin with.", "live", pattern=_TOPIC, max_length=100)] = "audiomon"
    name: Annotated[
        Annotated[str, Meta(pattern=_NAME, max_length=64)] | None,
        key("Name of this machine in topics and in Home Assistant; its host name without one.", "live"),
    ] = None
    discovery: Annotated[
        Annotated[str, Meta(pattern=_TOPIC, max_length=100)] | None,
        key("What Home Assistant's discovery topics begin with; null for no discovery.", "live"),
    ] = "homeassistant"
    labels: Annotated[
        tuple[str, ...], key("Labels that are published, of those that make events; wildcards as in decisions.", "live")
    ] = ("*",)
    predictions: Annotated[bool, key("Whether every prediction is published, too.", "live")] = False
    state_s: Annotated[
        float, key("Seconds from one message of level and state to the next.", "live", ge=1, le=3600)
    ] = 10.0


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
