"""The networks are the ones that they are said to be."""

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def seed():
    pytest.importorskip("tensorflow", reason="needs the lab extra")
    from audiomon.lab.networks import network

    return network("seed")((43, 40), 4)


def test_the_seed_network_has_5124_parameters_of_which_5028_are_trained(seed):
    trained = sum(int(np.prod(weights.shape)) for weights in seed.trainable_weights)
    assert seed.count_params() == 5124
    assert trained == 5028


def test_the_seed_network_has_the_layers_of_its_origin(seed):
    shapes = [(layer.__class__.__name__, tuple(layer.output.shape[1:])) for layer in seed.layers]
    assert shapes == [
        ("Conv2D", (43, 40, 16)),
        ("BatchNormalization", (43, 40, 16)),
        ("ReLU", (43, 40, 16)),
        ("MaxPooling2D", (22, 20, 16)),
        ("Conv2D", (22, 20, 32)),
        ("BatchNormalization", (22, 20, 32)),
        ("ReLU", (22, 20, 32)),
        ("MaxPooling2D", (1, 1, 32)),
        ("Dropout", (1, 1, 32)),
        ("Flatten", (32,)),
        ("Dense", (4,)),
    ]


@pytest.mark.parametrize(("shape", "classes"), [((21, 32), 2), ((98, 64), 10)])
def test_the_seed_network_fits_other_windows_and_class_counts(shape, classes):
    pytest.importorskip("tensorflow", reason="needs the lab extra")
    from audiomon.lab.networks import network

    scores = network("seed")(shape, classes)(np.zeros((3, *shape, 1), dtype=np.float32)).numpy()
    assert scores.shape == (3, classes)
    assert scores.sum(axis=1) == pytest.approx(1)
