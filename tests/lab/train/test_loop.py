"""The loop keeps the best weights, stops when they get no better, and says how each epoch went."""

import contextlib

import msgspec
import numpy as np
import pytest

from audiomon.lab.train.loop import Epoch, Validation, fit
from audiomon.lab.train.settings import TrainingSettings

pytestmark = [pytest.mark.tensorflow, pytest.mark.timeout(240)]

SHAPE = (8, 8)


def windows_of(labels, rng):
    """Windows whose class is where they are bright."""
    windows = rng.standard_normal((len(labels), *SHAPE)).astype(np.float32)
    for window, label in zip(windows, labels, strict=True):
        window[:, 4 * label : 4 * label + 4] += 2
    return windows


def draw(count, rng):
    labels = rng.integers(0, 2, count)
    return windows_of(labels, rng), np.eye(2, dtype=np.float32)[labels]


def draw_wrong(count, rng):
    """Teaches the opposite of what is right, so that validation only ever gets worse."""
    windows, targets = draw(count, rng)
    return windows, 1 - targets


def fitted(_, settings, drawn, validating, checkpoint):
    """Runs where TensorFlow is: every epoch, and the validation loss of the weights that were kept."""
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 2, 64)
    validation = Validation(windows_of(labels, rng), labels) if validating else None
    seen = []
    model, epochs = fit(drawn, SHAPE, 2, settings, 6, checkpoint, validation, seen.append)
    assert [epoch.number for epoch in seen] == [epoch.number for epoch in epochs]
    kept = model(validation.windows[..., np.newaxis], training=False).numpy() if validating else None
    loss = float(-np.log(kept[np.arange(64), labels]).mean()) if validating else None
    return [tuple(epoch) for epoch in epochs], loss


SETTINGS = TrainingSettings(epochs=12, batch=32, learning_rate=0.01)


def test_it_learns_what_can_be_learned(tensorflow, tmp_path):
    epochs, _ = tensorflow.call(fitted, SETTINGS, draw, False, tmp_path / "fit")
    assert [Epoch(*epoch).number for epoch in epochs] == list(range(1, 13))
    assert Epoch(*epochs[-1]).loss < Epoch(*epochs[0]).loss
    assert Epoch(*epochs[-1]).accuracy > 0.9
    assert np.isnan(Epoch(*epochs[-1]).validation_loss)


def test_it_stops_when_validation_gets_no_better_and_keeps_the_best_weights(tensorflow, tmp_path):
    settings = msgspec.structs.replace(SETTINGS, patience=3)
    epochs, loss = tensorflow.call(fitted, settings, draw_wrong, True, tmp_path / "fit")
    losses = [Epoch(*epoch).validation_loss for epoch in epochs]
    assert len(losses) < 12
    assert len(losses) - 1 - int(np.argmin(losses)) == 3
    assert loss == pytest.approx(min(losses), rel=1e-4)


class _Killed(BaseException):
    """What ends a training in the middle, as a signal does."""


def weights_after(_, settings, checkpoint, killed_after, validating):
    """Runs where TensorFlow is: train, be killed after some epochs, go on; return weights and numbers of epochs."""
    import tensorflow

    tensorflow.config.experimental.enable_op_determinism()
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 2, 64)
    validation = Validation(windows_of(labels, rng), labels) if validating else None

    def kill(epoch):
        if epoch.number == killed_after:
            raise _Killed

    if killed_after:
        with contextlib.suppress(_Killed):
            fit(draw, SHAPE, 2, settings, 6, checkpoint, validation, kill)
    model, epochs = fit(draw, SHAPE, 2, settings, 6, checkpoint, validation, lambda _: None)
    return model.get_weights(), [epoch.number for epoch in epochs]


@pytest.mark.parametrize("patience", [0, 12])
def test_a_training_that_is_killed_goes_on_to_the_weights_that_it_would_have_had(tensorflow, tmp_path, patience):
    settings = msgspec.structs.replace(SETTINGS, epochs=3, patience=patience)
    whole, _ = tensorflow.call(weights_after, settings, tmp_path / "whole", 0, patience > 0)
    weights, numbers = tensorflow.call(weights_after, settings, tmp_path / "killed", 2, patience > 0)
    assert numbers == [1, 2, 3]
    for one, other in zip(weights, whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_checkpoint_whose_notes_were_cut_off_is_started_over(tensorflow, tmp_path):
    settings = msgspec.structs.replace(SETTINGS, epochs=1)
    (tmp_path / "fit" / "backup").mkdir(parents=True)
    (tmp_path / "fit" / "backup" / "training_metadata.json").write_text('{"epo')
    _, numbers = tensorflow.call(weights_after, settings, tmp_path / "fit", 0, False)
    assert numbers == [1]
