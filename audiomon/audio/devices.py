"""The microphones of this machine, and which of them somebody means.

PortAudio is loaded by the first call, never by importing this module: classifying a file needs none of it.
"""

import importlib
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from audiomon.c_stderr import c_stderr_silenced
from audiomon.errors import DeviceError


@dataclass(frozen=True, slots=True)
class InputDevice:
    """A device that PortAudio can capture from.

    Attributes:
        index: PortAudio's number; changes when devices come and go.
        name: PortAudio's name; of a sound card, it ends in ALSA's address, as in ``(hw:1,0)``.
        host_api: the system behind it, as in ``ALSA``.
        channels: the most it can capture. Devices that convert claim as many as anybody might want, as in 32 or 128.
        default_sample_rate: in Hz, the rate that PortAudio proposes.
        is_default: whether it is captured from when none is named.
    """

    index: int
    name: str
    host_api: str
    channels: int
    default_sample_rate: int
    is_default: bool


def can_resample() -> bool:
    """Whether soxr is there to convert a device's own sample rate."""
    return importlib.util.find_spec("soxr") is not None


def load_portaudio() -> Any:
    """Return the module ``sounddevice``, loaded at the first call (which looks at every sound device there is).

    Raises:
        DeviceError: it, or the PortAudio library that it wraps, is not installed or does not start.
    """
    if not can_resample():
        # PortAudio then opens sound cards through ALSA's own converter, which makes any sample rate of theirs.
        os.environ.setdefault("PA_ALSA_PLUGHW", "1")
    try:
        with c_stderr_silenced():
            return importlib.import_module("sounddevice")
    except ImportError:
        raise DeviceError("there is no sounddevice here, which reads microphones: pip install sounddevice") from None
    except OSError:
        raise DeviceError(
            "there is no PortAudio here, which sounddevice needs: sudo apt install libportaudio2"
        ) from None
    except Exception as error:
        # A PortAudioError; its class comes with the module that could not be imported.
        raise DeviceError(f"PortAudio does not start: {error}") from None


def refresh_devices() -> None:
    """Have PortAudio look again: a device that was plugged in since it was loaded is not seen otherwise. Takes 0.1 s.

    To be called only while nothing is open: it would be closed under whoever reads it.

    Raises:
        DeviceError: PortAudio is not installed or does not start.
    """
    portaudio = load_portaudio()
    with _portaudio_asked(portaudio):
        portaudio._terminate()
        portaudio._initialize()


def input_devices() -> list[InputDevice]:
    """List the devices that can be captured from, in PortAudio's order.

    Raises:
        DeviceError: PortAudio is not installed or does not start.
    """
    portaudio = load_portaudio()
    with _portaudio_asked(portaudio):
        host_apis = portaudio.query_hostapis()
        default = portaudio.default.device["input"]
        return [
            InputDevice(
                index=device["index"],
                name=device["name"],
                host_api=host_apis[device["hostapi"]]["name"],
                channels=device["max_input_channels"],
                default_sample_rate=round(device["default_samplerate"]),
                is_default=device["index"] == default,
            )
            for device in portaudio.query_devices()
            if device["max_input_channels"] > 0
        ]


@contextmanager
def _portaudio_asked(portaudio: Any) -> Iterator[None]:
    """Silence its chatter, and raise its refusals as a `DeviceError`."""
    try:
        with c_stderr_silenced():
            yield
    except portaudio.PortAudioError as error:
        raise DeviceError(f"PortAudio fails: {error}") from None


def find_device(wanted: str | int | None, devices: list[InputDevice]) -> InputDevice:
    """Return the one device that is meant.

    Args:
        wanted: a number, a name, or a part of a name that only one device has (upper and lower case are alike);
            None or ``"default"`` for the system's choice.
        devices: what there is, from `input_devices`.

    Raises:
        DeviceError: none is meant, or more than one; the message lists those that exist.
    """
    if not devices:
        raise DeviceError("there is no microphone: PortAudio finds no device to capture from")
    matches = _matches(wanted, devices)
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise DeviceError(f"{wanted!r} is part of several microphones' names, choose one: {_listed(matches)}")
    if wanted in (None, "default"):
        raise DeviceError(f"there is no default microphone, choose one: {_listed(devices)}")
    named = f"number {wanted}" if isinstance(wanted, int) else f"named {wanted!r}"
    raise DeviceError(f"there is no microphone {named}; there are: {_listed(devices)}")


def _matches(wanted: str | int | None, devices: list[InputDevice]) -> list[InputDevice]:
    if wanted in (None, "default"):
        return [device for device in devices if device.is_default]
    if isinstance(wanted, int):
        return [device for device in devices if device.index == wanted]
    part = str(wanted).casefold()
    exact = [device for device in devices if device.name == wanted]
    same = [device for device in devices if device.name.casefold() == part]
    return exact or same or [device for device in devices if part in device.name.casefold()]


def _listed(devices: list[InputDevice]) -> str:
    return ", ".join(f"{device.index} {device.name!r}" for device in devices)
