"""The opening of a source, which may take long or never end, in a thread that may be left behind.

Knows what the settings say of a microphone, and nothing of what follows.
"""

import threading
from collections.abc import Callable

from audiomon.audio.microphone import MicrophoneSource, refresh_devices
from audiomon.audio.source import Identity, LiveSource
from audiomon.audio.stream import StreamSource, is_stream, stream_path
from audiomon.clock import Clock
from audiomon.config.settings import Settings
from audiomon.daemon.inbox import OpeningEnded
from audiomon.daemon.running import Running
from audiomon.errors import DeviceError, SoundSystemError

# Opens what some settings name, at a model's sample rate in Hz; raises DeviceError. The last argument is what the same
# settings meant before, if no other device may take its place.
OpenSource = Callable[[Settings, int, Identity | None], LiveSource]


def open_microphone(settings: Settings, sample_rate: int, clock: Clock, before: Identity | None = None) -> LiveSource:
    """Open the microphone, or the stream, that the settings name, at a model's sample rate if it can.

    Args:
        settings: that name it.
        sample_rate: the model's, in Hz.
        clock: for the microphone.
        before: the one that these settings meant before, if any.

    Raises:
        DeviceError: it cannot be opened.
    """
    microphone = settings.config.microphone
    if is_stream(microphone.device):
        name = str(microphone.device)
        return StreamSource(
            stream_path(name),
            sample_rate=sample_rate,
            raw_rate=microphone.stream_rate,
            name=name,
            block_ms=microphone.block_ms,
            ring_s=microphone.ring_s,
            clock=clock,
        )
    picked = microphone.channel

    def opened() -> LiveSource:
        return MicrophoneSource(
            microphone.device,
            sample_rate=sample_rate,
            # A device that makes any number of channels makes one, unless it is asked for more to pick from.
            channels=picked + 1 if isinstance(picked, int) and picked > 0 else None,
            block_ms=microphone.block_ms,
            ring_s=microphone.ring_s,
            clock=clock,
            before=None if microphone.accept_other else before,
        )

    try:
        return opened()
    except SoundSystemError:
        raise
    except DeviceError:
        # PortAudio's list of devices is as old as its start.
        refresh_devices()
        return opened()


class Opening:
    """A source being opened.

    Args:
        running: what it is opened for.
        open_source: opens it.
        before: what the same settings meant before, if any.
        post: gets one `OpeningEnded` from the thread, whatever happens.
        fresh_model: whether the model has to be loaded once more, too.
    """

    def __init__(
        self,
        running: Running,
        open_source: OpenSource,
        before: Identity | None,
        post: Callable[[OpeningEnded], None],
        *,
        fresh_model: bool = False,
    ) -> None:
        self.running = running
        self._open_source = open_source
        self._before = before
        self._post = post
        self._fresh_model = fresh_model
        self._deciding = threading.Lock()
        self._unwanted = False
        threading.Thread(target=self._run, name="opening", daemon=True).start()

    def abandon(self) -> None:
        """Have what is yet to be opened closed again; nothing is posted then."""
        with self._deciding:
            self._unwanted = True

    def _run(self) -> None:
        message = self._tried()
        with self._deciding:
            if not self._unwanted:
                self._post(message)
            elif message.source is not None:
                message.source.close()
        # The error's traceback holds frames of this thread: a cycle, which only the cyclic collector would free.
        del message

    def _tried(self) -> OpeningEnded:
        running = self.running
        try:
            if self._fresh_model:
                running = running.with_fresh_model()
            sample_rate = running.classifier.spec.sample_rate
            return OpeningEnded(self, running, source=self._open_source(running.settings, sample_rate, self._before))
        except Exception as error:
            # Handed to the thread that decides; this one has nobody to raise to.
            return OpeningEnded(self, running, error=error)
