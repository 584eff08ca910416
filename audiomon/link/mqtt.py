"""MQTT: what all listeners hear, published to one broker, and announced to Home Assistant.

States are retained and published whenever the connection is new; events are published only while it stands, since a
backlog of old ones is no news. A broker that is away, refuses or takes nothing is tried again, ever less often, and
reported once.
"""

import asyncio
import contextlib
import random
import re
import ssl
from pathlib import Path

import aiomqtt

from audiomon.credentials import credential
from audiomon.errors import UserError
from audiomon.foreign import shown
from audiomon.link.machine import Machine
from audiomon.link.publishing import PART, Connection
from audiomon.link.settings import Mqtt
from audiomon.link.surroundings import Surroundings
from audiomon.link.topics import MachineTopics, level_of

PASSWORD = "mqtt-password"

# A link that hangs is known to the broker to be gone after one and a half times this.
_KEEPALIVE_S = 30
_ANSWER_S = 10.0
_GOODBYE_S = 1.0
_MIN_WAIT_S = 1.0
_MAX_WAIT_S = 60.0
# A connection that stood for this long was a good one: the next attempt is made soon.
_STEADY_S = 30.0


class MqttPart:
    """Keeps a connection to the broker, and publishes.

    Args:
        surroundings: settings and state.

    Raises:
        UserError: the credential is no password, or the file of the own authority cannot be used.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._settings = surroundings.config.mqtt
        self._host, self._port = self._settings.address
        self._broker = f"{self._host}:{self._port}"
        self._machine = Machine(self._settings.name or surroundings.machine.name, surroundings.machine.id)
        self._topics = MachineTopics(f"{self._settings.topic}/{level_of(self._machine.name)}")
        self._failing = False

    async def run(self) -> None:
        """Publish until cancelled."""
        state, reports = self._surroundings.state, self._surroundings.reports
        wait_s = _MIN_WAIT_S
        clock = asyncio.get_running_loop().time
        while True:
            began_s = clock()
            try:
                await self._stay_connected()
            except (aiomqtt.MqttError, OSError, UserError) as error:
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise asyncio.CancelledError from None  # ending failed, which is an end as well
                reason = _reason(error)
                state.problems[PART] = f"{self._broker}: {reason}"
                if not self._failing:
                    self._failing = True
                    message = f"{self._broker}: {reason}; retrying"
                    reports.report("link-broker-down", message, "warning", broker=self._broker, reason=reason)
            if clock() - began_s > _STEADY_S:
                wait_s = _MIN_WAIT_S
            # Not all machines of a house at once, when its power comes back.
            await asyncio.sleep(wait_s * random.uniform(0.75, 1.25))
            wait_s = min(2 * wait_s, _MAX_WAIT_S)

    async def _stay_connected(self) -> None:
        """Connect, and publish until the connection ends.

        Raises:
            aiomqtt.MqttError, OSError, UserError: why it ended.
        """
        availability = self._topics.availability
        client = aiomqtt.Client(
            self._host,
            self._port,
            identifier=f"audiomon-{self._surroundings.machine.id}",
            username=self._settings.username or None,
            password=credential(PASSWORD) if self._settings.username else None,
            will=aiomqtt.Will(availability, "offline", qos=1, retain=True),
            tls_context=_tls(self._settings),
            keepalive=_KEEPALIVE_S,
            timeout=_ANSWER_S,
        )
        async with client:
            self._note_connected()
            try:
                await client.publish(availability, "online", qos=1, retain=True)
                await Connection(client, self._surroundings, self._machine, self._topics).run()
            except asyncio.CancelledError:
                # The will is for what ends unasked.
                with contextlib.suppress(aiomqtt.MqttError):
                    await client.publish(availability, "offline", qos=1, retain=True, timeout=_GOODBYE_S)
                raise

    def _note_connected(self) -> None:
        self._failing = False
        self._surroundings.state.problems[PART] = ""
        self._surroundings.reports.report("link-broker-up", f"connected to {self._broker}", broker=self._broker)


def _tls(settings: Mqtt) -> ssl.SSLContext | None:
    """Return what to encrypt with; None for no encryption.

    Raises:
        UserError: the file of the own authority cannot be used.
    """
    if not settings.encrypted:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca or None)
        # Python 3.13 refuses certificates that lack extensions which people's own authorities often leave out. The
        # chain and the name are verified all the same.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context
    except (OSError, ssl.SSLError) as error:
        raise UserError(f"cannot be used: {error.strerror or error}", path=Path(settings.ca), key="mqtt.ca") from None


def _reason(error: Exception) -> str:
    """Write an error of the broker's in one line, without the codes that only programs know."""
    if "Disconnected" in str(error):
        return "it closed the connection"
    return shown(re.sub(r"^\[(code|Errno):? ?-?\w*\] ", "", str(error)) or type(error).__name__)
