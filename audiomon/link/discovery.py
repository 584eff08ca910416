"""What Home Assistant gets to know of a listener: one message that lists all of its entities.

Device-based discovery, which Home Assistant knows since 2024.11. Entities that were announced before and that are no
more have to be named as well, with nothing but their platform: that removes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from audiomon.foreign import shown
from audiomon.link.machine import Machine
from audiomon.link.topics import ListenerTopics, MachineTopics, slug_of
from audiomon.runtime_files import FIRST_INSTANCE

# States of capture, as `audiomon.daemon.health.Health` has them.
HEALTH = ("absent", "opening", "listening", "doubtful", "lost", "stuck")
_MAX_TITLE = 100

Component = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Described:
    """What there is to tell of one listener.

    Attributes:
        machine: that it runs on.
        instance: its name there.
        version: of audiomon.
        shared: topics of all listeners on the machine.
        topics: of this one.
        slugs: of the labels that are published.
        switch: whether there are actions to pause.
    """

    machine: Machine
    instance: str
    version: str
    shared: MachineTopics
    topics: ListenerTopics
    slugs: dict[str, str]
    switch: bool

    @property
    def id(self) -> str:
        """What no other listener anywhere has."""
        return f"audiomon_{self.machine.id}_{slug_of(self.instance)}"

    @property
    def name(self) -> str:
        """What people call it."""
        instance = "" if self.instance == FIRST_INSTANCE else f" {shown(self.instance, _MAX_TITLE)}"
        return f"audiomon {self.machine.name}{instance}"


def discovery_topic(prefix: str, described_id: str) -> str:
    """Return where a listener's message belongs."""
    return f"{prefix}/device/{described_id}/config"


def discovery(described: Described, gone: Mapping[str, str]) -> bytes:
    """Write the message.

    Args:
        described: what there is to tell.
        gone: components of an earlier message that are no more: their platforms by their keys.
    """
    components = _components(described)
    removed = {key: {"p": platform} for key, platform in gone.items() if key not in components}
    return msgspec.json.encode(
        {
            "dev": {
                "ids": [described.id],
                "name": described.name,
                "mf": "audiomon",
                "mdl": "sound listener",
                "sw": described.version,
            },
            "o": {"name": "audiomon", "sw": described.version},
            "availability": [{"topic": described.shared.availability}, {"topic": described.topics.online}],
            "availability_mode": "all",
            "qos": 1,
            "cmps": components | removed,
        }
    )


def announced(message: bytes) -> dict[str, str]:
    """Return the components that an earlier message announced: their platforms by their keys."""
    try:
        components = msgspec.json.decode(message)["cmps"]
        return {str(key): str(one["p"]) for key, one in components.items() if len(one) > 1}
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError, RecursionError, UnicodeDecodeError):
        return {}  # not ours, or damaged: whatever it was is replaced


def _components(described: Described) -> dict[str, Component]:
    topics = described.topics
    labels = {
        f"label_{slug}": {
            "p": "binary_sensor",
            "name": title(label),
            "device_class": "sound",
            "state_topic": topics.label(slug),
            "json_attributes_topic": topics.attributes(slug),
        }
        for label, slug in described.slugs.items()
    }
    components: dict[str, Component] = {
        **labels,
        "sound": {
            "p": "event",
            "name": "Sound",
            "icon": "mdi:ear-hearing",
            "state_topic": topics.event,
            "event_types": list(described.slugs) or ["none"],
            "value_template": "{{ {'event_type': value_json.label, 'score': value_json.score, 'time': value_json.time}"
            " | tojson if value_json.state == 'on' else '' }}",
        },
        "level": {
            "p": "sensor",
            "name": "Level",
            "icon": "mdi:waveform",
            "unit_of_measurement": "dBFS",  # with a device class, Home Assistant would insist on a unit of pressure
            "state_class": "measurement",
            "suggested_display_precision": 0,
            **_of_state(topics, "level_dbfs"),
        },
        "problem": {
            "p": "binary_sensor",
            "name": "Problem",
            "device_class": "problem",
            "entity_category": "diagnostic",
            "state_topic": topics.state,
            "value_template": "{{ 'OFF' if value_json.health == 'listening' else 'ON' }}",
            "json_attributes_topic": topics.state,
            "json_attributes_template": "{{ {'reason': value_json.reason} | tojson }}",
        },
        "health": {
            "p": "sensor",
            "name": "Health",
            "device_class": "enum",
            "options": list(HEALTH),
            "entity_category": "diagnostic",
            **_of_state(topics, "health"),
        },
        "model": {
            "p": "sensor",
            "name": "Model",
            "icon": "mdi:brain",
            "entity_category": "diagnostic",
            **_of_state(topics, "model"),
        },
        "lost": {
            "p": "sensor",
            "name": "Samples lost",
            "icon": "mdi:water-off",
            "state_class": "total_increasing",
            "entity_category": "diagnostic",
            **_of_state(topics, "lost"),
        },
        "lag": {
            "p": "sensor",
            "name": "Lag",
            "device_class": "duration",
            "unit_of_measurement": "ms",
            "state_class": "measurement",
            "suggested_display_precision": 0,
            "entity_category": "diagnostic",
            **_of_state(topics, "lag_ms"),
        },
    }
    if described.switch:
        components["actions"] = {
            "p": "switch",
            "name": "Actions",
            "icon": "mdi:bell",
            "entity_category": "config",
            "state_topic": described.shared.actions,
            "command_topic": described.shared.actions_set,
        }
    return {key: one | {"unique_id": f"{described.id}_{key}"} for key, one in components.items()}


def _of_state(topics: ListenerTopics, key: str) -> Component:
    return {"state_topic": topics.state, "value_template": f"{{{{ value_json.{key} }}}}"}


def title(label: str) -> str:
    """Write a label as a name: ``dog_bark`` as ``Dog bark``."""
    words = shown(label, _MAX_TITLE).replace("_", " ").strip()
    return words[:1].upper() + words[1:] or "?"
