"""Tries the broker of ``link.yaml`` once: publishes to a topic of its own, and waits for that to come back."""

import asyncio

import aiomqtt

from audiomon.errors import UserError
from audiomon.link.actions.sending import Result
from audiomon.link.machine import Machine
from audiomon.link.mqtt import make_client, reason_of
from audiomon.link.settings import Mqtt
from audiomon.link.topics import MachineTopics

_BACK_S = 10.0
_PAYLOAD = b"audiomon link test"


async def try_broker(settings: Mqtt, machine: Machine, password: str | None) -> Result:
    """Publish, and read it back.

    Args:
        settings: of the broker.
        machine: as it is called on it.
        password: for it, if it wants one.
    """
    host, port = settings.address
    topic = MachineTopics.of(settings, machine).test
    try:
        # Not by the name of the link that may run: the broker would hang up on that.
        async with make_client(settings, f"audiomon-{machine.id}-test", password) as client:
            await client.subscribe(topic, qos=1)
            await client.publish(topic, _PAYLOAD, qos=1)
            async with asyncio.timeout(_BACK_S):
                async for message in client.messages:
                    if message.payload == _PAYLOAD:
                        break
    except TimeoutError:
        return Result(False, f"{host}:{port}: {topic} did not come back: may this user publish and subscribe to it?")
    except (aiomqtt.MqttError, OSError, UserError) as error:
        return Result(False, f"{host}:{port}: {reason_of(error)}")
    return Result(True, f"{host}:{port}: {topic} came back")
