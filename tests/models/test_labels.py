"""Labels as people have them: in a file of any sort, or in a list."""

import os

import pytest

from audiomon.errors import UserError
from audiomon.models.importing.add import Asked
from audiomon.models.importing.labels import said_labels
from tests.models.metadata import described_model
from tests.models.test_adding import add, origins


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a\nb\nc\nd", ("a", "b", "c", "d")),
        (b"\xef\xbb\xbfa\r\nb\r\nc\r\nd\r\n\r\n", ("a", "b", "c", "d")),
        ("a\nb\nc\nJugé\n".encode("utf-16"), ("a", "b", "c", "Jugé")),
        (b"  a \nb\nc, the third\nd\n", ("a", "b", "c, the third", "d")),
        (b"0 Background Noise\n1 Clap\n2 Bell\n3 Dog\n", ("Background Noise", "Clap", "Bell", "Dog")),
        (b"1 one\n2 two\n3 three\n4 four\n", ("1 one", "2 two", "3 three", "4 four")),
        (
            b'index,mid,display_name\n0,/m/1,Bark\n1,/m/2,"Chatter, crowd"\n2,/m/3,c\n3,/m/4,d\n',
            ("Bark", "Chatter, crowd", "c", "d"),
        ),
        (b"name, first\nb, second\nc\nd\n", ("name, first", "b, second", "c", "d")),
    ],
)
def test_label_files_as_people_have_them(tmp_path, data, expected):
    (tmp_path / "labels.txt").write_bytes(data)
    asked = Asked(labels=str(tmp_path / "labels.txt"))
    addition = add(tmp_path, described_model(), asked)
    assert addition.manifest.labels == expected
    numbered = expected[0] == "Background Noise"
    assert origins(addition)["labels"].endswith("the numbers before them left out") == numbered


def test_labels_are_said_in_a_file_or_in_a_list(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rain").mkdir()  # a folder of its recordings
    (tmp_path / "labels.txt").write_text("rain\ndog, barking\n")
    assert said_labels("labels.txt") == (("rain", "dog, barking"), "labels.txt")
    assert said_labels("rain, dog") == (("rain", "dog"), "--labels")
    assert said_labels("rain") == (("rain",), "--labels")


def test_files_of_labels_are_bounded_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    for path in ("/dev/zero", tmp_path / "pipe.txt"):
        with pytest.raises(UserError, match="is not a file"):
            said_labels(str(path))
    (tmp_path / "huge.txt").touch()
    os.truncate(tmp_path / "huge.txt", 5 << 20)
    with pytest.raises(UserError, match="is larger than 4 MiB"):
        said_labels(str(tmp_path / "huge.txt"))
