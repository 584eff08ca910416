"""A microphone as a source: a thread that captures into a ring, and a reader that the pipeline pulls from.

Capture only moves samples, at the device's own rate and in its own channels. It never waits for whoever reads them.

Everything that PortAudio is asked, from finding the device to closing it, is asked by the capture thread. When a sound
server hangs, a call may hang with it for ever, holding up whoever made it, and signals too if that is the main thread;
and closing a stream that another thread is reading crashes. So that thread is told to end and, if it cannot, left
behind; it is a daemon thread and ends with the process.
"""

import atexit
import itertools
import sys
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomon.audio.devices import InputDevice, can_resample, find_device, input_devices, load_portaudio
from audiomon.audio.pacing import Cadence, CaptureTimes
from audiomon.audio.ring import Ring, RingReader
from audiomon.audio.source import Block
from audiomon.audio.undelivered import Undelivered, UndeliveredMeter
from audiomon.c_stderr import c_stderr_silenced
from audiomon.clock import Clock, SystemClock
from audiomon.errors import CaptureError, DeviceError, SoundSystemError, forget_frames

# CPU ms per second of audio that capturing costs, the whole process, nobody reading (22 050 Hz, a sound server that
# delivers every 50 ms, x86-64): blocks of 50 ms 5.6 to 6.1, of 100 ms 3.2 to 3.4. The delay: a sample waits for the
# rest of its block, and up to 3 ms more for the look that finds it.
DEFAULT_BLOCK_MS = 100.0
DEFAULT_RING_S = 10.0

# Devices that convert, such as `default`, claim 32 channels or more. A sound card with more than this is rare, and
# asking it for one channel either works or is refused, and then it is asked for all.
_MOST_OWN_CHANNELS = 8
# One read at a time must return soon enough for a stop to be noticed; a ring is at least twice as long.
_LONGEST_READ_S = 1.0
# Beyond the time the samples take to come into being.
_READ_PATIENCE_S = 0.5
# A sound server that does not answer for so long will not answer at all. A USB microphone opens in 0.2 s.
_OPEN_PATIENCE_S = 10.0
# Ctrl-C ends within a second; a stream that is not closed by then is left behind.
_CLOSE_PATIENCE_S = 0.4
# Left to choose by this latency, PortAudio makes ALSA's buffer one period longer than it, in five periods: of a block
# each, then. Periods are what comes at once; the buffer is how long the thread may be kept from reading. A block size
# given to PortAudio would make periods of two blocks, or a buffer of three.
_PERIODS_AHEAD = 4
# PortAudio's error codes.
_INVALID_SAMPLE_RATE = -9997
_INVALID_CHANNELS = -9998
_INPUT_OVERFLOWED = -9981


class MicrophoneSource:
    """A microphone.

    If the device cannot run at the model's rate it runs at its own, which `MonoStream` converts.

    Args:
        device: number, name, or part of a name; None or ``"default"`` for the system's choice. See `find_device`.
        sample_rate: wanted, in Hz: the model's.
        channels: to capture. None for all that the device has, or one if it makes as many as it is asked for. A device
            that cannot have so few is captured in all of its channels.
        block_ms: milliseconds captured at a time, at most 100.
        ring_s: seconds kept for a reader that falls behind, at least 2.
        clock: paces the polling and dates the samples.
        before: the microphone that went away, if no other may take its place; see `find_device`.

    Attributes:
        device: what was opened.
        block_frames: sample frames captured at a time, at least; a larger number that has already come is taken whole.

    Raises:
        DeviceError: there is no such device, or it cannot be opened; or, from ``read``, it failed.
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
        before: InputDevice | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._capture = _Capture(_Wanted(device, sample_rate, channels, block_ms, ring_s, before), self._clock)
        opened = self._capture.opened()
        self.device = opened.device
        self.name = opened.device.name
        self.sample_rate = opened.ring.sample_rate
        self.channels = opened.ring.channels
        self.block_frames = opened.block_frames
        self.live = True
        self._ring = opened.ring
        self._reader = RingReader(opened.ring)
        self._most_frames = min(round(_LONGEST_READ_S * self.sample_rate), opened.ring.capacity // 2)
        self._samples: NDArray[np.int16] = np.empty((0, self.channels), dtype=np.int16)
        self._closed = False

    @property
    def frames_captured(self) -> int:
        """Sample frames captured so far, whether read or not."""
        return self._ring.end

    @property
    def captured_ns(self) -> int:
        """Monotonic time at which the newest frame was captured."""
        return self._ring.captured_ns(self._ring.end)

    def take_undelivered(self) -> list[Undelivered]:
        """Return what the device turned out not to have delivered, since the last call."""
        found = self._capture.undelivered
        return [found.popleft() for _ in range(len(found))]

    @property
    def stuck(self) -> bool:
        """Whether it was closed and the device would not let go of it: nothing can be opened in this process again."""
        return self._capture.stuck

    @property
    def failed(self) -> DeviceError | None:
        """Why capturing has ended by itself; None while it has not."""
        return self._capture.failed

    def read(self, frames: int) -> Block | None:
        """See `Source.read`. What was captured before a failure is returned before the failure is raised."""
        if self._closed:
            return None
        frames = min(frames, self._most_frames)
        if len(self._samples) < frames:
            self._samples = np.empty((frames, self.channels), dtype=np.int16)
        lost = self._reader.read(self._samples[:frames], frames / self.sample_rate + _READ_PATIENCE_S)
        if lost is None and self._ring.closed and not self._closed:
            frames = min(frames, self._ring.end - self._reader.position)
            if not frames:
                raise self._capture.failed or DeviceError(f"{self.name}: capturing has ended")
            lost = self._reader.read(self._samples[:frames], 0)
        if self._closed:
            return None
        if lost is None:
            return Block(self._reader.position, self._samples[:0], 0, self._clock.monotonic_ns())
        end = self._reader.position
        return Block(end - frames, self._samples[:frames], lost, self._ring.captured_ns(end))

    def rewind(self, frames: int) -> int:
        """See `Source.rewind`. At most to half a ring behind the newest frame, so as not to be overtaken at once."""
        oldest = max(0, self._ring.end - self._ring.capacity // 2)
        frames = max(0, min(frames, self._reader.position - oldest))
        self._reader.position -= frames
        return frames

    def close(self) -> None:
        """See `Source.close`. Returns within half a second, whatever the device does."""
        self._closed = True
        self._ring.close()
        self._capture.end()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a source was asked for; see `MicrophoneSource`."""

    device: str | int | None
    sample_rate: int
    channels: int | None
    block_ms: float
    ring_s: float
    before: InputDevice | None


@dataclass(frozen=True, slots=True)
class _Opened:
    """What came of it."""

    device: InputDevice
    stream: Any
    ring: Ring
    block_frames: int


class _Capture:
    """The capture thread."""

    def __init__(self, wanted: _Wanted, clock: Clock) -> None:
        self.failed: DeviceError | None = None
        self.undelivered: deque[Undelivered] = deque(maxlen=100)
        self._wanted = wanted
        self._clock = clock
        self._opened: _Opened | None = None
        self._answered = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def opened(self) -> _Opened:
        """Wait until the device is capturing.

        Raises:
            DeviceError: it cannot.
        """
        if not self._answered.wait(_OPEN_PATIENCE_S):
            self.end()
            raise SoundSystemError(
                f"the sound system has not answered for {_OPEN_PATIENCE_S:.0f} s; is its server stuck?"
            )
        if self._opened is None:
            raise self.failed or DeviceError("the microphone could not be opened")
        return self._opened

    @property
    def stuck(self) -> bool:
        return self._ending and self._thread.is_alive()

    def end(self) -> None:
        """Tell the thread to end and wait for a moment."""
        if self._ending:
            return
        self._ending = True
        self._thread.join(_CLOSE_PATIENCE_S)
        if self._thread.is_alive():
            forget_portaudio()

    def _run(self) -> None:
        try:
            self._opened = _open(self._wanted, self._clock)
        except DeviceError as error:
            forget_frames(error)
            self.failed = error
            return
        finally:
            self._answered.set()
        opened = self._opened
        try:
            self._pump(opened)
        except load_portaudio().PortAudioError as error:
            self.failed = DeviceError(f"{opened.device.name}: the microphone has failed: {_reason(error)}")
        except Exception as error:
            # Handed to whoever reads; a thread has nobody to raise to.
            self.failed = CaptureError(f"{opened.device.name}: capturing raised {type(error).__name__}: {error}")
        finally:
            opened.ring.close()
            with c_stderr_silenced():
                opened.stream.abort()
                opened.stream.close()

    def _pump(self, opened: _Opened) -> None:
        stream, ring, block_frames = opened.stream, opened.ring, opened.block_frames
        most_frames = max(block_frames, ring.sample_rate // 10)
        times, meter = CaptureTimes(ring.sample_rate), UndeliveredMeter(ring.sample_rate)
        cadence = Cadence(ring.sample_rate, block_frames)
        while not self._ending:
            available, samples = _look(stream, cadence.enough_frames, most_frames)
            found_ns = self._clock.monotonic_ns()
            if not samples:
                self._sleep_until(cadence.in_vain(available, found_ns))
                continue
            block = np.frombuffer(samples, dtype=np.int16).reshape(-1, ring.channels)
            left_frames = available - len(block)
            ring.write(block, times.captured_ns(len(block), found_ns, left_frames))
            if undelivered := meter.add(ring.end + left_frames, found_ns):
                self.undelivered.append(undelivered)
            self._sleep_until(cadence.found(available, left_frames, found_ns))

    def _sleep_until(self, due_ns: int) -> None:
        self._clock.sleep(max(0, due_ns - self._clock.monotonic_ns()) / 1e9)


def _look(stream: Any, enough_frames: int, most_frames: int) -> tuple[int, bytes]:
    """Look how many frames have come, and if they are enough, read them; never waits.

    Returns:
        How many there were, and those read, as interleaved int16.
    """
    try:
        with c_stderr_silenced():
            available = stream.read_available
            if available < enough_frames:
                return available, b""
            return available, stream.read(min(available, most_frames))[0]
    except load_portaudio().PortAudioError as error:
        # ALSA's buffer ran over and has been started anew; what it held is gone, what follows is not.
        if _code(error) == _INPUT_OVERFLOWED:
            return 0, b""
        raise


def _open(wanted: _Wanted, clock: Clock) -> _Opened:
    portaudio = load_portaudio()
    device = find_device(wanted.device, input_devices(), wanted.before)
    stream = _open_stream(portaudio, device, wanted)
    rate, channels = round(stream.samplerate), stream.channels
    block_frames = max(1, round(wanted.block_ms / 1000 * rate))
    ring = Ring(round(wanted.ring_s * rate), channels, rate, clock)
    return _Opened(device, stream, ring, block_frames)


def _open_stream(portaudio: Any, device: InputDevice, wanted: _Wanted) -> Any:
    """Open and start a stream, at the first of the acceptable rates and channel counts that the device can have."""
    own_channels = device.channels if device.channels <= _MOST_OWN_CHANNELS else 1
    rates = dict.fromkeys((wanted.sample_rate, device.default_sample_rate))
    channel_counts = dict.fromkeys((wanted.channels or own_channels, device.channels))
    refused_rates = set()
    for rate, channels in itertools.product(rates, channel_counts):
        if rate in refused_rates:
            continue
        if rate != wanted.sample_rate:
            _check_resampling(device, wanted.sample_rate)
        try:
            with c_stderr_silenced():
                stream = portaudio.RawInputStream(
                    samplerate=rate,
                    blocksize=0,
                    device=device.index,
                    channels=channels,
                    dtype="int16",
                    latency=_PERIODS_AHEAD * wanted.block_ms / 1000,
                )
                stream.start()
                return stream
        except portaudio.PortAudioError as error:
            if _code(error) == _INVALID_SAMPLE_RATE:
                refused_rates.add(rate)
            elif _code(error) != _INVALID_CHANNELS:
                raise DeviceError(f"{device.name}: cannot be opened: {_reason(error)}") from None
    raise DeviceError(
        f"{device.name}: cannot be opened at {' or '.join(f'{rate} Hz' for rate in rates)} "
        f"with {' or '.join(map(str, channel_counts))} channel(s)"
    )


def _check_resampling(device: InputDevice, sample_rate: int) -> None:
    if not can_resample():
        raise DeviceError(
            f"{device.name}: cannot run at the model's {sample_rate} Hz, and this machine has no soxr to convert; "
            f"let ALSA do it: choose a device that converts, such as 'default'"
        )


def _code(error: Exception) -> int | None:
    return error.args[1] if len(error.args) > 1 else None


def _reason(error: Exception) -> str:
    """What the host said, if PortAudio only passes on that it said something."""
    host_error = error.args[2] if len(error.args) > 2 else None
    return str(host_error[2] if host_error else error.args[0]).strip()


def forget_portaudio() -> None:
    """Let the process end without PortAudio: tidying up under a thread that is stuck in it hangs, or crashes."""
    # Not imported here: that would wait for a thread that is stuck while loading it.
    exit_handler = getattr(sys.modules.get("sounddevice"), "_exit_handler", None)
    if exit_handler is not None:
        atexit.unregister(exit_handler)
