"""Output as it is found: full, closed, of another encoding; and Ctrl-C at any moment."""

import os
import signal
import subprocess
import sys
import time

import pytest

from audiomon.cli.terminal_text import open_streams


def run(*arguments: str, **options) -> "subprocess.CompletedProcess[bytes]":
    environment = {**os.environ, **options.pop("env", {})}
    command = [sys.executable, "-m", "audiomon", *arguments]
    return subprocess.run(command, timeout=60, check=False, env=environment, stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize("arguments", [("--help",), ("models",), ("--version",)])
def test_a_full_disk_is_one_line(arguments):
    with open("/dev/full", "wb") as full:
        finished = run(*arguments, stdout=full)
    assert finished.returncode == 1
    assert finished.stderr == b"audiomon: what it says cannot be written: No space left on device\n"


def test_closed_output_is_quiet():
    command = f"{sys.executable} -m audiomon models >&- 2>&-"
    assert subprocess.run(command, shell=True, timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("encoding", ["latin-1", "iso8859-2", "utf-8"])
def test_help_is_written_in_whatever_encoding_the_terminal_has(encoding):
    finished = run("--help", stdout=subprocess.PIPE, env={"PYTHONIOENCODING": encoding})
    assert finished.returncode == 0, finished
    assert b"classify FILE" + ("…" if encoding == "utf-8" else "...").encode() in finished.stdout


def test_signs_that_an_encoding_lacks_are_replaced_and_foreign_bytes_shown_as_such(tmp_path, monkeypatch):
    with (tmp_path / "out.txt").open("w", encoding="latin-1") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        open_streams()
        stream.write("dog ██▍ µs 狗 K\udcfcche ü")
    assert (tmp_path / "out.txt").read_bytes() == "dog ##= µs \\u72d7 K\\xfcche ü".encode("latin-1")


def test_a_command_that_does_not_exist_is_answered_with_one_that_does():
    assert b"there is no command 'clasify'; did you mean 'classify'?" in run("clasify").stderr
    assert b"did you mean 'show'?" in run("models", "shwo").stderr
    assert b"there are run, reload" in run("xyz").stderr


@pytest.mark.parametrize("after_s", [0.05, 0.1, 0.2, 0.4, 0.8])
def test_ctrl_c_while_modules_are_imported_is_quiet(after_s):
    command = [sys.executable, "-c", "from audiomon.__main__ import main; print(flush=True); main()"]
    with subprocess.Popen([*command, "train", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        time.sleep(after_s)  # any moment will do
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    # It may have ended before.
    assert process.returncode in (130, 0, -signal.SIGINT)
    assert b"Traceback" not in err
