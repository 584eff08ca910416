import itertools

import numpy as np

from audiomon.lab.teach.background import generated_sounds


def test_background_is_the_same_every_time_and_no_sound_is_another():
    first, again = (list(generated_sounds(25, 4000, 16_000)) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert all(one.shape == (4000,) and one.dtype == np.float32 for one in first)
    assert not any(np.allclose(one, other) for one, other in itertools.combinations(first, 2))


def test_background_can_be_heard_and_never_clips():
    for samples, rate in ((15_600, 16_000), (22_050, 22_050), (1600, 8000)):
        for sound in generated_sounds(22, samples, rate):
            assert 0.001 < np.abs(sound).max() <= 1
            assert np.isfinite(sound).all()


def test_more_background_begins_with_the_same_sounds():
    few, many = list(generated_sounds(3, 1000, 8000)), list(generated_sounds(5, 1000, 8000))
    assert all(np.array_equal(one, other) for one, other in zip(few, many, strict=False))
