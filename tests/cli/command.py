"""The real command, in a process of its own, as a user would run it.

Starting Python and importing NumPy takes longer than most of what the tests ask for. So a command that is waited for
runs in a process that is forked from one in which all that has happened; `Audiomon.start` begins with nothing.
"""

import atexit
import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile
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


# Reads requests, a line each; answers with the exit status, once a child has run the command. What one child imports,
# the next ones have; PortAudio, which looks at its environment while it is imported, is each child's own.
_WARM = """
import atexit, contextlib, importlib, json, os, sys
from audiomon import __main__, cli
for line in sys.stdin:
    arguments, folder, environment, files = json.loads(line)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        for number, name in enumerate(files):
            os.dup2(os.open(name, os.O_RDWR), number)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv[1:] = arguments
        atexit.register(lambda: open(writing, "w").write(" ".join(sys.modules)))
        __main__.main()
    os.close(writing)
    imported = open(reading).read().split()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for name in imported:
        if name.split(".")[0] in ("audiomon", "numpy", "scipy", "sklearn", "matplotlib", "soundfile", "soxr", "tflite"):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    print(status, flush=True)
"""


class Warm:
    """A process that has imported what commands need, and forks itself for each."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WARM], env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def run(self, arguments: list[str], folder: Path, environment: dict[str, str]) -> Finished:
        """Run a command in a folder, with nothing on its standard input."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.ExitStack() as stack:
            out, err = (stack.enter_context(tempfile.NamedTemporaryFile()) for _ in range(2))
            request = arguments, str(folder), environment, (os.devnull, out.name, err.name)
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            status = int(self._process.stdout.readline())
            return Finished(status, out.read().decode(), err.read().decode())

    def end(self) -> None:
        with self._process:  # closes its input, and waits for it
            pass


@functools.cache
def _warm() -> Warm:
    warm = Warm()
    atexit.register(warm.end)
    return warm


def _chosen(model: str | None) -> list[str]:
    return [] if model is None else ["--model", model]


@dataclass(frozen=True)
class Audiomon:
    """Runs audiomon in a folder where ``models/tiny`` is the only model and there is no configuration."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "AUDIOMON_MODELS": str(self.folder / "models"), "PYTHONPATH": str(REPOSITORY)}

    def __call__(self, *arguments: object, stdin: bytes = b"", model: str | None = "tiny") -> Finished:
        if not stdin:
            return _warm().run([*map(str, arguments), *_chosen(model)], self.folder, self.environment)
        with self.start(*arguments, model=model, stdin=subprocess.PIPE) as process:
            out, err = process.communicate(stdin, timeout=60)
        return Finished(process.returncode, out.decode(), err.decode())

    def start(self, *arguments: object, model: str | None = "tiny", **options: Any) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "audiomon", *map(str, arguments), *_chosen(model)],
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
