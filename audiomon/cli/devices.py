"""``audiomon devices``: microphones and streams, and what to write into the configuration to choose one for good."""

import re

import click
import msgspec

from audiomon.audio.microphone.devices import InputDevice, input_devices, lasting_name
from audiomon.audio.stream import streams
from audiomon.errors import DeviceError


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def devices(as_json: bool) -> None:
    """List the microphones, the default one marked with *, and the streams; and how to name each for good.

    What stands after `device:` is to be pasted into audiomon.yaml. It stays the same after a reboot, and in another
    USB socket, except where two equal microphones can only be told apart by theirs.

    \b
    Examples:
      audiomon devices
      audiomon run --device "USB PnP"      a part of the name will do
      audiomon run --device usb:0d8c:0014
    """
    sending = streams()
    found = _microphones(or_streams=bool(sending))
    if as_json:
        for device in found:
            described = {**msgspec.to_builtins(device), "lasting_name": lasting_name(device, found)}
            click.echo(msgspec.json.encode(described))
        for name in sending:
            click.echo(msgspec.json.encode({"name": name, "lasting_name": name}))
        return
    if not found and not sending:
        raise DeviceError("there is no microphone: plug one in (a USB microphone shows up within seconds)")
    width = max(map(len, (*(device.name for device in found), *sending)))
    for device in found:
        mark = "*" if device.is_default else " "
        rate = f"{device.default_sample_rate} Hz"
        click.echo(
            f"{mark} {device.index:>3}  {device.name:<{width}}  {device.channels:>3} ch  {rate:>9}  "
            f"{device.host_api:<4}  device: {_yaml(lasting_name(device, found))}"
        )
    for name in sending:
        click.echo(f"{'':6} {name:<{width}}  {'stream':>22}  device: {_yaml(name)}")


def _microphones(*, or_streams: bool) -> list[InputDevice]:
    """List the microphones; where there are streams, a machine without a sound system is as good."""
    try:
        return input_devices()
    except DeviceError as error:
        if not or_streams:
            raise
        click.echo(f"audiomon: {error}", err=True)
        return []


def _yaml(name: str) -> str:
    """Quote what YAML would not read as text."""
    return name if re.fullmatch(r"\d+|[A-Za-z][\w:@.,-]*", name) else msgspec.json.encode(name).decode()
