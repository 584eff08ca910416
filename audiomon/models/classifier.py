"""A checked model package, loaded: a window in, one score per label out.

A damaged .tflite can crash an interpreter, so a package is tried in a process of its own first; only bytes that passed
are loaded here.
"""

import json
import os
import resource
import subprocess
import sys

import numpy as np
from numpy.typing import NDArray

from audiomon.errors import ModelError
from audiomon.features import LogMel, LogMelSpec
from audiomon.models.interpreter import Backend, Interpreter
from audiomon.models.manifest import InputSpec
from audiomon.models.package import ModelPackage
from audiomon.models.self_test import Signal, make_signal

Float32 = NDArray[np.float32]

# A Raspberry Pi 3B+ needs about 2 s to start Python, NumPy and an interpreter; a model that is still at it after this
# long could not keep up with a microphone either.
_CHECK_PATIENCE_S = 60
_CHECK_MEMORY_BYTES = 4 << 30


class Classifier:
    """A model package in an interpreter. Belongs to one thread at a time.

    Args:
        package: what to load; its shapes are compared with its manifest.
        backend: which runtime.
        threads: for the kernels that use several.

    Raises:
        ModelError: the model and its manifest disagree, or the runtime refuses the model.
    """

    def __init__(self, package: ModelPackage, backend: Backend, threads: int = 1) -> None:
        self.package = package
        self.labels = package.manifest.labels
        self.spec = package.manifest.input
        try:
            self.interpreter = Interpreter(package.content, backend, threads)
        except ModelError as error:
            raise ModelError(f"{package.weights}: {error}") from None
        self._compare_shapes()
        self._softmax_due = package.manifest.output.activation == "logits"

    def scores(self, window: Float32) -> Float32:
        """Classify one window.

        Args:
            window: float32, of the shape of the package's input spec.

        Returns:
            float32 scores from 0 to 1, shape (labels,), freshly made.
        """
        scores = self.interpreter.run(window)
        if self._softmax_due:
            scores = np.exp(scores - scores.max())
            scores /= scores.sum()
        return scores

    def warm(self) -> None:
        """Run once on silence, so that the first real window does not pay for what is set up on first use."""
        self.scores(np.zeros(self.spec.shape, dtype=np.float32))

    def self_test(self) -> None:
        """Make each self-test sound, classify it through the real front end, and compare.

        Raises:
            ModelError: a score is further from what the manifest expects than its tolerance.
        """
        for test in self.package.manifest.self_test:
            scores = self.scores(self_test_window(test.signal, self.spec))
            difference = float(np.abs(scores - np.array(test.expected)).max())
            if not difference <= test.tolerance:  # so that NaN fails
                raise ModelError(
                    f"{self.package.folder}: its self-test fails here: {test.signal} differs by {difference:.3g} "
                    f"(at most {test.tolerance:g} is allowed)"
                )

    def _compare_shapes(self) -> None:
        package, tensor, output = self.package, self.interpreter.input, self.interpreter.output
        shape = self.spec.shape
        if tuple(size for size in tensor.shape if size != 1) != tuple(size for size in shape if size != 1):
            raise package.document.error(
                ("input",), f"describes windows of {_times(shape)}, the model reads {_times(tensor.shape)}"
            )
        if output.size != len(self.labels):
            raise package.document.error(
                ("labels",),
                f"there are {len(self.labels)}, the model gives {output.size} scores ({_times(output.shape)})",
            )


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def self_test_window(signal: Signal, spec: InputSpec) -> Float32:
    """Make one window of a self-test sound as the model reads it: float32, of the spec's shape."""
    samples = make_signal(signal, spec.window_samples, spec.sample_rate) * np.float32(1 / 32768)
    if isinstance(spec, LogMelSpec):
        front_end = LogMel(spec)
        return front_end.finish(front_end.frames(samples))
    return samples


class CheckingProcess:
    """A package's check, running beside whatever the caller does meanwhile.

    Args:
        package: to be checked; the child gets its folder, and must find the same checksum.
        backend: which runtime.
    """

    def __init__(self, package: ModelPackage, backend: Backend) -> None:
        self._package = package
        self._process = subprocess.Popen(
            [sys.executable, "-m", "audiomon.models.checking", str(package.folder), backend],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )

    def wait(self) -> None:
        """Return when the package has passed.

        Raises:
            ModelError: it did not.
        """
        package = self._package
        try:
            output, _ = self._process.communicate(timeout=_CHECK_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise ModelError(f"{package.weights}: its self-test took longer than {_CHECK_PATIENCE_S} s") from None
        status = self._process.returncode
        if status < 0:
            raise ModelError(f"{package.weights}: crashes the interpreter (signal {-status}): the file is damaged")
        try:
            verdict = json.loads(output)
        except ValueError:
            raise ModelError(f"{package.weights}: could not be checked (status {status})") from None
        if verdict["error"]:
            raise ModelError(verdict["error"])
        if verdict["sha256"] != package.manifest.sha256:
            raise ModelError(f"{package.weights}: changed while it was being checked")


def limit_checking_process() -> None:
    """Take from this process what a hostile model could use: memory, time, core dumps."""
    resource.setrlimit(resource.RLIMIT_AS, (_CHECK_MEMORY_BYTES, _CHECK_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CHECK_PATIENCE_S, _CHECK_PATIENCE_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
