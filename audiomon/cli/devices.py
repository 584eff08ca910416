"""``audiomon devices``: the microphones, and what to write to choose one."""

import click
import msgspec

from audiomon.audio.devices import input_devices
from audiomon.errors import DeviceError


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def devices(as_json: bool) -> None:
    """List the microphones, the default one marked with *.

    \b
    Examples:
      audiomon devices
      audiomon run --device "USB PnP"      a part of the name will do
    """
    found = input_devices()
    if as_json:
        for device in found:
            click.echo(msgspec.json.encode(msgspec.to_builtins(device)))
        return
    if not found:
        raise DeviceError("there is no microphone: plug one in (a USB microphone shows up within seconds)")
    width = max(len(device.name) for device in found)
    for device in found:
        mark = "*" if device.is_default else " "
        rate = f"{device.default_sample_rate} Hz"
        click.echo(
            f"{mark} {device.index:>3}  {device.name:<{width}}  {device.channels:>3} ch  {rate:>9}  {device.host_api}"
        )
