"""One network fitted to windows that are drawn as it learns: Keras, with a checkpoint after every epoch.

Runs in the process that has TensorFlow. It knows windows and targets, and nothing of recordings.
"""

import csv
import json
import math
import shutil
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
_FIRST_RATE = 0.01  # of the highest learning rate
# The weights that are kept are a running mean over this many steps, and at most this part of them all.
_MEAN_OVER_STEPS = 200
_MEAN_OVER_PART = 0.1


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


def fit(
    draw: Draw,
    shape: tuple[int, int],
    classes: int,
    settings: TrainingSettings,
    steps: int,
    checkpoint: Path,
    validation: Validation | None,
    progress: Callable[[Epoch], None],
) -> tuple[Any, list[Epoch]]:
    """Train a network to the end, from the checkpoint if there is one.

    An interrupted training ends with the weights that it would have had without. Only early stopping counts its
    patience from the interruption: it may run for longer, and loses no best weights.

    Args:
        draw: gives any number of training windows and wanted scores.
        shape: of a window.
        classes: how many.
        settings: of the training.
        steps: batches in an epoch.
        checkpoint: folder that is written after every epoch.
        validation: None to keep the last weights, else those of the best epoch.
        progress: called after every epoch.

    Returns:
        keras.Model, and how its epochs went.
    """
    from tensorflow import keras

    keras.utils.set_random_seed(settings.seed)
    model = network(settings.network)(shape, classes)
    # XLA is slower at convolutions on a CPU than TensorFlow's own kernels.
    model.compile(
        _optimizer(settings, steps * settings.epochs),
        "categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    _drop_torn(checkpoint)
    log = checkpoint / "epochs.csv"
    best = checkpoint / "best.weights.h5"
    checkpoint.mkdir(parents=True, exist_ok=True)
    windows = _drawn_windows(draw, settings, steps)
    # What draws dropout. Keras's backup leaves it out, so each epoch begins with the state that it has there anyway.
    drawing = [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]

    def begin(epoch: int) -> None:
        windows.begin(epoch)
        for state in drawing:
            state.assign([int(state.numpy()[0]), epoch * steps])

    callbacks = [
        keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, _: begin(epoch)),
        keras.callbacks.CSVLogger(str(log), append=True),
        # Before the mean weights are put in the place of those that learn.
        keras.callbacks.BackupAndRestore(str(checkpoint / "backup"), double_checkpoint=True, delete_checkpoint=False),
    ]
    if validation is not None:
        callbacks += _stopping_early(settings, best, _lowest(_epochs(log)))
    callbacks.append(keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: progress(_epoch(epoch, logs))))
    model.fit(
        windows,
        epochs=settings.epochs,
        shuffle=False,  # the windows are drawn at random, and their order must follow from the epoch alone
        validation_data=_watched(validation, classes) if validation is not None else None,
        validation_batch_size=256,
        callbacks=callbacks,
        verbose=0,
    )
    if best.exists():
        model.load_weights(best)
    return model, _epochs(log)


def _optimizer(settings: TrainingSettings, steps: int) -> Any:
    """AdamW with a learning rate that rises along a line and falls along a cosine; keeps a running mean of weights."""
    from tensorflow import keras

    warm_up = max(1, round(_WARM_UP * steps))
    rate = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate * _FIRST_RATE,
        max(1, steps - warm_up),
        warmup_target=settings.learning_rate,
        warmup_steps=warm_up,
    )
    mean_over = min(_MEAN_OVER_STEPS, max(2.0, _MEAN_OVER_PART * steps))
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=settings.weight_decay, use_ema=True, ema_momentum=1 - 1 / mean_over
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _drawn_windows(draw: Draw, settings: TrainingSettings, steps: int) -> Any:
    """Return the training windows as Keras takes them.

    A batch follows from the seed, the epoch and its number alone, so that an interrupted training goes on with the
    windows that it would have drawn.
    """
    from tensorflow import keras

    class DrawnWindows(keras.utils.PyDataset):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._epoch = 0

        def begin(self, epoch: int) -> None:
            self._epoch = epoch

        def __len__(self) -> int:
            return steps

        def __getitem__(self, index: int) -> tuple[Float32, Float32]:
            windows, targets = draw(settings.batch, np.random.default_rng((settings.seed, self._epoch, index)))
            return windows[..., np.newaxis], targets

    return DrawnWindows()


def _stopping_early(settings: TrainingSettings, best: Path, lowest: float) -> list[Any]:
    """Keep the mean weights of the epoch with the lowest validation loss, and stop when it does not get lower.

    Keras's own ``restore_best_weights`` forgets them when a training is interrupted; a file does not.
    """
    from tensorflow import keras

    so_far = lowest if math.isfinite(lowest) and best.exists() else None
    return [
        keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
        keras.callbacks.ModelCheckpoint(
            str(best), save_best_only=True, save_weights_only=True, initial_value_threshold=so_far
        ),
        keras.callbacks.EarlyStopping(patience=settings.patience, baseline=so_far),
    ]


def _watched(validation: Validation, classes: int) -> tuple[Float32, Float32]:
    return validation.windows[..., np.newaxis], np.eye(classes, dtype=np.float32)[validation.labels]


def _drop_torn(checkpoint: Path) -> None:
    """Delete a checkpoint whose notes were cut off by a crash; torn weights are Keras's to replace."""
    notes = checkpoint / "backup" / "training_metadata.json"
    try:
        json.loads(notes.read_bytes())
    except FileNotFoundError:
        pass
    except ValueError:
        shutil.rmtree(checkpoint)


def _epoch(number: int, logs: dict[str, float]) -> Epoch:
    nothing = float("nan")
    return Epoch(
        number + 1, logs["loss"], logs["accuracy"], logs.get("val_loss", nothing), logs.get("val_accuracy", nothing)
    )


def _epochs(log: Path) -> list[Epoch]:
    """Read how all epochs went, also those before an interruption; an epoch that was begun twice counts once."""
    if not log.exists():
        return []
    with log.open(encoding="utf-8", newline="") as file:
        # Keras writes NA for what an epoch has no figure of.
        rows = [{key: float(value) for key, value in row.items() if value != "NA"} for row in csv.DictReader(file)]
    found = {int(row["epoch"]): _epoch(int(row["epoch"]), row) for row in rows}
    return [found[number] for number in sorted(found)]


def _lowest(epochs: list[Epoch]) -> float:
    return min((epoch.validation_loss for epoch in epochs), default=float("nan"))
