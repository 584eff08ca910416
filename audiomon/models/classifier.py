"""A checked model package, loaded: a window in, one score per label out.

A damaged .tflite can crash an interpreter, so a package is tried in a process of its own first; only bytes that passed
are loaded here.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audiomon.errors import ModelError
from audiomon.features import FrontEnd, whole_window
from audiomon.models.interpreter import Backend, Interpreter, Tensor
from audiomon.models.manifest import Calibration
from audiomon.models.package import ModelPackage
from audiomon.models.self_test import Signal, make_signal

Float32 = NDArray[np.float32]

# The sounds that tell whether a model's scores depend on what it heard before, and how close they must come.
_REPEATED: tuple[Signal, Signal] = ("silence", "noise")
_REPEATED_TOLERANCE = 1e-5


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
            self.interpreter = Interpreter(package.content, backend, threads, output.tensor, math.prod(self.spec.shape))
        except ModelError as error:
            error.path = package.weights
            raise
        self._compare_shapes()
        self._ones: Float32 = np.ones(len(self.labels), dtype=np.float32)
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
            ModelError: the model fails, answers with NaN (passed on, that would stop every later decision), or with
                another number of scores than it has labels.
        """
        try:
            scores = self.interpreter.run(window if self._arranged is None else self._arranged(window))
        except ModelError as error:
            error.path = self.package.weights
            raise
        # An output's size may depend on the sound; what the file declares proves nothing.
        if len(scores) != len(self.labels):
            raise ModelError(f"gives {len(scores)} scores for {len(self.labels)} labels", path=self.package.weights)
        if self._activated is not None or self._calibrated is not None:
            with np.errstate(invalid="ignore", over="ignore"):  # infinite logits become NaN, and are refused below
                if self._activated is not None:
                    scores = self._activated(scores)
                if self._calibrated is not None:
                    scores = self._calibrated(scores)
        if not math.isfinite(scores.dot(self._ones)):  # their sum
            raise ModelError("answers with scores that are not numbers", path=self.package.weights)
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
        compare_answers(self.package, self.self_test_answers())

    def check_repeatable(self) -> None:
        """Give the model a sound, others, and that sound again.

        Raises:
            ModelError: its scores depend on more than the window.
        """
        try:
            keeps_state = self.interpreter.keeps_state()
        except ModelError as error:
            error.path = self.package.weights
            raise
        if keeps_state:
            raise ModelError(
                "keeps state from window to window (resource variables); audiomon's windows overlap and begin "
                "anywhere: convert the model without streaming state",
                path=self.package.weights,
            )
        silence, noise = (self_test_window(signal, self.spec) for signal in _REPEATED)
        before = self.scores(noise)
        self.scores(silence)
        if not np.allclose(before, self.scores(noise), rtol=0, atol=_REPEATED_TOLERANCE):
            raise ModelError(
                "gives other scores when the same sound is repeated: it keeps state, or draws random numbers",
                path=self.package.weights,
            )

    def clipped(self) -> float:
        """Return the share of the self-test windows' values that the model's quantised input cannot hold."""
        limits = self.interpreter.input.limits
        if limits is None:
            return 0.0
        lowest, highest = limits
        windows = np.array([self_test_window(test.signal, self.spec) for test in self.package.manifest.self_test])
        return float(np.mean((windows < lowest) | (windows > highest)))

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


def compare_answers(package: ModelPackage, answers: tuple[tuple[float, ...], ...]) -> None:
    """Compare a model's answers to the self-test sounds with what its manifest expects.

    Args:
        package: whose manifest.
        answers: see `Classifier.self_test_answers`.

    Raises:
        ModelError: a score differs by more than its test's tolerance, or there are more or fewer than there should be.
    """
    manifest = package.manifest
    if [len(scores) for scores in answers] != [len(manifest.labels)] * len(manifest.self_test):
        raise ModelError("its self-test gives another number of scores than its manifest has", path=package.folder)
    for test, scores in zip(manifest.self_test, answers, strict=True):
        by_label = dict(zip(manifest.labels, scores, strict=True))
        expected = test.expected if isinstance(test.expected, dict) else dict(zip(by_label, test.expected, strict=True))
        difference = max(abs(by_label[label] - wanted) for label, wanted in expected.items())
        if not difference <= test.tolerance:
            raise ModelError(
                f"its self-test fails here: {test.signal} differs by {difference:.3g} (at most {test.tolerance:g} is "
                f"allowed)",
                path=package.folder,
            )
