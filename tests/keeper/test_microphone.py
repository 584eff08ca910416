"""From a microphone to the keeper's disk: what was played, bit for bit, at the positions that the clips say."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from audiomon.audio.microphone import MicrophoneSource
from audiomon.clock import SystemClock
from audiomon.config import Clips, DecisionRules, Threshold
from audiomon.features import WaveformSpec
from audiomon.outputs.clip_requests import List
from audiomon.outputs.keeper_client import KeeperClient
from audiomon.pipeline.clip_cutter import ClipCutter
from audiomon.pipeline.clips import clip_rules
from audiomon.pipeline.listener import Listener, Replacement
from tests.keeper.running import keeping, until

RATE = 22_050
LABELS = ("silence", "high")
RULES = DecisionRules(0.0, {"high": Threshold(0.6, 0.4, 0.0, 0.0)})
WANTED = Clips(labels=("high",), never=(), before_s=0.5, after_s=0.3)


class HearsHighNumbers:
    """Hears where the samples, which are their own numbers, are high: once every three seconds."""

    spec = WaveformSpec(sample_rate=RATE, samples=RATE // 10)
    labels = LABELS
    package = SimpleNamespace(manifest=SimpleNamespace(name="numbers"), fingerprint="n")

    def scores(self, window: np.ndarray) -> np.ndarray:
        high = 10_000 <= window[-1] * 32_768 <= 30_000
        return np.array([1 - high, high], dtype=np.float32)


@pytest.mark.mic
def test_clips_of_a_ramp_are_the_ramp_and_their_positions_are_exact(virtual_microphone, tmp_path):
    ramp = np.arange(1, 7 * RATE).astype(np.int16)
    soundfile.write(tmp_path / "ramp.wav", ramp, RATE)
    with keeping(tmp_path) as house:
        house.start()
        source = MicrophoneSource("mic", sample_rate=RATE, channels=1)
        classifier = HearsHighNumbers()
        listener = Listener(
            source,
            classifier,
            RULES,
            hop_s=0.1,
            channel="mix",
            clock=SystemClock(),
            clips=ClipCutter(source, "mix", house.handover),
        )
        listener.replace(Replacement(classifier, RULES, 0.1, clips=clip_rules(LABELS, WANTED, "numbers", "n")))
        ending = threading.Event()

        def listen() -> None:
            while not ending.is_set():
                listener.next()

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            with virtual_microphone.playing("mic", tmp_path / "ramp.wav"):
                until(lambda: house.handover.counts.kept == 2)
        finally:
            ending.set()
            thread.join()
            source.close()
        with KeeperClient(house.socket) as client:
            clips = [(event.clip, client.fetch(event.clip.id)[1]) for event in client.events(List(), 10)]
    offsets = set()
    for clip, file in clips:
        samples, rate = soundfile.read(file, dtype="int16")
        assert (rate, len(samples)) == (RATE, clip.samples)
        assert len(samples) > RATE
        numbers = samples.view(np.uint16).astype(np.int64)
        assert set(np.diff(numbers) % 65_536) == {1}
        offsets.add((int(numbers[0]) - clip.position) % 65_536)
    assert len(offsets) == 1
