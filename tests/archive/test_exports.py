import csv
import datetime

import numpy as np
import pytest
import soundfile

from audiomon.archive.clips import export_clips
from audiomon.archive.progress import Progress
from audiomon.archive.questions import Sound
from audiomon.archive.store import open_store
from audiomon.archive.tables import write_audacity, write_kaleidoscope, write_raven
from audiomon.errors import UserError
from tests.archive.corpus import sound, write_recording

SOUNDS = [Sound("dog/bark", 0.91, "north/a.wav", 1.0, 2.0), Sound("speech", 0.5, "b\tc.wav", 0.0, 1.5)]


def test_raven_finds_each_sound_in_its_own_file(tmp_path):
    assert write_raven(SOUNDS, "/cards", tmp_path / "raven.txt") == 2
    with (tmp_path / "raven.txt").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row["Begin Path"] for row in rows] == ["/cards/north/a.wav", "/cards/b\\tc.wav"]
    assert [row["File Offset (s)"] for row in rows] == ["1.000000", "0.000000"]
    assert [row["Label"] for row in rows] == ["dog/bark", "speech"]
    assert [row["Selection"] for row in rows] == ["1", "2"]


def test_audacity_gets_a_label_track_for_each_recording(tmp_path):
    assert write_audacity(SOUNDS, tmp_path) == 2
    assert (tmp_path / "north/a.wav.txt").read_text() == "1.000000\t2.000000\tdog/bark 0.910\n"


def test_kaleidoscope_gets_folder_name_offset_and_duration(tmp_path):
    assert write_kaleidoscope(SOUNDS, "/cards", tmp_path / "k.csv") == 2
    with (tmp_path / "k.csv").open(encoding="utf-8", newline="") as file:
        first, _ = csv.DictReader(file)
    assert (first["INDIR"], first["FOLDER"], first["IN FILE"]) == ("/cards", "north", "a.wav")
    assert (first["OFFSET"], first["DURATION"]) == ("1.000000", "1.000000")
    assert (first["AUTO ID"], first["MANUAL ID"]) == ("dog/bark", "")


def test_cells_are_never_formulas(tmp_path):
    formula = Sound("@label", 0.5, "=HYPERLINK(1)/+name.wav", 0.0, 1.5)
    write_kaleidoscope([formula], "/cards", tmp_path / "k.csv")
    write_raven([formula], "=cards", tmp_path / "raven.txt")
    with (tmp_path / "k.csv").open(encoding="utf-8", newline="") as file:
        cells = [*csv.reader(file)][1]
    cells += (tmp_path / "raven.txt").read_text(encoding="utf-8").splitlines()[1].split("\t")
    assert [cell for cell in cells if cell.startswith(("=", "+", "@"))] == []
    assert "'=HYPERLINK(1)" in cells


@pytest.mark.parametrize("name", ["../a.wav", "/a.wav", "b/../../a.wav"])
def test_a_label_track_lies_in_its_folder(tmp_path, name):
    with pytest.raises(UserError, match="would not lie in"):
        write_audacity([Sound("speech", 0.5, name, 0.0, 1.5)], tmp_path / "tracks")
    assert not (tmp_path / "tracks").exists()


@pytest.mark.parametrize("write", [write_raven, write_kaleidoscope])
def test_a_table_that_cannot_be_written_is_the_users_mistake(tmp_path, write):
    with pytest.raises(UserError, match="cannot be written"):
        write(SOUNDS, "/cards", tmp_path / "absent" / "k.csv" if write is write_kaleidoscope else tmp_path)


def test_a_clip_holds_the_sound_and_what_is_there_is_left_alone(tmp_path):
    samples = sound(np.random.default_rng(1), 16_000, 4.0)
    write_recording(tmp_path / "in/north/a.wav", samples, 16_000)
    root = open_store(str(tmp_path / "in"))
    written, problems = export_clips(SOUNDS, root, tmp_path / "clips")
    assert written == 1
    assert len(problems) == 1
    path = tmp_path / "clips/dog-bark/0.910-north-a-at-1.0s.flac"
    clip, rate = soundfile.read(path, dtype="int16")
    assert rate == 16_000
    assert clip.tolist() == samples[12_000:36_000].tolist()  # from a quarter of a second before to one after
    path.write_bytes(b"named by a person")
    assert export_clips(SOUNDS[:1], root, tmp_path / "clips") == (0, [])
    assert path.read_bytes() == b"named by a person"


def test_the_picture_of_hours_is_drawn_for_every_label_even_on_one_day(tmp_path):
    pytest.importorskip("matplotlib")
    from audiomon.archive.picture import draw_hours

    day = datetime.date(2026, 3, 1)
    heard = [(f"label{index}", day, index % 24, index + 1) for index in range(20)]
    draw_hours(tmp_path / "shares.png", "title", heard, [(day, hour, 100) for hour in range(24)])
    draw_hours(tmp_path / "counts.svg", "title", heard[:1], None)
    assert (tmp_path / "shares.png").stat().st_size > 10_000
    assert "label0" in (tmp_path / "counts.svg").read_text() or (tmp_path / "counts.svg").stat().st_size > 5_000
    with pytest.raises(UserError, match="cannot be written"):
        draw_hours(tmp_path / "absent" / "x.png", "title", heard, None)


def test_progress_says_files_hours_bad_rate_and_what_is_left():
    import io

    now = [0.0]
    progress = Progress(100, 1000, io.StringIO(), watched=True, clock=lambda: now[0])
    now[0] = 50.0
    progress.add({"files": 25, "bad": 2, "audio_s": 7200.0, "bytes": 250})
    assert progress.line() == "25 of 100 files, 2.0 h, 2 bad, 0.5 files/s, 144 × real time, 0:02:30 left"
    assert progress.stream.getvalue() == "\r" + progress.line()


def test_where_nobody_watches_progress_is_a_line_a_minute():
    import io

    now = [0.0]
    progress = Progress(100, 1000, io.StringIO(), watched=False, clock=lambda: now[0])
    for now[0] in (10.0, 50.0, 70.0, 80.0):
        progress.add({"files": 1, "bad": 0, "audio_s": 1.0, "bytes": 1})
    assert progress.stream.getvalue().count("\n") == 1
