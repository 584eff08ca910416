"""What the link is made of besides the feeds."""

from audiomon.link.actions.part import ActionsPart
from audiomon.link.mqtt import MqttPart
from audiomon.link.page.serving import PagePart
from audiomon.link.surroundings import PartKind

# A further part is a line here.
PARTS: tuple[PartKind, ...] = (
    PartKind("mqtt", lambda config: config.mqtt if config.mqtt.broker else None, MqttPart),
    PartKind("page", lambda config: config.page if config.page.listen else None, PagePart),
    PartKind("actions", lambda config: config.actions or None, ActionsPart),
)
