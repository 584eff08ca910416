"""What a run of ``audiomon bench pipeline`` measures, and for how long."""

from dataclasses import dataclass
from pathlib import Path

from audiomon.features import LogMelSpec
from audiomon.models.interpreter import Backend


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Attributes:
        folder: the model package.
        spec: its input.
        backends: runtimes, each measured by itself.
        rounds: times that every contender runs; figures are medians over them.
        live_s: seconds that a live contender is watched for in each round.
        bursts: turns of the two offline contenders in each round.
        speed_s: length of the recording that is classified, in seconds.
        device: microphone, or None for a virtual one.
        loop_python: Python with librosa for the tutorial loop, or None for none.
    """

    folder: Path
    spec: LogMelSpec
    backends: tuple[Backend, ...]
    rounds: int
    live_s: float
    bursts: int
    speed_s: float
    device: str | None
    loop_python: Path | None

    def hop_s(self, wanted_s: float) -> float:
        """Seconds between windows that ``wanted_s`` becomes; every contender gets the same."""
        return self.spec.hop_frames(wanted_s) * self.spec.hop_length / self.spec.sample_rate
