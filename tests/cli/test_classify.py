import csv
import io

import numpy as np
import pytest

from tests.cli.command import noise
from tests.models.tiny import LABELS, LOG_MEL


@pytest.fixture(scope="module")
def recording(audiomon):
    return audiomon.write_audio("noise.wav", noise(3.0))


def test_every_window_is_a_json_line_with_the_stable_keys(audiomon, recording):
    lines = audiomon("classify", "--json", "--hop", "0.16", recording).json
    hop_s = 10 * LOG_MEL.hop_length / 16_000
    expected = np.arange(LOG_MEL.window_s, 3.0 + 1e-9, hop_s)
    assert [line["position_s"] for line in lines] == pytest.approx(expected.tolist())
    for line in lines:
        assert line["type"] == "prediction"
        assert line["file"] == str(recording)
        assert line.keys() >= {"time", "label", "score", "scores", "features_us", "inference_us", "lag_ms"}
        assert list(line["scores"]) == list(LABELS)
        assert line["score"] == max(line["scores"].values()) == line["scores"][line["label"]]


def test_a_table_has_a_header_once_and_a_row_for_every_window(audiomon, recording):
    other = audiomon.write_audio("other.wav", noise(1.0))
    finished = audiomon("classify", "--csv", recording, other)
    rows = list(csv.reader(io.StringIO(finished.out)))
    assert rows[0] == ["file", "position_s", "label", "score", *LABELS]
    assert {row[0] for row in rows[1:]} == {str(recording), str(other)}
    assert sum(row[0] == "file" for row in rows) == 1


def test_several_processes_give_the_same_bytes_as_one_in_the_same_order(audiomon, recording):
    others = [audiomon.write_audio(f"part{index}.wav", noise(3.0)[index * 5000 :]) for index in range(5)]
    files = [recording, *others]
    alone = audiomon("classify", "--csv", "--jobs", "1", *files)
    together = audiomon("classify", "--csv", "--jobs", "3", *files)
    assert alone.status == together.status == 0
    assert together.out == alone.out


def test_offline_and_live_scores_are_equal_to_the_bit(audiomon, recording):
    offline = audiomon("classify", "--json", recording).json
    raw = noise(3.0).tobytes()
    piped = audiomon("run", "--json", "--input", "-", "--rate", "16000", stdin=raw).json
    paced = audiomon("run", "--json", "--input", recording, "--realtime").json
    for live in (piped, paced):
        predictions = [line for line in live if line["type"] == "prediction"]
        assert [line["scores"] for line in predictions] == [line["scores"] for line in offline]
        assert [line["position_s"] for line in predictions] == [line["position_s"] for line in offline]


def test_neighbouring_windows_of_one_label_are_one_line_for_people(audiomon, recording):
    lines = audiomon("classify", recording).out.splitlines()
    assert lines[0] == str(recording)
    assert len(lines) == 2, lines  # steady noise is one thing all along
    assert lines[1].split()[:3] == ["0.00", "-", "2.90"]


@pytest.mark.parametrize(("sample_rate", "channels"), [(192_000, 1), (16_000, 8), (8_000, 2), (44_100, 1)])
def test_any_rate_and_any_number_of_channels_is_heard(audiomon, sample_rate, channels):
    pytest.importorskip("soxr")
    path = audiomon.write_audio("odd.wav", noise(2.0, sample_rate, channels), sample_rate)
    lines = audiomon("classify", "--json", path).json
    assert lines[-1]["position_s"] == pytest.approx(2.0, abs=0.5)


def test_bad_files_among_good_ones_are_named_and_the_good_ones_still_answered(audiomon, recording):
    text = audiomon.folder / "notes.txt"
    text.write_text("this is not audio")
    finished = audiomon("classify", text, recording, audiomon.folder / "absent.wav")
    assert finished.status == 2
    assert str(recording) in finished.out
    assert [line.split(": ")[1] for line in finished.err.splitlines()] == [
        str(text),
        str(audiomon.folder / "absent.wav"),
    ]


def bad_files(audiomon):
    folder = audiomon.folder
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("RIFF? no.")
    whole = audiomon.write_audio("whole.flac", noise(2.0)).read_bytes()
    (folder / "truncated.flac").write_bytes(whole[: len(whole) // 2])
    wav = audiomon.write_audio("whole.wav", noise(2.0)).read_bytes()
    (folder / "truncated.wav").write_bytes(wav[: len(wav) // 2])
    audiomon.write_audio("one.wav", noise(1.0)[:1])
    samples = noise(2.0).astype(np.float32) / 32768
    for name, value in (("nan", np.nan), ("infinity", np.inf), ("minus_infinity", -np.inf)):
        poisoned = samples.copy()
        poisoned[20_000] = value
        audiomon.write_audio(f"{name}.wav", poisoned, subtype="FLOAT")
    (folder / "folder.wav").mkdir(exist_ok=True)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("absent.wav", "no such file"),
        ("folder.wav", "holds no audio"),
        ("empty.wav", "is empty"),
        ("text.wav", "is not audio"),
        ("truncated.flac", "truncated|damaged"),
        ("truncated.wav", "truncated"),
        ("one.wav", "less than one window"),
        ("nan.wav", "not a number at 1.250 s"),
        ("infinity.wav", "not a number at 1.250 s"),
        ("minus_infinity.wav", "not a number at 1.250 s"),
    ],
)
def test_a_file_that_cannot_be_classified_gets_one_clear_line(audiomon, name, reason):
    bad_files(audiomon)
    line = audiomon("classify", audiomon.folder / name).refused()
    assert str(audiomon.folder / name) in line
    assert any(word in line for word in reason.split("|")), line


def test_what_a_truncated_file_still_holds_is_classified_all_the_same(audiomon):
    bad_files(audiomon)
    finished = audiomon("classify", "--json", audiomon.folder / "truncated.wav")
    assert finished.status == 2
    assert finished.json[-1]["position_s"] == pytest.approx(1.0, abs=0.5)
