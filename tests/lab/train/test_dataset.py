"""What a folder of recordings must be, and who is on which side of a split."""

from collections import Counter

import pytest

from audiomon.errors import InputError, UserError
from audiomon.lab.train.dataset import Split, check_classes, cut_out_name, divide, find_sounds, fold_names
from tests.lab.train.sounds import hiss, write


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()


def divided(dataset, **split):
    return divide(dataset, find_sounds(dataset), Split(**split))


def folds_of(sounds):
    return {sound.name: sound.fold for sound in sounds}


def test_every_folder_is_a_class_and_anything_but_sound_is_left_alone(dataset):
    (dataset / "hum" / "notes.txt").write_text("recorded at home")
    (dataset / "pictures").mkdir()
    (dataset / "pictures" / "door.png").write_bytes(b"")
    (dataset / ".cache").mkdir()
    assert Counter(sound.label for sound in find_sounds(dataset)) == {"beeps": 6, "hiss": 6, "hum": 6}


def test_an_absent_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such folder"):
        find_sounds(tmp_path / "nowhere")


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has no folders; recordings lie in a folder for each class"):
        find_sounds(tmp_path)


def test_folders_without_sound_are_refused(tmp_path):
    (tmp_path / "hum").mkdir()
    with pytest.raises(InputError, match="holds no audio"):
        find_sounds(tmp_path)


@pytest.mark.parametrize(("name", "said"), [("a\nb", r"'a\\nb' names no label"), (201 * "x", "at most 200 characters")])
def test_a_folder_whose_name_cannot_be_a_label_is_refused(dataset, name, said):
    (dataset / "hum").rename(dataset / name)
    with pytest.raises(InputError, match=said):
        find_sounds(dataset)


def test_one_class_is_refused(tmp_path):
    (tmp_path / "hum").mkdir()
    for number in range(9):
        write(tmp_path / "hum" / f"{number}.wav", hiss(0.1, number))
    with pytest.raises(InputError, match="has one class, 'hum'"):
        check_classes(tmp_path, find_sounds(tmp_path))


def test_a_class_of_one_clip_is_refused_by_name(dataset):
    (dataset / "knock").mkdir()
    write(dataset / "knock" / "1-0.wav", hiss(1, 50))
    with pytest.raises(InputError, match=r"too few recordings in \S*/knock \(1\)"):
        check_classes(dataset, find_sounds(dataset))


def test_a_rule_finds_the_fold_in_a_file_s_name(dataset):
    folds = folds_of(divided(dataset, folds=r"(\d)-"))
    assert folds["hum/1-0.wav"] == "1"
    assert folds["hum/2-1.wav"] == "2"


def test_a_rule_that_fits_no_file_names_one(dataset):
    with pytest.raises(InputError, match=r"beeps/1-0\.wav: --folds .* matches nothing"):
        divided(dataset, folds=r"fold(\d)")


def test_a_broken_rule_is_the_user_s_mistake(dataset):
    with pytest.raises(UserError, match="not a regular expression"):
        divided(dataset, folds="(")


def test_a_table_decides_where_there_is_one(dataset):
    names = sorted(folds_of(find_sounds(dataset)))
    rows = [f"{name},{'test' if name.endswith('-0.wav') else 'train'}" for name in names]
    (dataset / "split.csv").write_text("\n".join(["file,fold", *rows]))
    sounds = divided(dataset)
    assert fold_names(sounds) == ["test"]
    assert [sound.name for sound in sounds if sound.fold == "test"] == ["beeps/1-0.wav", "hiss/1-0.wav", "hum/1-0.wav"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name,fold\nhum/1-0.wav,1", r"split\.csv:1: has no column 'file'"),
        ("file,fold\nhum/absent.wav,1", r"split\.csv:2: file: there is no recording 'hum/absent\.wav'"),
        ("file,fold\nhum/1-0.wav,", r"split\.csv:2: fold: is empty"),
        ("file,fold\nhum/1-0.wav,1\nhum/1-0.wav,2", r"split\.csv:3: file: hum/1-0\.wav is in '1' already"),
        ("file,fold\nhum/1-0.wav,1", r"split\.csv: says nothing of beeps/1-0\.wav, .* and 12 more"),
        ("\0\xff", r"split\.csv"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_the_line(dataset, table, message):
    (dataset / "split.csv").write_bytes(table.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        divided(dataset)


def test_recordings_of_one_source_are_never_on_both_sides(dataset):
    with pytest.raises(InputError, match=r"are both of '.*': one source would be on both sides"):
        divided(dataset, folds=r"(\d)-", groups="^([a-z]+)/")


def test_groups_are_dealt_out_whole_and_every_fold_has_every_class(tmp_path):
    pytest.importorskip("sklearn", reason="needs the lab extra")
    touch(tmp_path, *(f"{label}/source{number // 2}-{number}.wav" for label in "ab" for number in range(20)))
    sounds = divide(tmp_path, find_sounds(tmp_path), Split(groups=r"^(\w/source\d+)-", count=4))
    fold_of_group = {sound.group: sound.fold for sound in sounds}
    assert all(fold_of_group[sound.group] == sound.fold for sound in sounds)
    assert {(sound.fold, sound.label) for sound in sounds} == {(fold, label) for fold in "1234" for label in "ab"}


def test_the_takes_of_one_recording_session_are_one_source(tmp_path):
    pytest.importorskip("sklearn", reason="needs the lab extra")
    touch(tmp_path, *(f"door/20260101-12000{session}-0{take}.flac" for session in range(6) for take in range(3)))
    sounds = divide(tmp_path, find_sounds(tmp_path), Split(count=3))
    assert {sound.group for sound in sounds} == {f"20260101-12000{session}" for session in range(6)}


def test_a_clip_cut_out_of_a_recording_stays_with_it_also_in_another_folder(tmp_path):
    pytest.importorskip("sklearn", reason="needs the lab extra")
    cut_out = cut_out_name("door3", 3.0, "bell")
    touch(
        tmp_path, f"bell/{cut_out}.flac", *(f"{label}/{label}{n}.flac" for label in ("door", "bell") for n in range(6))
    )
    sounds = divide(tmp_path, find_sounds(tmp_path), Split(count=3))
    folds = {sound.path.stem: sound.fold for sound in sounds}
    assert folds[cut_out] == folds["door3"]


def test_few_sources_are_dealt_out_to_fewer_folds_and_one_is_refused(tmp_path):
    pytest.importorskip("sklearn", reason="needs the lab extra")
    touch(tmp_path, *(f"{label}/source{number % 2}-{number}.wav" for label in "ab" for number in range(8)))
    sounds = find_sounds(tmp_path)
    assert fold_names(divide(tmp_path, sounds, Split(groups="(source[01])"))) == ["1", "2"]
    with pytest.raises(InputError, match=r"come from one source .*record every class in more than one session"):
        divide(tmp_path, sounds, Split(groups="(source)"))
