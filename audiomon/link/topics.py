"""The names of MQTT topics: what is published where."""

import re
import unicodedata
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from audiomon.link.machine import Machine
from audiomon.link.settings import Mqtt

_MAX_SLUG = 60


@dataclass(frozen=True, slots=True)
class MachineTopics:
    """Those of a machine, and of the listeners on it.

    Attributes:
        top: what all of them begin with.
    """

    top: str

    @classmethod
    def of(cls, settings: Mqtt, machine: Machine) -> "MachineTopics":
        """Return those of a machine by the name that the settings give it, or its own."""
        return cls(f"{settings.topic}/{level_of(settings.name or machine.name)}")

    @property
    def availability(self) -> str:
        """``online`` while the link is connected."""
        return f"{self.top}/availability"

    @property
    def actions(self) -> str:
        """Whether actions are done, ``ON`` or ``OFF``."""
        return f"{self.top}/actions"

    @property
    def actions_set(self) -> str:
        """Where that is changed."""
        return f"{self.actions}/set"

    @property
    def test(self) -> str:
        """What ``audiomon link test`` publishes, and nobody else reads."""
        return f"{self.top}/test"

    def listener(self, instance: str) -> "ListenerTopics":
        """Return those of one listener."""
        return ListenerTopics(f"{self.top}/{level_of(instance)}")

    @property
    def of_any(self) -> "ListenerTopics":
        """Return those of any listener, to subscribe to."""
        return ListenerTopics(f"{self.top}/+")


@dataclass(frozen=True, slots=True)
class ListenerTopics:
    """Those of one listener.

    Attributes:
        base: what all of them begin with.
    """

    base: str

    @property
    def online(self) -> str:
        """``online`` while the listener is."""
        return f"{self.base}/listener"

    @property
    def event(self) -> str:
        """Labels that turn on and off."""
        return f"{self.base}/event"

    @property
    def state(self) -> str:
        """How the listener stands."""
        return f"{self.base}/state"

    @property
    def prediction(self) -> str:
        """Every prediction, where that is wanted."""
        return f"{self.base}/prediction"

    def label(self, slug: str) -> str:
        """Whether a label is on, ``ON`` or ``OFF``."""
        return f"{self.base}/label/{slug}"

    def attributes(self, slug: str) -> str:
        """When a label last turned on or off, and at what score."""
        return f"{self.label(slug)}/attributes"

    @property
    def labels(self) -> str:
        """All that is about labels, to subscribe to."""
        return self.label("#")


def level_of(name: str) -> str:
    """Write a name as one level of a topic."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


def slugs_of(labels: Iterable[str]) -> dict[str, str]:
    """Give each label a name that fits into a topic and an entity's id; no two have the same."""
    slugs: dict[str, str] = {}
    taken: set[str] = set()
    for label in labels:
        slug = base = slug_of(label)
        count = 1
        while slug in taken:
            count += 1
            slug = f"{base}_{count}"
        taken.add(slug)
        slugs[label] = slug
    return slugs


def slug_of(text: str) -> str:
    """Write a text in small letters, digits and underscores; one that has none of them becomes a number."""
    plain = unicodedata.normalize("NFKD", text[:_MAX_SLUG]).encode("ascii", "ignore").decode().casefold()
    slug = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    return slug or f"label_{zlib.crc32(text.encode(errors='surrogatepass')):08x}"
