"""What a run of ``audiomon bench pipeline`` measures, and for how long."""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from audiomon.errors import UserError
from audiomon.features import LogMelSpec
from audiomon.models.interpreter import Backend, choose_backend, installed_backends
from audiomon.models.package import find_package, read_package


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Attributes:
        folder: the model package.
        spec: its input.
        backends: runtimes, each measured by itself.
        rounds: times that every contender runs; figures are medians over them.
        bursts: turns of the two offline contenders in each round.
        speed_s: length of the recording that is classified, in seconds.
    """

    folder: Path
    spec: LogMelSpec
    backends: tuple[Backend, ...]
    rounds: int
    bursts: int
    speed_s: float

    def hop_s(self, wanted_s: float) -> float:
        """Seconds between windows that ``wanted_s`` becomes; every contender gets the same."""
        return self.spec.hop_frames(wanted_s) * self.spec.hop_length / self.spec.sample_rate

    def facts(self) -> dict[str, Any]:
        """Return what ``--json`` says of the machine and the plan."""
        return {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "machine": platform.machine(),
            "model": self.folder.name,
            "rounds": self.rounds,
        }


def log_mel_package(model: str | None) -> tuple[Path, LogMelSpec]:
    """Find the package to measure: the one named, or ``home``.

    Raises:
        ModelError: there is no such package.
        UserError: it reads raw samples, and the alternatives it is compared with compute mel frames.
    """
    folder = find_package(model or "home", Path()).resolve()
    spec = read_package(folder).manifest.input
    if not isinstance(spec, LogMelSpec):
        raise UserError(f"{folder.name}: reads raw samples; choose a model with log-mel input")
    return folder, spec


def chosen_backends(interpreter: Literal["auto"] | Backend | None) -> tuple[Backend, ...]:
    """Return the interpreter that was asked for, or all that are installed."""
    return (choose_backend(interpreter),) if interpreter else tuple(installed_backends())
