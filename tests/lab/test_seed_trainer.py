"""The quick trainer computes what Keras computes."""

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

# An odd and an even side, so that "same" pooling pads one of them.
SHAPE = (11, 8)


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(3)
    windows = rng.standard_normal((12, *SHAPE)).astype(np.float32)
    return windows, np.eye(4, dtype=np.float32)[rng.integers(0, 4, 12)]


@pytest.fixture
def trainer(batch):
    pytest.importorskip("numba", reason="needs the lab extra")
    from audiomon.lab.seed_trainer import SeedTrainer

    trainer = SeedTrainer(batch[0], 4, np.random.default_rng(1))
    trainer.weights.scale2[::3] *= -1  # a pattern may also be the absence of one
    return trainer


def keras_model(trainer):
    pytest.importorskip("tensorflow", reason="needs the lab extra")
    from audiomon.lab.networks import network

    model = network("seed")(SHAPE, 4)
    trainer.weights.into_keras(model)
    return model


def test_its_loss_is_the_loss_of_the_keras_network_with_its_weights(trainer, batch):
    windows, targets = batch
    scores = keras_model(trainer)(windows[..., np.newaxis], training=False).numpy()
    loss, right = trainer.step(windows, targets, 0.0, dropout=0.0)
    assert loss == pytest.approx(float(-(targets * np.log(scores)).sum(axis=1).mean()), abs=1e-5)
    assert right == (scores.argmax(axis=1) == targets.argmax(axis=1)).mean()


def test_one_step_moves_every_weight_the_way_that_keras_gradients_point(trainer, batch):
    tensorflow = pytest.importorskip("tensorflow", reason="needs the lab extra")
    windows, targets = batch
    model = keras_model(trainer)
    with tensorflow.GradientTape() as tape:
        scores = model(windows[..., np.newaxis], training=False)
        loss = tensorflow.reduce_mean(tensorflow.keras.losses.categorical_crossentropy(targets, scores))
    gradients = [gradient.numpy() for gradient in tape.gradient(loss, model.trainable_weights)]
    # kernel, bias, gamma, beta of each convolution; then kernel and bias of the dense layer. Shifting a convolution's
    # bias or its normalisation's beta is the same thing here, and the scale of the first one is in its kernel.
    wanted = {"kernel1": 0, "shift1": 3, "kernel2": 4, "scale2": 6, "shift2": 7, "dense": 8, "bias": 9}
    before = {name: value.copy() for name, value in vars(trainer.weights).items()}
    trainer.step(windows, targets, 1e-3, dropout=0.0)
    for name, index in wanted.items():
        gradient = gradients[index].reshape(before[name].shape)
        moved = getattr(trainer.weights, name) - before[name]
        clear = np.abs(gradient) > 1e-4  # Adam's first step is the learning rate against the gradient's sign
        assert clear.any(), name
        assert moved[clear] == pytest.approx(-1e-3 * np.sign(gradient[clear]), abs=2e-5), name


def test_it_learns_a_task_that_it_can_learn():
    pytest.importorskip("numba", reason="needs the lab extra")
    from audiomon.lab.seed_trainer import SeedTrainer

    rng = np.random.default_rng(2)
    windows = 0.3 * rng.standard_normal((64, *SHAPE)).astype(np.float32)
    labels = np.arange(64) % 2
    windows[labels == 1, 3:6, 2:5] += 2.0
    trainer = SeedTrainer(windows, 2, rng)
    for _ in range(60):
        _, right = trainer.step(windows, np.eye(2, dtype=np.float32)[labels], 3e-3, dropout=0.0)
    assert right == 1.0
