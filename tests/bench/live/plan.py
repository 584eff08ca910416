"""What a run of ``python -m tests.bench live`` measures, and for how long."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiomon.lab.bench.pipeline.plan import Plan


@dataclass(frozen=True, slots=True)
class LivePlan(Plan):
    """What is measured on a microphone.

    Attributes:
        live_s: seconds that a live contender is watched for in each round.
        device: microphone, or None for a virtual one.
        loop_python: Python with librosa for the tutorial loop, or None for none.
    """

    live_s: float
    device: str | None
    loop_python: Path | None

    def facts(self) -> dict[str, Any]:
        """Return what ``--json`` says of the machine and the plan."""
        return {**Plan.facts(self), "seconds": self.live_s}
