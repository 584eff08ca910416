"""One open microphone being listened to, and the opening of one, which may take long or for ever.

A hearing ends when its microphone fails; the supervisor then opens the next.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from audiomon.audio.level import LevelMeter
from audiomon.audio.microphone import MicrophoneSource, refresh_devices
from audiomon.audio.source import Identity, Missing, Source
from audiomon.clock import Clock
from audiomon.config import DecisionRules
from audiomon.config.settings import Settings
from audiomon.errors import DeviceError, SoundSystemError, forget_frames
from audiomon.models.classifier import Classifier
from audiomon.pipeline.accounts import Accounts
from audiomon.pipeline.listener import Heard, Listener, Replacement
from audiomon.pipeline.output import Output
from audiomon.pipeline.tally import Counting
from audiomon.pipeline.worker import STOP_PATIENCE_S, InferenceWorker


@dataclass(frozen=True, slots=True)
class Running:
    """What is in force.

    Attributes:
        settings: read and applied.
        classifier: the model that they name.
        rules: their decisions laid over the model's.
    """

    settings: Settings
    classifier: Classifier
    rules: DecisionRules

    @property
    def asked_hop_s(self) -> float:
        """Seconds from one prediction to the next that are asked for."""
        return self.settings.config.asked_hop_s(self.classifier.spec.window_s)

    @property
    def replacement(self) -> Replacement:
        """This, as a listener takes it over."""
        return Replacement(self.classifier, self.rules, self.asked_hop_s, self.settings.config.gate_dbfs)

    def asks_for_the_same(self, other: "Running") -> bool:
        """Say whether another one differs at most in having its model loaded once more."""
        return self.settings is other.settings

    def afresh(self) -> "Running":
        """Return the same with its model loaded once more: a thread that hangs is in this one, and stays there.

        Raises:
            ModelError: it cannot be loaded again.
        """
        before = self.classifier
        classifier = Classifier(before.package, before.interpreter.backend, self.settings.config.threads)
        classifier.warm()
        return replace(self, classifier=classifier)


def open_microphone(settings: Settings, sample_rate: int, clock: Clock, before: Identity | None = None) -> Source:
    """Open the microphone that the settings name, at a model's sample rate if it can.

    Args:
        settings: that name it.
        sample_rate: the model's, in Hz.
        clock: for the microphone.
        before: the one that these settings meant before, if any.

    Raises:
        DeviceError: it cannot be opened.
    """
    microphone = settings.config.microphone
    picked = microphone.channel
    return MicrophoneSource(
        microphone.device,
        sample_rate=sample_rate,
        # A device that makes any number of channels makes one, unless it is asked for as many as the picked one takes.
        channels=picked + 1 if isinstance(picked, int) and picked > 0 else None,
        block_ms=microphone.block_ms,
        ring_s=microphone.ring_s,
        clock=clock,
        before=None if microphone.accept_other else before,
    )


class Hearing:
    """A source, its listener and the worker that steps it.

    Args:
        source: open.
        running: what to listen with.
        output: gets what is heard.
        counting: counts it.
        level: measures it.
        clock: times it.
        on_first: called in the worker's thread with the first prediction, here and after each replacement, before it
            goes out.
        on_end: called in the worker's thread when nothing more will be heard.
        accounts: of the source's frames so far, if it has been listened to before.

    Raises:
        DeviceError: the source cannot give what the model needs.
    """

    def __init__(
        self,
        source: Source,
        running: Running,
        *,
        output: Output,
        counting: Counting,
        level: LevelMeter,
        clock: Clock,
        on_first: Callable[[Heard], None],
        on_end: Callable[[], None],
        accounts: Accounts | None = None,
    ) -> None:
        self.source = source
        self.listener = Listener(
            source,
            running.classifier,
            running.rules,
            hop_s=running.asked_hop_s,
            channel=running.settings.config.microphone.channel,
            clock=clock,
            level=level,
            accounts=accounts,
            gate_dbfs=running.settings.config.gate_dbfs,
        )
        self.worker = InferenceWorker(
            self.listener, output, clock, counting=counting, on_take_over=on_first, on_done=on_end
        )
        self._output = output
        self._counting = counting
        self._opened_ns = clock.monotonic_ns()
        # So that the first prediction is announced as it is after any other change.
        self.listener.replace(running.replacement)

    @property
    def heard_s(self) -> float:
        """Seconds of audio heard so far."""
        return self.listener.position / self.source.sample_rate

    @property
    def alive_ns(self) -> int:
        """Monotonic time at which the newest sample was captured, read or not, or the microphone was opened."""
        captured_ns = self.source.captured_ns if isinstance(self.source, MicrophoneSource) else 0
        return max(self._opened_ns, captured_ns, self.listener.captured_ns)

    @property
    def began_ns(self) -> int:
        """Monotonic time at which the first sample was captured, once some have been."""
        listener = self.listener
        return listener.captured_ns - listener.position * 1_000_000_000 // self.source.sample_rate

    def start(self) -> None:
        """Begin."""
        self.worker.start()

    def take_undelivered(self) -> list[Missing]:
        """Return what the microphone turned out not to have delivered, since the last call."""
        return self.source.take_missing() if isinstance(self.source, MicrophoneSource) else []

    @property
    def stuck(self) -> bool:
        """Whether the sound system does not let go of the microphone, which has been closed."""
        return isinstance(self.source, MicrophoneSource) and not self.source.released

    def end(self) -> bool:
        """Stop listening, let go of the microphone, and turn off what is on.

        Returns:
            False if the worker hangs; it is then left behind, and the model with it.
        """
        ended = self.worker.stop(STOP_PATIENCE_S)
        if not ended:
            self.worker.abandon()
        if not ended or not isinstance(self.worker.error, DeviceError | None):
            self._counting.add_fates(self.listener.finish())
        for event in self.listener.switch_off():
            self._output.event(event)
        return ended


class Opening:
    """A microphone being opened, in a thread that may be left behind.

    Args:
        running: what it is opened for.
        open_source: opens it.
        on_end: called in that thread when it has been tried.
        renews: whether the model has to be loaded once more, too.

    Attributes:
        running: what it was opened for; with its model loaded once more if need be, once it has been tried.
        source: what was opened, when it was.
        error: why it was not.
    """

    def __init__(
        self,
        running: Running,
        open_source: Callable[[], Source],
        on_end: Callable[[], None],
        *,
        renews: bool = False,
    ) -> None:
        self.running = running
        self.source: Source | None = None
        self.error: Exception | None = None
        self._open_source = open_source
        self._on_end = on_end
        self._renews = renews
        self._unwanted = False
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="opening", daemon=True).start()

    @property
    def ended(self) -> bool:
        """Whether it has been tried."""
        return self.source is not None or self.error is not None

    def abandon(self) -> None:
        """Close what was opened, or will be."""
        with self._lock:
            self._unwanted = True
            if self.source is not None:
                self.source.close()

    def _run(self) -> None:
        try:
            if self._renews:
                self.running = self.running.afresh()
            source = self._opened()
            with self._lock:
                if self._unwanted:
                    source.close()
                self.source = source
        except Exception as error:
            # Handed to the main thread, which decides; a thread has nobody to raise to.
            forget_frames(error)
            self.error = error
        self._on_end()

    def _opened(self) -> Source:
        try:
            return self._open_source()
        except SoundSystemError:
            raise
        except DeviceError:
            refresh_devices()
            return self._open_source()
