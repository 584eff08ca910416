"""Microphones: which there are, which one is meant, and one as a source. All that knows of PortAudio is in here.

PortAudio is loaded by the first call, never by importing this package: classifying a file needs none of it.
"""

from audiomon.audio.microphone.devices import InputDevice, find_device, input_devices, lasting_name
from audiomon.audio.microphone.portaudio import forget_portaudio, refresh_devices
from audiomon.audio.microphone.source import MicrophoneSource

__all__ = [
    "InputDevice",
    "MicrophoneSource",
    "find_device",
    "forget_portaudio",
    "input_devices",
    "lasting_name",
    "refresh_devices",
]
