"""The real command, in a process of its own, as a user would run it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Finished:
    status: int
    out: str
    err: str

    @property
    def json(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def refused(self) -> str:
        """The one line that a user's mistake gets."""
        assert self.status == 2, self
        assert "Traceback" not in self.err, self.err
        assert self.err.startswith("audiomon: "), self.err
        assert len(self.err.strip().splitlines()) == 1, self.err
        return self.err.strip()


@dataclass(frozen=True)
class Audiomon:
    """Runs audiomon in a folder where ``models/tiny`` is the only model and there is no configuration."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "AUDIOMON_MODELS": str(self.folder / "models"), "PYTHONPATH": str(REPOSITORY)}

    def __call__(self, *arguments: object, stdin: bytes = b"", model: str | None = "tiny") -> Finished:
        with self.start(*arguments, model=model, stdin=subprocess.PIPE) as process:
            out, err = process.communicate(stdin, timeout=60)
        return Finished(process.returncode, out.decode(), err.decode())

    def start(self, *arguments: object, model: str | None = "tiny", **options: Any) -> "subprocess.Popen[bytes]":
        chosen = [] if model is None else ["--model", model]
        return subprocess.Popen(
            [sys.executable, "-m", "audiomon", *map(str, arguments), *chosen],
            cwd=self.folder,
            env=self.environment,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    def write_audio(self, name: str, samples: np.ndarray, sample_rate: int = 16_000, **options: str) -> Path:
        path = self.folder / name
        soundfile.write(path, samples, sample_rate, **options)
        return path


def noise(seconds: float, sample_rate: int = 16_000, channels: int = 1) -> np.ndarray:
    """int16 noise, the same every time."""
    shape = (int(seconds * sample_rate), channels)
    return np.random.default_rng(1).integers(-8000, 8000, shape).astype(np.int16)
