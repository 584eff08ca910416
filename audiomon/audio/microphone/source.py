"""A microphone as a source: a PortAudio stream, captured into a ring.

If the device cannot run at the model's rate it runs at its own, which `MonoStream` converts.
"""

import itertools
from typing import Any

from audiomon.audio.capture import DEFAULT_BLOCK_MS, DEFAULT_RING_S, CapturedSource
from audiomon.audio.microphone.devices import InputDevice, find_device, input_devices
from audiomon.audio.microphone.portaudio import (
    code,
    forget_portaudio,
    portaudio,
    reason,
    set_periods,
    stream_closed,
    stream_opened,
)
from audiomon.audio.mono import can_resample
from audiomon.audio.source import Identity
from audiomon.clock import Clock
from audiomon.errors import DeviceError

# Devices that convert, such as `default`, claim 32 channels or more. A sound card with more than this is rare, and
# asking it for one channel either works or is refused, and then it is asked for all.
_MAX_OWN_CHANNELS = 8
# What a device is asked to keep while nobody reads, whatever is heard with it: that may change at any time, and half of
# this is how long the capture thread may rest. PortAudio makes ALSA's buffer one period longer, in periods of a block.
_KEPT_S = 2.0
# PortAudio's error codes.
_INVALID_SAMPLE_RATE = -9997
_INVALID_CHANNELS = -9998
_UNSUPPORTED_FORMAT = -9994
_INPUT_OVERFLOWED = -9981


class MicrophoneSource(CapturedSource):
    """A microphone; a `LiveSource`.

    Args:
        device: number, name, or part of a name; None or ``"default"`` for the system's choice. See `find_device`.
        sample_rate: wanted, in Hz: the model's.
        channels: to capture. None for all that the device has, or one if it makes as many as it is asked for. A device
            that cannot have so few is captured in all of its channels.
        block_ms: milliseconds captured at a time, at most 100.
        ring_s: seconds kept for a reader that falls behind, at least 2.
        clock: paces the polling and dates the samples.
        before: the microphone that went away, if no other may take its place; see `find_device`.

    Raises:
        DeviceError: there is no such device, or it cannot be opened; or, from ``read``, it failed.
        OtherDeviceError: only another one than ``before`` is there.
        SoundSystemError: the sound system does not answer.
    """

    def __init__(
        self,
        device: str | int | None = None,
        *,
        sample_rate: int,
        channels: int | None = None,
        block_ms: float = DEFAULT_BLOCK_MS,
        ring_s: float = DEFAULT_RING_S,
        clock: Clock | None = None,
        before: Identity | None = None,
    ) -> None:
        super().__init__(
            lambda: PortAudioStream(
                find_device(device, input_devices(), before), sample_rate, channels, block_ms / 1000
            ),
            block_ms=block_ms,
            ring_s=ring_s,
            clock=clock,
            on_stuck=forget_portaudio,
        )


class PortAudioStream:
    """A microphone opened and started through PortAudio; see `InputStream`.

    Args:
        device: what to open.
        sample_rate: wanted, in Hz.
        channels: wanted, or None; see `MicrophoneSource`.
        block_s: seconds that may come at once.

    Raises:
        DeviceError: it cannot be opened.
    """

    def __init__(self, device: InputDevice, sample_rate: int, channels: int | None, block_s: float) -> None:
        self.identity: Identity = device
        self.ending = False
        self._name = device.name
        with portaudio() as sounddevice:
            latency_s = set_periods(sounddevice, _KEPT_S, block_s)
            self._stream = _open_stream(sounddevice, device, sample_rate, channels, latency_s)
            stream_opened()
        self.kept_s: float = self._stream.latency
        self.sample_rate: int = round(self._stream.samplerate)
        self.channels: int = self._stream.channels

    def available(self) -> int:
        """See `InputStream.available`."""
        with portaudio() as sounddevice:
            try:
                return int(self._stream.read_available)
            except sounddevice.PortAudioError as error:
                self._raise_unless_overflowed(error)
                return 0

    def read(self, count: int) -> bytes:
        """See `InputStream.read`."""
        with portaudio() as sounddevice:
            try:
                return bytes(self._stream.read(count)[0])
            except sounddevice.PortAudioError as error:
                self._raise_unless_overflowed(error)
                return b""

    def close(self) -> None:
        """See `InputStream.close`."""
        with portaudio():
            try:
                self._stream.abort()
                self._stream.close()
            finally:
                stream_closed()

    def _raise_unless_overflowed(self, error: Exception) -> None:
        # ALSA's buffer ran over and was started again: what it held is lost, what follows is not.
        if code(error) != _INPUT_OVERFLOWED:
            raise DeviceError(f"{self._name}: the microphone has failed: {reason(error)}") from None


def _open_stream(
    sounddevice: Any, device: InputDevice, sample_rate: int, channels: int | None, latency_s: float
) -> Any:
    """Open and start a stream, at the first of the acceptable rates and channel counts that the device can have."""
    own_channels = device.channels if device.channels <= _MAX_OWN_CHANNELS else 1
    rates = dict.fromkeys((sample_rate, device.default_sample_rate))
    channel_counts = dict.fromkeys((channels or own_channels, device.channels))
    refused_rates = set()
    for rate, count in itertools.product(rates, channel_counts):
        if rate in refused_rates:
            continue
        if rate != sample_rate:
            _check_resampling(device, sample_rate)
        try:
            return _started(
                sounddevice.RawInputStream(
                    samplerate=rate,
                    blocksize=0,
                    device=device.index,
                    channels=count,
                    dtype="int16",
                    latency=latency_s,
                )
            )
        except sounddevice.PortAudioError as error:
            if code(error) == _INVALID_SAMPLE_RATE:
                refused_rates.add(rate)
            elif code(error) != _INVALID_CHANNELS:
                raise DeviceError(
                    f"{device.name}: cannot be opened: {reason(error)}{_format_hint(device, error)}"
                ) from None
        except UnicodeDecodeError:
            raise DeviceError(
                f"{device.name}: cannot be opened: its name is not UTF-8; give it another one in ALSA's configuration"
            ) from None
    raise DeviceError(
        f"{device.name}: cannot be opened at {' or '.join(f'{rate} Hz' for rate in rates)} "
        f"with {' or '.join(map(str, channel_counts))} channel(s)"
    )


def _started(stream: Any) -> Any:
    """Start an opened stream, or close it: nothing else would."""
    try:
        stream.start()
    except BaseException:
        stream.close()
        raise
    return stream


def _format_hint(device: InputDevice, error: Exception) -> str:
    if code(error) != _UNSUPPORTED_FORMAT:
        return ""
    return (
        "; let ALSA convert: put `pcm.converted { type plug slave.pcm "
        f"\"{device.alsa_name}\" }}` into /etc/asound.conf and choose the device 'converted'"
    )


def _check_resampling(device: InputDevice, sample_rate: int) -> None:
    if not can_resample():
        raise DeviceError(
            f"{device.name}: cannot run at the model's {sample_rate} Hz, and this machine has no soxr to convert; "
            f"let ALSA do it: choose a device that converts, such as 'default'"
        )
