"""What the link is made of besides the feeds."""

from audiomon.link.mqtt import MqttPart
from audiomon.link.surroundings import PartKind

# A further part is a line here.
PARTS: tuple[PartKind, ...] = (PartKind("mqtt", lambda config: config.mqtt if config.mqtt.broker else None, MqttPart),)
