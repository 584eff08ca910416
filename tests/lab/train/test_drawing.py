"""Training windows: balanced, from where the sound is, and each kind of change has its switch."""

import msgspec
import numpy as np
import pytest

from audiomon.features import LogMelSpec
from audiomon.lab.train import drawing
from audiomon.lab.train.augmentation import equalize, mask, reverberate, steady_noise, warp_matrices
from audiomon.lab.train.cross_validation import job
from audiomon.lab.train.dataset import Split
from audiomon.lab.train.drawing import Drawer, plain_windows
from audiomon.lab.train.preparation import prepare
from audiomon.lab.train.settings import Augmentation

NONE = Augmentation(*([False] * len(Augmentation.__struct_fields__)))


@pytest.fixture
def draw(dataset, settings):
    """Draws windows with the given changes only."""

    def drawn(count, seed=1, **steps):
        chosen = msgspec.structs.replace(settings, augmentation=msgspec.structs.replace(NONE, **steps))
        found = prepare(dataset, Split(folds=r"(\d)-"), chosen, lambda *_: None)
        return Drawer(list(found.materials), 3, chosen, []).draw(count, np.random.default_rng(seed)), found

    return drawn


def test_without_changes_every_window_is_one_of_a_recording_s(draw, settings, monkeypatch):
    monkeypatch.setattr(drawing, "_HOP_FRAMES", 1)
    (windows, targets), found = draw(30)
    plain, labels = plain_windows(list(found.materials), settings.spec, 10_000)
    for window, target in zip(windows, targets, strict=True):
        nearest = np.abs(plain - window).max(axis=(1, 2)).argmin()
        assert plain[nearest] == pytest.approx(window, abs=1e-4)
        assert labels[nearest] == target.argmax()


def test_every_class_is_drawn_as_often(draw):
    (_, targets), _ = draw(300)
    assert np.bincount(targets.argmax(axis=1)).tolist() == [100, 100, 100]


def test_what_is_anything_else_is_drawn_as_often_as_all_others_together(dataset, settings):
    found = prepare(dataset, Split(folds=r"(\d)-"), settings, lambda *_: None)
    plain = msgspec.structs.replace(settings.augmentation, mixup=False)
    drawer = Drawer(list(found.materials), 3, msgspec.structs.replace(settings, augmentation=plain), [], background=1)
    _, targets = drawer.draw(400, np.random.default_rng(1))
    assert np.bincount(targets.argmax(axis=1)).tolist() == [100, 200, 100]


def test_the_same_seed_draws_the_same(draw):
    first, second, other = (draw(16, seed, mixup=True, eq=True, background=True)[0][0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("step", [name for name in Augmentation.__struct_fields__ if name != "level"])
def test_every_switch_changes_the_windows(draw, step):
    assert not np.array_equal(draw(64, **{step: True})[0][0], draw(64)[0][0])


def test_mixed_sounds_keep_both_labels_in_their_proportion(draw):
    (_, targets), _ = draw(256, mixup=True)
    assert targets.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (np.sort(targets, axis=1)[:, -2] > 0.05).any()


def test_background_in_front_of_a_sound_takes_nothing_from_it(dataset, settings):
    (dataset / "hiss").rename(dataset / "background")
    found = prepare(dataset, Split(folds=r"(\d)-"), settings, lambda *_: None)
    mixed = msgspec.structs.replace(NONE, mixup=True)
    chosen = msgspec.structs.replace(settings, augmentation=mixed, label_smoothing=0.0)
    drawer = Drawer(list(found.materials), 3, chosen, [], found.labels.index("background"))
    _, targets = drawer.draw(400, np.random.default_rng(1))
    assert targets.sum(axis=1) == pytest.approx(1, abs=1e-5)
    # Half of them are drawn as sounds, and none is background in part unless it was drawn as background.
    sounds = targets[:, found.labels.index("background")] == 0
    assert sounds.sum() >= 200
    assert (np.sort(targets[sounds], axis=1)[:, -2] > 0.05).any()


def test_warped_bands_move_down_and_up():
    spec = LogMelSpec(fmin=150.0, fmax=7000.0)
    down, same, up = warp_matrices(spec, (0.88, 1.0, 1.12))
    tone = np.zeros(40, dtype=np.float32)
    tone[20] = 1
    assert same == pytest.approx(np.eye(40), abs=1e-5)
    assert (tone @ down).argmax() < 20 < (tone @ up).argmax()


def test_a_room_only_adds_to_what_comes_after():
    windows = np.zeros((50, 20, 4), dtype=np.float32)
    windows[:, 5] = 1
    wet = reverberate(windows, np.random.default_rng(1))
    assert (wet[:, :6] == windows[:, :6]).all()
    assert (wet[:, 6] > 0).any()
    assert (wet >= windows).all()


def test_an_equalizer_moves_bands_by_at_most_12_db_where_it_does_not_cut():
    windows = equalize(np.ones((400, 3, 40), dtype=np.float32), np.random.default_rng(1))
    assert (windows > 0).all()
    assert 10 * np.log10(windows.max()) <= 6.01
    assert (windows == windows[:, :1]).all()  # the same for all frames of a window


def test_noise_is_steady_and_positive():
    noise = steady_noise((10, 200, 16), np.random.default_rng(1))
    assert (noise > 0).all()
    assert noise[:, :, 0].mean() == pytest.approx(1, rel=0.1)


def test_masks_leave_most_of_a_window():
    windows = np.ones((200, 40, 24), dtype=np.float32)
    mask(windows, 0.0, np.random.default_rng(1))
    kept = windows.mean(axis=(1, 2))
    assert kept.min() > 0.4
    assert (kept < 1).any()
    assert (kept == 1).any()


def test_what_is_learned_of_background_is_also_noise_and_what_is_held_out_is_not(dataset, settings):
    (dataset / "hiss").rename(dataset / "background")
    prepared = prepare(dataset, Split(folds=r"(\d)-"), settings, lambda *_: None)
    learned = job(prepared, settings, "2", 1)
    background = prepared.labels.index("background")
    assert [one for one in learned.training if one.label == background] == learned.noise
    held = [m for s, m in zip(prepared.sounds, prepared.materials, strict=True) if s.fold == "2"]
    assert len(learned.noise) == 3
    assert not [one for one in held if one in learned.noise]
