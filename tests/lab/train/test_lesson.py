"""A teacher says which windows hold a class: those are drawn, pauses are background, and the rest is left alone."""

import msgspec
import numpy as np
import pytest

from audiomon.errors import UserError
from audiomon.lab.train.dataset import Sound, Split
from audiomon.lab.train.drawing import Drawer
from audiomon.lab.train.lesson import Lesson
from audiomon.lab.train.preparation import prepare
from audiomon.lab.train.settings import Augmentation
from audiomon.lab.train.teacher import Teacher, teacher_labels
from tests.lab.train.sounds import RATE, beeps, write
from tests.models.tiny import LABELS, write_tiny

MIDDLES_S = np.arange(0, 5, 0.5)
NONE = Augmentation(*([False] * len(Augmentation.__struct_fields__)))


def lesson(own, *, is_background=False):
    return Lesson(MIDDLES_S, np.array(own, dtype=np.float32), is_background)


def test_a_window_is_taught_where_the_teacher_hears_its_class_nearby():
    heard = lesson([0, 0, 0, 0, 0.9, 0, 0, 0, 0, 0])
    assert heard.teaches(np.array([0.0, 1.5, 1.7, 2.0, 2.3, 2.5])).tolist() == [False, False, True, True, True, False]
    assert heard.leaves_no_trace(np.array([1.0, 2.0])).tolist() == [True, False]


def test_where_the_teacher_is_sure_of_nothing_its_best_windows_are_taught():
    assert lesson([0.01] * 9 + [0.05]).teaches(np.array([0.0, 4.5])).tolist() == [False, True]


def test_background_is_taught_but_where_the_teacher_is_certain_of_a_class():
    heard = lesson([0.5] * 5 + [0.95] + [0.5] * 4, is_background=True)
    assert heard.teaches(np.array([0.5, 2.5])).tolist() == [True, False]


def test_windows_are_drawn_from_where_the_teacher_hears_the_class(dataset, settings):
    # 5 s of beeps, of which the teacher knows the last two; by their level, all of them hold the sound.
    write(dataset / "beeps" / "1-long.wav", beeps(5, 1))
    plain = msgspec.structs.replace(settings, augmentation=NONE)
    found = prepare(dataset, Split(folds=r"(\d)-"), plain, lambda *_: None)
    (place,) = [n for n, sound in enumerate(found.sounds) if "long" in sound.name]
    own = np.where(MIDDLES_S >= 3, 0.9, 0.0).astype(np.float32)
    long = found.materials[place]
    for lesson_of_it, earliest_s in ((None, 0.0), (Lesson(MIDDLES_S, own, False), 2.4)):
        drawer = Drawer([type(long)(0, long.takes, long.duration_s, lesson_of_it)], 1, plain, [])
        starts_s = drawer._takes[0][0].starts * settings.spec.hop_length / RATE
        assert earliest_s <= starts_s.min() < earliest_s + 0.3


@pytest.fixture
def teacher(tmp_path):
    write_tiny(tmp_path / "models" / "tiny")
    return lambda **labels: Teacher(tmp_path / "models" / "tiny", labels)


def test_a_teacher_s_answers_are_kept(teacher, tmp_path, cache):
    path = write(tmp_path / "noise.wav", 0.1 * np.random.default_rng(1).standard_normal(2 * RATE))
    asked = teacher(hum=(LABELS[0], LABELS[1]))
    heard = asked.lesson(Sound(path, "hum/noise.wav", "hum"))
    middle_s, scores = asked.scores(path)
    assert heard.own == pytest.approx(scores[:, :2].max(axis=1))
    assert middle_s[0] < 0.5
    assert middle_s[-1] > 1.5
    assert len(list((cache / "audiomon" / "teacher").iterdir())) == 1
    assert asked.lesson(Sound(path, "hiss/noise.wav", "hiss")) is None


def test_a_label_that_the_teacher_or_the_data_set_does_not_have_is_refused(teacher):
    with pytest.raises(UserError, match="the teacher has no such label"):
        teacher(hum=("Whale",))
    with pytest.raises(UserError, match="the data set has no such class; it has beeps, hum"):
        teacher(cough=(LABELS[0],)).check_classes(("beeps", "hum"))
    with pytest.raises(UserError, match="must be CLASS=LABEL"):
        teacher_labels(("hum",))
    assert teacher_labels(("hum=A", "hum=B, or C")) == {"hum": ("A", "B, or C")}
