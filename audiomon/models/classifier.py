"""A checked model package, loaded: a window in, one score per label out.

A damaged .tflite can crash an interpreter, so a package is tried in a process of its own first; only bytes that passed
are loaded here.
"""

import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from audiomon.errors import ModelError
from audiomon.features import FrontEnd, whole_window
from audiomon.models.interpreter import Backend, Interpreter, Tensor
from audiomon.models.manifest import Calibration
from audiomon.models.package import ModelPackage
from audiomon.models.self_test import Signal, make_signal

Float32 = NDArray[np.float32]

# A Raspberry Pi 3B+ needs about 2 s to start Python, NumPy and an interpreter; a model that is still at it after this
# long could not keep up with a microphone either.
CHECK_PATIENCE_S = 60


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
        output = package.manifest.output
        try:
            self.interpreter = Interpreter(package.content, backend, threads, output.tensor)
        except ModelError as error:
            raise ModelError(f"{package.weights}: {error}") from None
        self._compare_shapes()
        self._arranged = _arrangement(self.spec, self.interpreter.input)
        self._activated = _ACTIVATIONS.get(output.activation)
        self._calibrated = None if output.calibration is None else _calibration(output.calibration)

    def scores(self, window: Float32) -> Float32:
        """Classify one window.

        Args:
            window: float32, of the shape of the package's input spec.

        Returns:
            float32 scores from 0 to 1, shape (labels,), freshly made.

        Raises:
            ModelError: the model fails, or answers with NaN: passed on, that would stop every later decision.
        """
        scores = self.interpreter.run(window if self._arranged is None else self._arranged(window))
        with np.errstate(invalid="ignore", over="ignore"):  # infinite logits become NaN, and are refused below
            if self._activated is not None:
                scores = self._activated(scores)
            if self._calibrated is not None:
                scores = self._calibrated(scores)
        if not math.isfinite(scores.sum()):
            raise ModelError(f"{self.package.weights}: answers with scores that are not numbers")
        return scores

    def warm(self) -> None:
        """Run once on silence, so that the first real window does not pay for what is set up on first use."""
        self.scores(np.zeros(self.spec.shape, dtype=np.float32))

    def self_test_answers(self) -> tuple[tuple[float, ...], ...]:
        """Make each of the manifest's self-test sounds and classify it through the real front end.

        Returns:
            The scores, for each test in the manifest's order.

        Raises:
            ModelError, ConfigError: they are not numbers from 0 to 1: the manifest names the wrong output activation.
        """
        answers = tuple(
            tuple(float(score) for score in self.scores(self_test_window(test.signal, self.spec)))
            for test in self.package.manifest.self_test
        )
        numbers = [score for scores in answers for score in scores]
        if min(numbers) < -0.01 or max(numbers) > 1.01:
            activation = self.package.manifest.output.activation
            raise self.package.document.error(
                ("output", "activation"),
                f"is {activation}, which gives scores from 0 to 1, but this model gives {min(numbers):.3g} to "
                f"{max(numbers):.3g}; are they logits?",
            )
        return answers

    def self_test(self) -> None:
        """Run the self-test and compare.

        Raises:
            ModelError: a score is further from what the manifest expects than its tolerance.
        """
        _compare_answers(self.package, self.self_test_answers())

    def _compare_shapes(self) -> None:
        package, tensor, output = self.package, self.interpreter.input, self.interpreter.output
        problem = misfit(self.spec, tensor.shape)
        if problem:
            raise package.document.error(("input",), problem)
        if output.size != len(self.labels):
            raise package.document.error(
                ("labels",),
                f"there are {len(self.labels)}, the model gives {output.size} scores ({_times(output.shape)})",
            )


def misfit(spec: FrontEnd, tensor_shape: tuple[int, ...]) -> str:
    """Say why windows of a spec do not fit an input tensor; empty if they do.

    Axes of size 1 may be anywhere, and a window may be flat.
    """
    if _fits(spec, tensor_shape):
        return ""
    if right := fitting_layout(spec, tensor_shape):
        return f"has the axes the other way round: the model reads {_times(tensor_shape)}; layout: {right} is right"
    wanted = _without_ones(tensor_shape)
    if len(spec.shape) == 1 and len(wanted) == 2 and min(wanted) <= 8:
        return f"describes one channel, the model reads {min(wanted)} ({_times(tensor_shape)}); audiomon is mono"
    return f"describes windows of {_times(_tensor_shape(spec))}, the model reads {_times(tensor_shape)}"


def fitting_layout(spec: FrontEnd, tensor_shape: tuple[int, ...]) -> str:
    """Return the ``layout`` with which windows that do not fit an input tensor would; empty if there is none."""
    layouts = spec.other_layouts().items()
    return next((layout for layout, other in layouts if _without_ones(tensor_shape) == _axes(other)), "")


def _fits(spec: FrontEnd, tensor_shape: tuple[int, ...]) -> bool:
    return _without_ones(tensor_shape) in (_axes(spec), (math.prod(spec.shape),))


def _axes(spec: FrontEnd) -> tuple[int, ...]:
    return _without_ones(_tensor_shape(spec))


def _tensor_shape(spec: FrontEnd) -> tuple[int, ...]:
    return tuple(spec.shape[axis] for axis in spec.axis_order)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _arrangement(spec: FrontEnd, tensor: Tensor) -> Callable[[Float32], Float32] | None:
    """Return what turns a window into the order and the scale that a model reads; None if it has both."""
    order, scale = spec.axis_order, np.float32(spec.scale(is_pcm=tensor.is_pcm))
    turned = order != tuple(range(len(order)))
    if scale == 1:
        return (lambda window: window.transpose(order)) if turned else None
    return lambda window: window.transpose(order) * scale


def _softmax(logits: Float32) -> Float32:
    with np.errstate(invalid="ignore", over="ignore"):  # infinite logits become NaN, and are refused by who asked
        scores: Float32 = np.exp(logits - logits.max())
    scores /= scores.sum()
    return scores


def _sigmoid(logits: Float32) -> Float32:
    # By tanh, which no logit can overflow.
    scores: Float32 = (np.float32(1) + np.tanh(logits * np.float32(0.5))) * np.float32(0.5)
    return scores


def _calibration(calibration: Calibration) -> Callable[[Float32], Float32]:
    """Return what calibrates scores; see `Calibration`."""
    filled = [(*numbers, -math.inf)[:4] if numbers else (0.0, 0.0, 0.0, math.inf) for numbers in calibration.parameters]
    scale, slope, offset, least = np.array(filled, dtype=np.float64).T
    # Before a logarithm, as in TFLite's own task library.
    smallest = 1e-16

    def calibrated(scores: Float32) -> Float32:
        x = scores.astype(np.float64)
        if calibration.transform == "log":
            x = np.log(np.maximum(x, smallest))
        elif calibration.transform == "inverse-logistic":
            x = np.log(np.maximum(x, smallest)) - np.log(np.maximum(1 - x, smallest))
        fitted = scale * (1 + np.tanh((slope * x + offset) / 2)) / 2
        return np.where(scores > least, fitted, calibration.default_score).astype(np.float32)

    return calibrated


# What is still to be done to a model's answer.
_ACTIVATIONS: dict[str, Callable[[Float32], Float32]] = {"logits": _softmax, "sigmoid-logits": _sigmoid}


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def self_test_window(signal: Signal, spec: FrontEnd) -> Float32:
    """Make one window of a self-test sound as the model reads it: float32, of the spec's shape."""
    return whole_window(spec, make_signal(signal, spec.window_samples, spec.sample_rate) * np.float32(1 / 32768))


def _compare_answers(package: ModelPackage, answers: tuple[tuple[float, ...], ...]) -> None:
    for test, scores in zip(package.manifest.self_test, answers, strict=True):
        expected = test.expected
        if isinstance(expected, dict):
            by_label = dict(zip(package.manifest.labels, scores, strict=True))
            scores = tuple(by_label[label] for label in expected)  # noqa: PLW2901
            expected = tuple(expected.values())
        difference = max(abs(score - wanted) for score, wanted in zip(scores, expected, strict=True))
        if not difference <= test.tolerance:
            raise ModelError(
                f"{package.folder}: its self-test fails here: {test.signal} differs by {difference:.3g} "
                f"(at most {test.tolerance:g} is allowed)"
            )


class Verdict(msgspec.Struct, frozen=True):
    """What the checking process prints.

    Attributes:
        fingerprint: of the package that it checked.
        answers: see `Classifier.self_test_answers`.
        error: what is wrong with it, or nothing.
    """

    fingerprint: str = ""
    answers: tuple[tuple[float, ...], ...] = ()
    error: str = ""


class CheckingProcess:
    """A package's check, running beside whatever the caller does meanwhile.

    Args:
        package: to be checked; the child gets its folder, and must find the same there.
        backend: which runtime.
    """

    def __init__(self, package: ModelPackage, backend: Backend) -> None:
        self._package = package
        self._backend = backend
        self._process = subprocess.Popen(
            # -P: not whatever lies in the current folder, but the modules that this process uses.
            [sys.executable, "-P", "-m", "audiomon.models.checking", str(package.folder.absolute()), backend],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        )
        # Read all along: a child that is waited for only when it has ended must not wait for its answers to be taken.
        self._output = self._complaints = b""
        self._reading = threading.Thread(target=self._read, name="checking", daemon=True)
        self._reading.start()

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether `wait` would return, or raise, at once."""
        return not self._reading.is_alive()

    def kill(self) -> None:
        """End it: nobody wants to know any more."""
        self._process.kill()
        self._reading.join()

    def wait(self) -> None:
        """Return when the package has passed.

        Raises:
            ModelError: it did not.
        """
        _compare_answers(self._package, self.answers())

    def answers(self) -> tuple[tuple[float, ...], ...]:
        """Return what the model says to the self-test sounds, whatever the manifest expects.

        Raises:
            ModelError: the model cannot be used at all.
        """
        weights = self._package.weights
        self._reading.join(CHECK_PATIENCE_S)
        if self._reading.is_alive():
            self.kill()
            raise ModelError(f"{weights}: its self-test took longer than {CHECK_PATIENCE_S} s")
        status = self._process.returncode
        if status < 0:
            how = signal.Signals(-status).name
            raise ModelError(f"{weights}: crashes {self._backend} ({how}): the model is damaged, do not use it")
        try:
            verdict = msgspec.json.decode(self._output, type=Verdict)
        except msgspec.DecodeError:
            reason = (self._complaints.decode(errors="replace").strip().splitlines() or [f"status {status}"])[-1]
            raise ModelError(f"{weights}: could not be checked: {reason[:200]}") from None
        if verdict.error:
            raise ModelError(verdict.error)
        if verdict.fingerprint != self._package.fingerprint:
            raise ModelError(f"{self._package.folder}: changed while it was being checked; try again")
        return verdict.answers

    def _read(self) -> None:
        self._output, self._complaints = self._process.communicate()
