"""The microphones of this machine, and which of them a name means."""

import re
from typing import Any

import msgspec

from audiomon.audio.microphone.cards import SoundCard, sound_card
from audiomon.audio.microphone.portaudio import portaudio, reason
from audiomon.audio.source import Identity
from audiomon.errors import DeviceError, OtherDeviceError


class InputDevice(msgspec.Struct, frozen=True):
    """A device that PortAudio can capture from.

    Attributes:
        index: PortAudio's number; changes when devices come and go.
        name: PortAudio's name; of a sound card, it ends in ALSA's address, as in ``(hw:1,0)``.
        host_api: the system behind it, as in ``ALSA``.
        channels: the largest number it can capture. Devices that convert claim as many as anyone may want: 32 or 128.
        default_sample_rate: in Hz, the rate that PortAudio proposes.
        is_default: whether it is captured from when none is named.
        card: the sound card that it is of; None for one that a sound server, or a configuration of ALSA, makes.
    """

    index: int
    name: str
    host_api: str
    channels: int
    default_sample_rate: int
    is_default: bool
    card: SoundCard | None = None

    @property
    def lasting_names(self) -> tuple[str, ...]:
        """Names that it keeps after a reboot, the most lasting one first; equal cards may share them."""
        if self.card is None:
            return (self.name,)
        # A card's first device is meant if none is named.
        device = _alsa_address(self.name)[1]
        return tuple(f"{name},{device}" if device else name for name in self.card.names)

    @property
    def alsa_name(self) -> str:
        """What ALSA's configuration calls it, as in ``hw:1,0``."""
        match = _ALSA_ADDRESS.search(self.name)
        return f"hw:{match[1]},{match[2]}" if match else self.name

    def is_like(self, other: Identity) -> bool:
        """Say whether this can be the same microphone as another, after it was plugged in again."""
        if not isinstance(other, InputDevice):
            return False
        if self.card is None or other.card is None:
            return self.card is other.card and self.name == other.name
        return self.card.is_like(other.card) and _alsa_address(self.name)[1] == _alsa_address(other.name)[1]


# How lasting names begin; see `SoundCard`.
_LASTING = ("usb:", "card:")
_ALSA_ADDRESS = re.compile(r"\(hw:(\d+),(\d+)\)$")


def _alsa_address(name: str) -> tuple[int | None, int]:
    """Return the numbers of card and device that PortAudio puts at a name's end."""
    match = _ALSA_ADDRESS.search(name)
    return (int(match[1]), int(match[2])) if match else (None, 0)


def input_devices() -> list[InputDevice]:
    """List the devices that can be captured from, in PortAudio's order.

    Raises:
        DeviceError: PortAudio is not installed or does not start.
    """
    with portaudio() as sounddevice:
        try:
            return _capturing(sounddevice)
        except sounddevice.PortAudioError as error:
            raise DeviceError(f"PortAudio fails: {reason(error)}") from None


def _capturing(sounddevice: Any) -> list[InputDevice]:
    default = sounddevice.default.device["input"]
    devices = []
    for host_api in sounddevice.query_hostapis():
        for index in host_api["devices"]:
            name, channels, rate = _described(sounddevice, index)
            if channels > 0:
                device = InputDevice(index, name, host_api["name"], channels, rate, index == default, _card(name))
                devices.append(device)
    return sorted(devices, key=lambda device: device.index)


def _described(sounddevice: Any, index: int) -> tuple[str, int, int]:
    """Return name, input channels and sample rate of a device."""
    try:
        device = sounddevice.query_devices(index)
        return device["name"], device["max_input_channels"], round(device["default_samplerate"])
    except UnicodeDecodeError as error:
        # One name that is not UTF-8, or is cut inside a character: ask past the decoder, so that it stands for itself
        # and the other devices are listed.
        device = sounddevice._lib.Pa_GetDeviceInfo(index)
        name = error.object.decode(errors="backslashreplace")
        return name, device.maxInputChannels, round(device.defaultSampleRate)


def _card(name: str) -> SoundCard | None:
    number, _ = _alsa_address(name)
    return None if number is None else sound_card(number)


def lasting_name(device: InputDevice, devices: list[InputDevice]) -> str:
    """Return what to write in a configuration so that this device is meant after a reboot, too.

    Args:
        device: one of them.
        devices: all that there are.

    Returns:
        The most lasting name that no other has; its number where even its name is not its own.
    """
    taken = [name for other in devices if other.index != device.index for name in (*other.lasting_names, other.name)]
    return next((name for name in (*device.lasting_names, device.name) if name not in taken), str(device.index))


def find_device(wanted: str | int | None, devices: list[InputDevice], before: Identity | None = None) -> InputDevice:
    """Return the one device that is meant.

    Args:
        wanted: a number, a name, or a part of a name that only one device has (upper and lower case are alike); or a
            lasting name, such as ``usb:0d8c:0014``, ``usb:0d8c:0014@1-1.3`` or ``card:Device``, which see `SoundCard`;
            None or ``"default"`` for the system's choice.
        devices: what there is, from `input_devices`.
        before: the one that was meant before it went away, where no other may take its place. A lasting name is as
            good as that, and the system's choice is the system's.

    Raises:
        DeviceError: none is meant, or more than one; the message lists those that exist.
        OtherDeviceError: only another one than ``before`` is there.
    """
    if not devices:
        raise DeviceError("there is no microphone: PortAudio finds no device to capture from")
    matches = _matches(wanted, devices)
    if before is not None and not _says_exactly(wanted):
        others, matches = matches, [device for device in matches if device.is_like(before)] or matches[:1]
        if matches and not matches[0].is_like(before):
            raise OtherDeviceError(
                f"{before.name} is not there, and {_listed(others)} is not listened to in its place; to have that, "
                f"write `device: {lasting_name(others[0], devices)}` or `accept_other: true`"
            )
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
    if part.startswith(_LASTING):
        return [device for device in devices if part in map(str.casefold, device.lasting_names)]
    exact = [device for device in devices if device.name == wanted]
    same = [device for device in devices if device.name.casefold() == part]
    return exact or same or [device for device in devices if part in device.name.casefold()]


def _says_exactly(wanted: str | int | None) -> bool:
    """Whether nothing but the device that is meant, or what the system chooses, can be called so."""
    return wanted in (None, "default") or str(wanted).casefold().startswith(_LASTING)


def _listed(devices: list[InputDevice]) -> str:
    return ", ".join(f"{device.index} {device.name!r}" for device in devices)
