"""Compares a converted model with its original, window by window, on every runtime that is installed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiomon.errors import AudiomonError
from audiomon.models.interpreter import Backend, Interpreter

Float32 = NDArray[np.float32]

# np.isclose's own relative tolerance; its absolute one (1e-8) is below what float32 sums of a thousand products can
# promise, and scores go from 0 to 1.
RELATIVE_TOLERANCE = 1e-5
ABSOLUTE_TOLERANCE = 1e-5


class ProofError(AudiomonError):
    """The converted model does not answer as the original does."""


@dataclass(frozen=True, slots=True)
class Answered:
    """Windows and what the original says to them.

    Attributes:
        windows: float32, shape (n, *input shape).
        scores: float32, shape (n, scores).
    """

    windows: Float32
    scores: Float32


@dataclass(frozen=True, slots=True)
class Labelled:
    """Windows whose right label is known.

    Attributes:
        answered: the windows, answered by the original.
        right: number of each one's label, int64, shape (n,).
    """

    answered: Answered
    right: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How one runtime's answers compare with the original's on one set of windows.

    Attributes:
        backend: which runtime.
        version: of it.
        inputs: what the windows are: ``random``, ``recorded``.
        windows: how many.
        close: how many whose scores are all `np.isclose`.
        largest_difference: of any score.
        same_label: how many whose highest score is the same label's.
    """

    backend: Backend
    version: str
    inputs: str
    windows: int
    close: int
    largest_difference: float
    same_label: int

    @property
    def is_close(self) -> bool:
        """Whether all are."""
        return self.close == self.windows


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How often the highest score is the right label's, window by window.

    Attributes:
        windows: of labelled recordings.
        original: right answers of the original.
        converted: right answers of the converted model.
    """

    windows: int
    original: int
    converted: int


@dataclass(frozen=True, slots=True)
class Proof:
    """All comparisons of one conversion.

    Attributes:
        agreements: one for each runtime and set of windows.
        accuracy: on labelled recordings, if there were any.
        between_runtimes: largest difference of a score between two runtimes; 0 with one.
    """

    agreements: tuple[Agreement, ...]
    accuracy: Accuracy | None
    between_runtimes: float

    @property
    def is_close(self) -> bool:
        """Whether every runtime is close to the original on every window."""
        return all(agreement.is_close for agreement in self.agreements)

    @property
    def largest_difference(self) -> float:
        """Of any score, on any runtime."""
        return max(agreement.largest_difference for agreement in self.agreements)


def random_windows(shape: tuple[int, ...], count: int = 100) -> Float32:
    """Return windows of uniform noise from 0 to 1, as in the measurement that this project began with.

    Returns:
        float32, shape (count, *shape), the same every time.
    """
    return np.random.default_rng(0).random((count, *shape), dtype=np.float32)


def prove(
    content: bytes, backends: list[Backend], compared: dict[str, Answered], labelled: Labelled | None = None
) -> Proof:
    """Run the converted model on windows that the original has answered.

    Args:
        content: the .tflite file.
        backends: runtimes to try it on.
        compared: windows by what they are.
        labelled: windows with their right labels.

    Raises:
        ModelError: a runtime refuses the model.
        ProofError: a score is not a number.
    """
    for name, answered in compared.items():
        if not np.isfinite(answered.scores).all():
            raise ProofError(
                f"the original itself answers {name} windows with NaN or infinity: its weights are damaged"
            )
    agreements = []
    answers: dict[str, list[Float32]] = {name: [] for name in compared}
    for backend in backends:
        interpreter = Interpreter(content, backend)
        for name, answered in compared.items():
            scores = _run(interpreter, answered.windows)
            answers[name].append(scores)
            agreements.append(_agreement(interpreter, name, answered.scores, scores))
    between = max(
        (float(np.abs(scores - several[0]).max()) for several in answers.values() for scores in several[1:]),
        default=0.0,
    )
    return Proof(tuple(agreements), _accuracy(content, backends[0], labelled), between)


def _accuracy(content: bytes, backend: Backend, labelled: Labelled | None) -> Accuracy | None:
    if labelled is None:
        return None
    answered, right = labelled.answered, labelled.right
    converted = _run(Interpreter(content, backend), answered.windows)
    return Accuracy(
        len(right),
        int((answered.scores.argmax(axis=1) == right).sum()),
        int((converted.argmax(axis=1) == right).sum()),
    )


def _run(interpreter: Interpreter, windows: Float32) -> Float32:
    return np.asarray([interpreter.run(window) for window in windows], dtype=np.float32)


def _agreement(interpreter: Interpreter, inputs: str, truth: Float32, scores: Float32) -> Agreement:
    if not np.isfinite(scores).all():
        raise ProofError(f"the converted model answers {inputs} windows with NaN or infinity on {interpreter.backend}")
    close = np.isclose(scores, truth, rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE * max(1.0, np.abs(truth).max()))
    return Agreement(
        interpreter.backend,
        interpreter.version,
        inputs,
        len(truth),
        int(close.all(axis=1).sum()),
        float(np.abs(scores - truth).max()),
        int((scores.argmax(axis=1) == truth.argmax(axis=1)).sum()),
    )
