import csv
import io
import json
import os
import shutil
import signal
from pathlib import Path

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


def test_what_a_damaged_file_gave_is_said_in_text_too(audiomon):
    bad_files(audiomon)
    finished = audiomon("classify", audiomon.folder / "truncated.wav")
    assert finished.status == 2
    assert len(finished.out.splitlines()) == 2
    assert "truncated" in finished.refused()


def test_a_folder_stands_for_the_recordings_in_it_hidden_ones_left_out(audiomon):
    folder = audiomon.folder / "archive" / "2026"
    folder.mkdir(parents=True)
    for name in ("b.wav", "a.flac"):
        audiomon.write_audio(f"archive/2026/{name}", noise(1.5))
    (folder / "._a.flac").write_bytes(b"\0\5\x16\7" + bytes(60))
    (folder / "notes.txt").write_text("none")
    finished = audiomon("classify", "archive")
    assert finished.status == 0, finished
    names = [line for line in finished.out.splitlines() if not line.startswith(" ")]
    assert names == ["archive/2026/a.flac", "archive/2026/b.wav"]


def test_names_that_are_not_utf_8_are_escaped_and_the_others_go_on(audiomon, recording):
    strange = os.fsencode(audiomon.folder) + b"/K\xfcche.wav"
    shutil.copy(recording, os.fsdecode(strange))
    for form in ((), ("--json",), ("--csv", "-j", "2")):
        finished = audiomon("classify", *form, os.fsdecode(strange), recording)
        assert finished.status == 0, finished
        assert "K\\xfcche.wav" in finished.out.replace("\\\\", "\\")
        assert str(recording) in finished.out


def test_a_recording_comes_through_a_pipe_or_standard_input(audiomon, recording):
    expected = audiomon("classify", recording).out.splitlines()[1:]
    piped = audiomon("classify", "-", stdin=recording.read_bytes())
    assert piped.out.splitlines() == ["-", *expected]
    fifo = audiomon.folder / "fifo.wav"
    os.mkfifo(fifo)
    with audiomon.start("classify", fifo) as process:
        fifo.write_bytes(recording.read_bytes())
        assert process.communicate(timeout=60)[0].decode().splitlines()[1:] == expected
    assert "is empty" in audiomon("classify", "-").refused()


def test_two_forms_at_once_are_refused(audiomon, recording):
    assert "--json and --csv are two forms" in audiomon("classify", "--json", "--csv", recording).refused()
    assert "of one file" in audiomon("classify", "--audacity", recording, recording).refused()


def test_rows_come_while_the_file_is_still_being_heard(audiomon):
    path = audiomon.write_audio("long.wav", noise(600.0))
    with audiomon.start("classify", "--json", "--hop", "0.05", path) as process:
        assert json.loads(process.stdout.readline())["position_s"] < 2
        assert process.poll() is None
        process.stdout.close()  # as `| head -1` does
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == b""


def test_ctrl_c_is_quiet_and_leaves_no_processes(audiomon):
    path = audiomon.write_audio("long.wav", noise(600.0))
    arguments = ("classify", "--json", "--hop", "0.05", "-j", "2", path, path)
    with audiomon.start(*arguments, start_new_session=True) as process:
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr.read().strip() == b""
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)


def test_a_killed_process_costs_its_own_file_only(audiomon, recording):
    path = audiomon.write_audio("long.wav", noise(600.0))
    with audiomon.start("classify", "--json", "--hop", "0.05", "-j", "2", path, recording) as process:
        process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert (
        err.decode()
        == f"audiomon: {path}: the process that read it was killed (SIGKILL); the rest of it is not heard\n"
    )
    assert json.loads(out.splitlines()[-1])["file"] == str(recording)


def test_events_are_said_with_their_beginning_and_end(audiomon, recording):
    config = audiomon.folder / "keen.yaml"
    config.write_text("decisions: {on: 0.01, off: 0.005}\n")
    events = audiomon("classify", "--json", "--events", "--config", config, recording).json
    assert events
    for event in events:
        assert event.keys() == {"type", "model_sha256", "file", "label", "begin_s", "end_s", "score"}
        assert 0 <= event["begin_s"] < event["end_s"] <= 3
    table = audiomon("classify", "--raven", "--config", config, recording).out.splitlines()
    assert len(table) == 1 + len(events)
