"""The commands as people run them, with a cluster of this machine's."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.archive.cluster import REPOSITORY, parts_done, wait_until
from tests.archive.comparing import compare
from tests.archive.corpus import sound, write_recording


@pytest.fixture(scope="module")
def audiomon(tmp_path_factory, tiny_models):
    folder = tmp_path_factory.mktemp("archive")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "AUDIOMON_MODELS": str(tiny_models)}

    def start(*arguments):
        command = [sys.executable, "-m", "audiomon", *map(str, arguments)]
        return subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(*arguments):
        with start(*arguments) as process:
            out, err = process.communicate(timeout=300)
        assert "Traceback" not in err, err
        return process.returncode, out, err

    run.start, run.folder = start, folder
    return run


@pytest.fixture(scope="module")
def done(audiomon):
    """An archive that was interrupted, and then done by two drivers at once."""
    recordings, out = audiomon.folder / "recordings", audiomon.folder / "out"
    for index in range(12):
        name = f"site{index % 2}/20260301_04{index:02d}00.wav"
        write_recording(recordings / name, sound(np.random.default_rng(index), 16_000, 20.0), 16_000)
    (recordings / "site0/empty.wav").write_bytes(b"")
    command = ("classify", recordings, "--output", out, "--model", "tiny", "-j", "1", "--part-files", "1")
    interrupted = audiomon.start(*command)
    wait_until(lambda: parts_done(out), "a part is done")
    os.killpg(interrupted.pid, signal.SIGINT)  # Ctrl-C reaches every process of the terminal
    _, said = interrupted.communicate(timeout=120)
    drivers = [audiomon.start(*command) for _ in range(2)]
    ends = [(driver.communicate(timeout=300)[1], driver.returncode) for driver in drivers]
    return recordings, out, command, (interrupted.returncode, said), ends


@pytest.mark.timeout(600)
def test_interrupted_it_says_so_and_the_same_command_goes_on(done):
    _, _, _, (status, said), ends = done
    assert status in (75, 2), said  # the latter if it had done everything by then
    if status == 75:
        assert "interrupted" in said
        assert "the same command goes on" in said
    assert "Traceback" not in said
    for said_then, status_then in ends:
        assert status_then == 2, said_then
        assert "site0/empty.wav: is empty" in said_then


@pytest.mark.timeout(600)
def test_two_drivers_at_once_leave_every_row_once_and_equal_to_the_table(audiomon, done):
    recordings, out, *_ = done
    files = sorted(recordings.rglob("2*.wav"))
    _, table, _ = audiomon("classify", "--csv", "-j", "1", "--model", "tiny", *files)
    comparison = compare(table.encode(), recordings, out)
    assert comparison.equal, comparison
    assert comparison.statuses == {"ok": 12, "refused": 1}


@pytest.mark.timeout(600)
def test_a_dry_run_says_what_there_is_to_do_and_another_model_is_another_run(audiomon, done):
    _, out, command, *_ = done
    status, _, said = audiomon(*command, "--dry-run")
    assert status == 0
    assert ": 0 files (0.0 GB) in 0 parts to do, 13 files done" in said
    status, _, said = audiomon(*command, "--dry-run", "--hop", "0.25")
    assert "13 files" in said
    assert "0 files done" in said
    assert len(list((out / "plan").iterdir())) == 1
    status, _, said = audiomon(*command, "--dry-run", "--retry-errors")
    assert "1 files (0.0 GB) in 1 parts to do, 12 files done" in said


def test_questions_are_answered_in_tables_csv_pictures_and_clips(audiomon, done):
    pytest.importorskip("matplotlib")
    _, out, *_ = done
    status, said, _ = audiomon("query", out)
    assert status == 0
    assert "files: 12 ok, 1 refused" in said
    status, said, _ = audiomon("query", out, "--by-site", "--csv")
    header, *lines = said.splitlines()
    assert header == "site,day,label,rows,highest"
    assert {line.split(",")[0] for line in lines} == {"site0", "site1"}
    status, said, _ = audiomon("query", out, "--sql", "select count(*) as n from files", "--csv")
    assert said == "n\n13\n"
    _, said, _ = audiomon("query", out, "--sql", "select '=1+1' as a, -1 as b, 'x' || chr(27) as c", "--csv")
    assert said == "a,b,c\n'=1+1,-1,x\\x1b\n"
    files = ["--plot", "hours.png", "--clips", "clips", "--raven", "raven.txt", "--surest", "2"]
    status, said, _ = audiomon("query", out, *files)
    assert (status, said) == (0, "")
    assert (audiomon.folder / "hours.png").stat().st_size > 5_000
    clips = list((audiomon.folder / "clips").rglob("*.flac"))
    assert clips
    assert len((audiomon.folder / "raven.txt").read_text().splitlines()) == len(clips) + 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("classify", "x.wav", "--scheduler", "tcp://127.0.0.1:1"), "--scheduler needs --output"),
        (("classify", "x.wav", "--output", "out", "--csv"), "exclude each other"),
        (("classify", "absent", "--output", "out"), "absent: no such file or folder"),
        (("classify", "x.wav", "--output", "out", "--memory", "much"), "is not a size"),
        (("query", "."), "no results of"),
        (("query", "nonsense://x"), "nonsense"),
    ],
)
def test_a_mistake_is_one_clear_line(audiomon, arguments, reason):
    status, _, said = audiomon(*arguments)
    assert status == 2
    assert reason in said
    assert len(said.strip().splitlines()) == 1


def test_sql_that_is_wrong_is_one_clear_line(audiomon, done):
    status, _, said = audiomon("query", done[1], "--sql", "select nothing from nowhere")
    assert status == 2
    assert len(said.strip().splitlines()) == 1
    assert "nowhere" in said
