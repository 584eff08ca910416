"""What benchmarks with a microphone share: which one it is, and how often is predicted. Measures nothing."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import click

from audiomon.errors import UserError
from audiomon.lab.bench.pipeline_microphone import virtual_microphone, virtual_microphone_missing
from audiomon.models.package import read_package

device_option = click.option(
    "-d", "--device", help="Microphone; otherwise a virtual one, where PulseAudio is installed."
)
hop_option = click.option(
    "--hop",
    "hop_s",
    type=click.FloatRange(0.01, 60),
    default=0.5,
    show_default=True,
    help="Seconds between predictions.",
)


def microphone(device: str | None, package: Path) -> AbstractContextManager[tuple[str, dict[str, str]]]:
    """Return a context with the device's name and the environment variables that find it.

    Args:
        device: a real one, or None for a virtual one at the rate of the model.
        package: folder of the model.

    Raises:
        UserError: there can be no virtual one here.
    """
    if device is not None:
        return nullcontext((device, {}))
    if missing := virtual_microphone_missing():
        raise UserError(f"no virtual microphone: {missing}; name a real one with --device")
    return virtual_microphone(read_package(package).manifest.input.sample_rate)
