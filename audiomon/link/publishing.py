"""What is published over one connection to a broker, from its beginning to its end."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import aiomqtt
import msgspec

from audiomon.config import LabelPatterns
from audiomon.link.discovery import Described, announced, discovery, discovery_topic
from audiomon.link.machine import Machine
from audiomon.link.state import Listener, Lost, Message
from audiomon.link.surroundings import Surroundings
from audiomon.link.tasks import end_tasks
from audiomon.link.topics import ListenerTopics, MachineTopics, slugs_of
from audiomon.outputs.feed_protocol import EventLine, Hello, Kind, PredictionLine, StateLine

PART = "mqtt"
MAX_LABELS = 50

# Messages that wait to be sent: more mean that the broker takes none.
_MAX_WAITING = 1000


@dataclass(frozen=True, slots=True)
class _Publication:
    """A message on its way to the broker."""

    topic: str
    payload: bytes | str
    qos: int = 1
    retain: bool = True


@dataclass(frozen=True, slots=True)
class _Subscription:
    """A request to get what is published to a topic."""

    topic: str


@dataclass(slots=True)
class _Published:
    """What has been published of one listener, over this connection.

    Attributes:
        topics: of it.
        described: what Home Assistant is told; None before it was up.
        components: announced to Home Assistant, ever: their platforms by their keys.
        health: in the newest state.
    """

    topics: ListenerTopics
    described: Described | None = None
    components: dict[str, str] = field(default_factory=dict)
    health: str = ""


class Connection:
    """What is done over one connection to the broker, from its beginning to its end.

    Args:
        client: connected.
        surroundings: settings and state.
        machine: as it is called on the broker.
        topics: of the machine.
    """

    def __init__(
        self, client: aiomqtt.Client, surroundings: Surroundings, machine: Machine, topics: MachineTopics
    ) -> None:
        self._client = client
        self._surroundings = surroundings
        self._settings = surroundings.config.mqtt
        self._machine = machine
        self._topics = topics
        self._chosen = LabelPatterns(self._settings.labels)
        self._outgoing: asyncio.Queue[_Publication | _Subscription] = asyncio.Queue(_MAX_WAITING)
        self._overflowed = asyncio.Event()
        self._published: dict[str, _Published] = {}
        # Of labels: topics with a retained message that was there before.
        self._retained: set[str] = set()

    async def run(self) -> None:
        """Publish until the connection ends.

        Raises:
            aiomqtt.MqttError, OSError: why it ended.
        """
        surroundings = self._surroundings
        kinds: set[Kind] = {"event", "state", "level"}
        if self._settings.predictions:
            kinds.add("prediction")
        self._subscribe()
        self._publish_actions()
        with (
            surroundings.state.subscribed(PART, self._hear, kinds),
            surroundings.actions.watched(self._note_actions),
        ):
            for listener in surroundings.state.listeners.values():
                self._show(listener)
            work = (self._send(), self._receive(), self._keep_state(), self._fail_when_overflowed())
            tasks = [asyncio.create_task(one) for one in work]
            try:
                ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await end_tasks(tasks)
            for task in ended:
                task.result()

    def _subscribe(self) -> None:
        topics = [self._topics.of_any.online, self._topics.of_any.labels, self._topics.actions_set]
        if self._settings.discovery is not None:
            topics.append(f"{self._settings.discovery}/status")
        for topic in topics:
            self._put(_Subscription(topic))

    # --- what listeners send ---

    def _hear(self, listener: Listener, message: Message) -> None:
        match message:
            case Hello() | Lost():
                self._show(listener)
            case EventLine():
                self._publish_event(listener, message)
            case StateLine():
                if message.state.health != self._of(listener).health:
                    self._publish_state(listener)
            case PredictionLine():
                payload = msgspec.json.encode(message)
                self._publish(self._of(listener).topics.prediction, payload, qos=0, retain=False)
            case _:
                pass

    def _show(self, listener: Listener) -> None:
        """Publish all states of a listener."""
        published = self._of(listener)
        hello = listener.hello
        if hello is None:
            self._publish(published.topics.online, "offline")
            return
        described = self._describe(listener, hello)
        if described != published.described:
            self._announce(published, described)
        for label, slug in described.slugs.items():
            on = listener.on.get(label)
            if on is not None:
                self._publish_attributes(published.topics, slug, {"score": on.score, "time": on.since, "duration_s": 0})
            self._publish_label(published.topics, slug, on=on is not None)
        self._clear_labels(published)
        self._publish_state(listener)
        self._publish(published.topics.online, "online")

    def _describe(self, listener: Listener, hello: Hello) -> Described:
        labels = [label for label in hello.labels if self._chosen.match(label)]
        if len(labels) > MAX_LABELS:
            left_out = len(labels) - MAX_LABELS
            self._surroundings.reports.report_once(
                "link-labels-left-out",
                f"{listener.name}: {MAX_LABELS} of {len(labels)} labels are published, {left_out} are left out",
                "warning",
                instance=listener.name,
                labels=len(labels),
                left_out=left_out,
            )
        return Described(
            machine=self._machine,
            instance=listener.name,
            version=hello.version,
            shared=self._topics,
            topics=self._topics.listener(listener.name),
            slugs=slugs_of(labels[:MAX_LABELS]),
            switch=self._surroundings.actions.used,
        )

    def _of(self, listener: Listener) -> _Published:
        if listener.name not in self._published:
            self._published[listener.name] = _Published(self._topics.listener(listener.name))
        return self._published[listener.name]

    # --- what is published of them ---

    def _announce(self, published: _Published, described: Described) -> None:
        """Tell Home Assistant of a listener's entities."""
        first, published.described = published.described is None, described
        if self._settings.discovery is None:
            return
        topic = discovery_topic(self._settings.discovery, described.id)
        if first:
            # What was announced before, by an earlier process: it comes back at once.
            self._put(_Subscription(topic))
        message = discovery(described, published.components)
        published.components |= announced(message)
        self._publish(topic, message)

    def _publish_event(self, listener: Listener, event: EventLine) -> None:
        published = self._of(listener)
        slug = published.described.slugs.get(event.label) if published.described else None
        if slug is None:
            return
        attributes: dict[str, Any] = {"score": event.score, "time": event.time, "duration_s": event.duration_s}
        content = {"label": event.label, "state": event.state, **attributes}
        # Attributes first: an automation that the state starts reads them.
        self._publish_attributes(published.topics, slug, attributes)
        self._publish_label(published.topics, slug, on=event.state == "on")
        self._publish(published.topics.event, msgspec.json.encode(content), retain=False)

    def _publish_attributes(self, topics: ListenerTopics, slug: str, attributes: dict[str, Any]) -> None:
        self._publish(topics.attributes(slug), msgspec.json.encode(attributes))

    def _publish_label(self, topics: ListenerTopics, slug: str, *, on: bool) -> None:
        self._publish(topics.label(slug), "ON" if on else "OFF")

    def _publish_state(self, listener: Listener) -> None:
        snapshot, level = listener.snapshot, listener.level
        if snapshot is None:
            return
        published = self._of(listener)
        published.health = snapshot.health
        content = {
            "health": snapshot.health,
            "reason": snapshot.reason or snapshot.refused,
            "level_dbfs": level.rms_dbfs if level else None,
            "peak_dbfs": level.peak_dbfs if level else None,
            "model": snapshot.model,
            "label": snapshot.label,
            "score": snapshot.score,
            "lost": snapshot.lost,
            "undelivered": snapshot.undelivered,
            "inference_ms": round(snapshot.inference_us / 1000, 3),
            "lag_ms": snapshot.lag_ms,
            "per_s": snapshot.per_s,
        }
        self._publish(published.topics.state, msgspec.json.encode(content))

    def _publish_actions(self) -> None:
        if self._surroundings.actions.used:
            self._publish(self._topics.actions, "ON" if self._surroundings.actions.on else "OFF")

    def _note_actions(self) -> None:
        self._publish_actions()
        for listener in self._surroundings.state.listeners.values():
            self._show(listener)

    def _clear_labels(self, published: _Published) -> None:
        """Remove what is retained of labels that are no more."""
        known = set(published.described.slugs.values()) if published.described else set()
        start = published.topics.label("")
        for topic in [topic for topic in self._retained if topic.startswith(start)]:
            self._retained.remove(topic)
            if topic.removeprefix(start).partition("/")[0] not in known:
                self._publish(topic, b"")

    # --- what the broker sends ---

    async def _receive(self) -> None:
        async for message in self._client.messages:
            self._take(str(message.topic), _payload(message), retained=bool(message.retain))

    def _take(self, topic: str, payload: bytes, *, retained: bool) -> None:
        listeners = self._surroundings.state.listeners
        if topic == self._topics.actions_set:
            if payload in (b"ON", b"OFF") and not retained:
                self._surroundings.actions.set(on=payload == b"ON")
        elif topic == f"{self._settings.discovery}/status":
            if payload == b"online":
                self._announce_all()
        elif not retained:
            pass  # ours, come back
        elif topic.endswith("/listener"):
            # Of a listener that has gone while nobody followed it.
            online = {self._topics.listener(one.name).online for one in listeners.values()}
            if payload == b"online" and topic not in online:
                self._publish(topic, "offline")
        elif topic.startswith(f"{self._topics.top}/"):
            if payload:
                self._retained.add(topic)
            for published in self._published.values():
                if published.described is not None:
                    self._clear_labels(published)
        else:
            self._take_announced(topic, payload)

    def _announce_all(self) -> None:
        """Tell a Home Assistant that has just started."""
        for listener in self._surroundings.state.listeners.values():
            published = self._of(listener)
            if listener.up and published.described is not None:
                self._announce(published, published.described)
            self._show(listener)

    def _take_announced(self, topic: str, payload: bytes) -> None:
        """Remove what an earlier process announced and this one does not."""
        for published in self._published.values():
            described = published.described
            if described and topic == discovery_topic(self._settings.discovery or "", described.id):
                before = announced(payload)
                if before.keys() - published.components.keys():
                    published.components = before | published.components
                    self._announce(published, described)

    # --- to and fro ---

    def _publish(self, topic: str, payload: bytes | str, *, qos: int = 1, retain: bool = True) -> None:
        self._put(_Publication(topic, payload, qos, retain))

    def _put(self, outgoing: _Publication | _Subscription) -> None:
        try:
            self._outgoing.put_nowait(outgoing)
        except asyncio.QueueFull:
            self._overflowed.set()

    async def _send(self) -> None:
        while True:
            match await self._outgoing.get():
                case _Publication(topic, payload, qos, retain):
                    await self._client.publish(topic, payload, qos=qos, retain=retain)
                case _Subscription(topic):
                    await self._client.subscribe(topic, qos=1)

    async def _keep_state(self) -> None:
        while True:
            await asyncio.sleep(self._settings.state_s)
            for listener in self._surroundings.state.listeners.values():
                self._publish_state(listener)

    async def _fail_when_overflowed(self) -> None:
        await self._overflowed.wait()
        raise aiomqtt.MqttError("it does not take messages in time")


def _payload(message: aiomqtt.Message) -> bytes:
    return message.payload if isinstance(message.payload, bytes) else b""
