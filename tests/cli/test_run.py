import os
import select
import signal
import time

import pytest
from click.testing import CliRunner

from audiomon.cli import cli
from tests.cli.command import noise

RAW = ("run", "--input", "-", "--rate", "16000")


def wait_for_output(process, text: bytes, deadline_s: float = 60) -> bytes:
    """Read until ``text`` has come; fail at the deadline."""
    seen = b""
    give_up = time.monotonic() + deadline_s
    while text not in seen:
        assert time.monotonic() < give_up, seen
        if select.select([process.stdout], [], [], 0.1)[0]:
            chunk = os.read(process.stdout.fileno(), 65536)
            assert chunk, (seen, process.stderr.read())
            seen += chunk
    return seen


def test_a_file_is_heard_to_its_end_and_summed_up(audiomon):
    path = audiomon.write_audio("heard.wav", noise(2.0))
    lines = audiomon("run", "--json", "--input", path).json
    assert lines[0]["type"] == "status"
    assert lines[0]["kind"] == "listening"
    assert lines[0]["hop_s"] == 0.32  # 20 frames of 16 ms, a whole window, are as near to 0.5 s as it gets
    assert lines[-1]["kind"] == "summary"
    predictions = [line for line in lines if line["type"] == "prediction"]
    assert lines[-1]["predictions"] == len(predictions) > 0
    assert lines[-1]["lost"] == 0


def test_names_of_files_are_printed_escaped(audiomon):
    path = audiomon.write_audio("red\x1b[31m\n.wav", noise(2.0))
    config = audiomon.folder / "blue\x1b[34m.yaml"
    config.write_text("")
    said = audiomon("run", "--input", path, "--config", config).out.splitlines()[0]
    assert "/red\\x1b[31m\\n.wav (16000 Hz) with " in said
    assert said.endswith("/blue\\x1b[34m.yaml")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_summary_and_without_a_traceback(audiomon, number):
    path = audiomon.write_audio("long.wav", noise(60.0))
    with audiomon.start("run", "--input", path, "--realtime") as process:
        wait_for_output(process, b" ms\n")
        process.send_signal(number)
        out, err = process.communicate(timeout=40)  # the recording itself would last longer
    assert process.returncode == 0, err
    assert b"predictions over" in out
    assert b"Traceback" not in err


def test_a_signal_ends_it_while_standard_input_says_nothing(audiomon):
    with audiomon.start(*RAW, stdin=-1) as process:
        process.stdin.write(noise(1.0).tobytes())
        process.stdin.flush()
        wait_for_output(process, b" ms\n")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert b"predictions over" in out


def test_a_reader_that_goes_away_ends_it_quietly(audiomon):
    path = audiomon.write_audio("long.wav", noise(60.0))
    with audiomon.start("run", "--json", "--input", path) as process:
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        process.wait(60)
    assert b"Traceback" not in err, err
    assert process.returncode == 0


def test_standard_input_that_ends_mid_sample_is_refused_after_all_whole_samples(audiomon):
    finished = audiomon(*RAW, "--json", stdin=noise(1.0).tobytes() + b"x")
    assert "ends in the middle of a sample" in finished.refused()
    assert finished.json[-1]["kind"] == "summary"
    assert finished.json[-1]["predictions"] > 0


def test_raw_input_without_a_rate_is_a_usage_error(audiomon):
    finished = audiomon("run", "--input", "-")
    assert finished.status == 2
    assert "add --rate" in finished.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--rate", "16000"), "--rate goes with --input -"),
        (("--input", "a.wav", "--channels", "1"), "--channels goes with --input -"),
        (("--realtime",), "--realtime goes with --input FILE"),
        (("--input", "-", "--rate", "16000", "--realtime"), "--realtime goes with --input FILE"),
        (("--input", "a.wav", "--device", "usb"), "--device names a microphone"),
    ],
)
def test_an_option_that_would_count_for_nothing_is_a_usage_error(options, words):
    refused = CliRunner().invoke(cli, ["run", *options])
    assert refused.exit_code == 2
    assert words in refused.stderr


def test_only_changes_or_events_are_written_when_asked(audiomon):
    path = audiomon.write_audio("steady.wav", noise(4.0))
    every = audiomon("run", "--json", "--input", path).json
    changes = audiomon("run", "--json", "--input", path, "--predictions", "changes").json
    events = audiomon("run", "--json", "--input", path, "--predictions", "events").json
    assert sum(line["type"] == "prediction" for line in every) > 5
    assert sum(line["type"] == "prediction" for line in changes) == 1
    assert sum(line["type"] == "prediction" for line in events) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model: tiny\nhopp_s: 1\n", ":2: hopp_s: is not a key that is known here; did you mean hop_s?"),
        ("model: [\n", "is not valid YAML"),
        ("model: absent\n", ":1: model: there is no model 'absent'; there are: "),
        (
            "model: tiny\ndecisions:\n  labels:\n    cat: {on: 0.5}\n",
            ":4: decisions.labels.cat: the model has no label",
        ),
        ("model: tiny\ndecisions:\n  on: 0.3\n  off: 0.5\n", ":4: decisions.off: baby_cry would turn on at 0.3"),
    ],
)
def test_a_wrong_configuration_is_named_by_line_and_key(audiomon, text, expected):
    path = audiomon.folder / "wrong.yaml"
    path.write_text(text)
    audio = audiomon.write_audio("any.wav", noise(1.0))
    line = audiomon("run", "--config", path, "--input", audio, model=None).refused()
    assert line.startswith(f"audiomon: {path}")
    assert expected in line


def test_a_missing_model_lists_those_there_are(audiomon):
    line = audiomon("run", model="absent").refused()
    assert line.startswith("audiomon: there is no model 'absent'; there are: ")
    assert "tiny" in line
