"""The training loop: Keras, a running mean of the weights, early stopping, and a checkpoint after every epoch.

Runs in the process that has TensorFlow. Knows windows and targets, and nothing of recordings.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiomon.lab.networks import network
from audiomon.lab.train.settings import TrainingSettings

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Draw = Callable[[int, np.random.Generator], tuple[Float32, Float32]]

_WARM_UP = 0.05  # part of the steps in which the learning rate rises
_MEAN_OVER_STEPS = 200


class Epoch(NamedTuple):
    """How one epoch went.

    Attributes:
        number: from 1.
        loss: cross-entropy on training windows, as they were augmented.
        accuracy: share of those whose highest score is the label's (of two mixed sounds, the stronger one's).
        validation_loss: with the mean weights; NaN without validation.
        validation_accuracy: the same.
    """

    number: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True, slots=True)
class Validation:
    """Windows to be judged on after every epoch: float32 (n, frames, n_mels), and their classes (n,)."""

    windows: Float32
    labels: Int64


class Fit:
    """One network's training.

    Args:
        draw: gives any number of training windows and wanted scores.
        shape: of a window.
        classes: how many.
        settings: of the training.
        steps: batches in an epoch.
        checkpoint: file that is written after every epoch and continued from; None for none.
        validation: None to keep the last weights, else those of the best epoch.

    Attributes:
        model: keras.Model, with the weights to use once `run` is through.
        epochs: those done so far.
    """

    def __init__(
        self,
        draw: Draw,
        shape: tuple[int, int],
        classes: int,
        settings: TrainingSettings,
        steps: int,
        checkpoint: Path | None,
        validation: Validation | None,
    ) -> None:
        from tensorflow import keras

        keras.utils.set_random_seed(settings.seed)
        self._draw = draw
        self._settings = settings
        self._steps = steps
        self._checkpoint = checkpoint
        self._validation = validation
        self._rng = np.random.default_rng(settings.seed)
        self.model: Any = network(settings.network)(shape, classes)
        self._optimizer = keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay)
        self._optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        self._optimizer.build(self.model.trainable_variables)
        self._mean = [value.copy() for value in self.model.get_weights()]
        self._best = [value.copy() for value in self._mean]
        self.epochs: list[Epoch] = []
        self._train, self._answer = _compiled(self.model, self._optimizer)

    def run(self, progress: Callable[[Epoch], None]) -> None:
        """Train to the end, from the checkpoint if there is one."""
        self._restore()
        while len(self.epochs) < self._settings.epochs and not self._stopped():
            self.epochs.append(self._epoch())
            self._save()
            progress(self.epochs[-1])
        self.model.set_weights(self._best)

    def _best_epoch(self) -> int:
        return int(np.argmin([epoch.validation_loss for epoch in self.epochs]))

    def _stopped(self) -> bool:
        patience = self._settings.patience
        if not patience or self._validation is None or not self.epochs:
            return False
        return len(self.epochs) - 1 - self._best_epoch() >= patience

    def _epoch(self) -> Epoch:
        windows, targets = self._draw(self._steps * self._settings.batch, self._rng)
        results = []
        for step in range(self._steps):
            batch = slice(step * self._settings.batch, (step + 1) * self._settings.batch)
            done = len(self.epochs) * self._steps + step
            self._optimizer.learning_rate.assign(self._learning_rate(done))
            loss, scores = self._train(windows[batch, ..., np.newaxis], targets[batch])
            right = (scores.numpy().argmax(axis=1) == targets[batch].argmax(axis=1)).mean()
            results.append((float(loss), float(right)))
            part = max(1 / _MEAN_OVER_STEPS, 1 / (done + 1))
            for n, value in enumerate(self.model.get_weights()):
                self._mean[n] += part * (value - self._mean[n])
        loss, accuracy = np.mean(results, axis=0)
        judged = self._judge()
        epoch = Epoch(len(self.epochs) + 1, float(loss), float(accuracy), *judged)
        if self._validation is None or all(not judged[0] > other.validation_loss for other in self.epochs):
            self._best = [value.copy() for value in self._mean]
        return epoch

    def _learning_rate(self, step: int) -> float:
        """Return the rate of a step: up along a line, down along a cosine."""
        part = step / (self._settings.epochs * self._steps)
        return self._settings.learning_rate * min(1.0, part / _WARM_UP + 0.01) * (1 + float(np.cos(np.pi * part))) / 2

    def _judge(self) -> tuple[float, float]:
        if self._validation is None:
            return float("nan"), float("nan")
        weights = self.model.get_weights()
        self.model.set_weights(self._mean)
        windows, labels = self._validation.windows, self._validation.labels
        scores = np.concatenate(
            [self._answer(windows[at : at + 256, ..., np.newaxis]).numpy() for at in range(0, len(windows), 256)]
        )
        self.model.set_weights(weights)
        chosen = scores[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(chosen, 1e-7)).mean()), float((scores.argmax(axis=1) == labels).mean())

    def _save(self) -> None:
        if self._checkpoint is None:
            return
        kept = {"model": self._variables(), "optimizer": [one.numpy() for one in self._optimizer.variables]}
        arrays = {f"{name}{n}": value for name, values in kept.items() for n, value in enumerate(values)}
        arrays |= {f"mean{n}": value for n, value in enumerate(self._mean)}
        arrays |= {f"best{n}": value for n, value in enumerate(self._best)}
        notes = json.dumps({"epochs": self.epochs, "rng": self._rng.bit_generator.state})
        draft = self._checkpoint.with_suffix(".draft.npz")
        np.savez(draft, notes=np.array(notes), **arrays)
        os.replace(draft, self._checkpoint)

    def _restore(self) -> None:
        if self._checkpoint is None or not self._checkpoint.exists():
            return
        with np.load(self._checkpoint) as kept:
            notes = json.loads(str(kept["notes"]))
            for n, variable in enumerate(self.model.variables):
                variable.assign(kept[f"model{n}"])
            for n, variable in enumerate(self._optimizer.variables):
                variable.assign(kept[f"optimizer{n}"])
            self._mean = [kept[f"mean{n}"] for n in range(len(self._mean))]
            self._best = [kept[f"best{n}"] for n in range(len(self._best))]
        self.epochs = [Epoch(*epoch) for epoch in notes["epochs"]]
        self._rng.bit_generator.state = notes["rng"]

    def _variables(self) -> list[Any]:
        """The weights, and the states of what draws dropout: with both, a continued training is the same training."""
        return [variable.numpy() for variable in self.model.variables]


def _compiled(model: Any, optimizer: Any) -> tuple[Any, Any]:
    """Return a training step and an answer as TensorFlow graphs."""
    import tensorflow

    @tensorflow.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def train(windows: Any, targets: Any) -> tuple[Any, Any]:
        with tensorflow.GradientTape() as tape:
            scores = model(windows, training=True)
            logs = tensorflow.math.log(tensorflow.clip_by_value(scores, 1e-7, 1.0))
            loss = -tensorflow.reduce_mean(tensorflow.reduce_sum(targets * logs, axis=-1))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss, scores

    @tensorflow.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def answer(windows: Any) -> Any:
        return model(windows, training=False)

    return train, answer
