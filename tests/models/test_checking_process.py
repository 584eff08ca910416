"""The process that checks a package, and what its caller makes of whatever it does."""

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from audiomon.errors import ConfigError, ModelError
from audiomon.models import checking, checking_process
from audiomon.models.checking_process import CheckingProcess
from audiomon.models.importing.write import write_package
from audiomon.models.interpreter import installed_backends
from audiomon.models.package import read_package
from tests.models.hostile import (
    endless,
    huge,
    long_name,
    not_numbers,
    other_number_of_scores,
    remembering,
    slow_to_load,
    without_inputs,
    write_package_of,
)
from tests.models.tiny import content, manifest, replace_in_manifest, replace_weights

# One byte of float32.tflite, an offset, that makes tflite-runtime 2.14 read outside its memory. LiteRT verifies first.
DAMAGED_OFFSET = 36


@pytest.mark.skipif("tflite-runtime" not in installed_backends(), reason="tflite-runtime does not work here")
def test_a_model_that_crashes_the_runtime_takes_the_checking_process_and_nothing_else(folder, monkeypatch):
    # What it may fill: this, less its weights, which the caller reads meanwhile, and what is kept.
    left = (200 << 20) + len(content("float32"))
    monkeypatch.setattr(checking_process, "memory_left_bytes", lambda: left)
    damaged = bytearray(content("float32"))
    damaged[DAMAGED_OFFSET] = 255
    replace_weights(folder, bytes(damaged))
    with pytest.raises(ModelError) as caught:
        CheckingProcess(folder, "tflite-runtime").wait()
    assert str(caught.value) == (
        f"{folder}/model.tflite: crashes tflite-runtime (SIGSEGV): the model is damaged, or needs more than "
        f"192 MiB of memory"
    )
    with pytest.raises(ModelError, match="crashes tflite-runtime"):
        write_package(folder, bytes(damaged), manifest(), "# New\n", backend="tflite-runtime")
    assert read_package(folder).content == bytes(damaged)


@pytest.fixture
def stopped_check(folder, backend):
    """A checking process that stands still before it has read anything."""
    checking = CheckingProcess(folder, backend)
    os.kill(checking.pid, signal.SIGSTOP)
    yield checking
    checking.kill()


@pytest.mark.parametrize(
    ("blow", "said"),
    [
        (signal.SIGSEGV, "crashes {} (SIGSEGV): the model is damaged, or needs more than "),
        (signal.SIGABRT, "crashes {} (SIGABRT): the model is damaged, or needs more than "),
        (signal.SIGKILL, "its check was killed (SIGKILL), as the system does when memory runs out"),
        (signal.SIGXCPU, "its self-test took longer than 60 s"),
        (signal.SIGRTMIN + 3, "crashes {} (signal 37): "),
    ],
)
def test_whatever_ends_the_checking_process_is_named(stopped_check, blow, said, folder, backend):
    os.kill(stopped_check.pid, blow)
    os.kill(stopped_check.pid, signal.SIGCONT)
    with pytest.raises(ModelError) as caught:
        stopped_check.wait()
    assert str(caught.value).startswith(f"{folder}/model.tflite: {said.format(backend)}")


def test_a_check_that_never_ends_is_ended(stopped_check, monkeypatch):
    monkeypatch.setattr(checking_process, "MAX_CHECK_S", 0.1)
    with pytest.raises(ModelError, match="its self-test took longer than"):
        stopped_check.wait()
    with pytest.raises(ProcessLookupError):
        os.kill(stopped_check.pid, 0)


def test_what_a_check_found_is_what_its_caller_gets(stopped_check, folder):
    replace_in_manifest(folder, "[background, baby_cry", "[baby_cry, background")
    os.kill(stopped_check.pid, signal.SIGCONT)
    assert stopped_check.package().manifest.labels[0] == "baby_cry"


@pytest.mark.parametrize("file", ["model.yaml", "model.tflite"])
def test_a_package_that_changes_after_its_check_is_refused(folder, backend, file):
    checking = CheckingProcess(folder, backend)
    checking._reading.join()
    with (folder / file).open("ab") as changed:
        changed.write(b"# ")
    with pytest.raises(ModelError) as caught:
        checking.wait()
    assert str(caught.value) == f"{folder}: changed while it was being checked; try again"


def test_a_manifest_is_understood_by_the_other_process_first(stopped_check, folder):
    """Whatever it takes to read a stranger's manifest, its caller waits for it, and does something else meanwhile."""
    (folder / "model.yaml").write_text("format: 1\nlabels: {\n")
    assert not stopped_check.ended
    assert stopped_check._understood is None
    os.kill(stopped_check.pid, signal.SIGCONT)
    with pytest.raises(ConfigError, match="is not valid YAML") as caught:
        stopped_check.package()
    assert (caught.value.path, caught.value.line) == (folder / "model.yaml", 3)


def test_a_manifest_that_takes_too_long_to_read_is_refused_and_not_read_again(folder, backend, monkeypatch):
    monkeypatch.setattr(checking, "MAX_READ_S", 0.0)
    verdict = checking.verdict(folder, backend)
    assert "s to read; at most 0 s are allowed" in verdict.error
    assert verdict.file == "model.yaml"


def test_a_checking_process_that_cannot_even_start_says_why(folder, backend, monkeypatch, tmp_path):
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / "msgspec.py").write_text("raise ImportError('no msgspec for this machine')\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "shadow"), *sys.path])
    with pytest.raises(ModelError, match="could not be checked: ImportError: no msgspec for this machine"):
        CheckingProcess(folder, backend).wait()


def test_nothing_in_the_current_folder_gets_into_the_checking_process(folder, backend, monkeypatch, tmp_path):
    (tmp_path / "msgspec.py").write_text("raise SystemExit('taken over')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    CheckingProcess(folder, backend).wait()


def test_a_package_named_by_a_relative_path_is_checked(folder, backend, monkeypatch):
    monkeypatch.setattr(sys, "path", [path or os.getcwd() for path in sys.path])
    monkeypatch.chdir(folder.parent)
    CheckingProcess(type(folder)("tiny"), backend).wait()


def test_the_checking_process_imports_nothing_that_it_does_not_need():
    heavy = {"soundfile", "sounddevice", "soxr", "click", "librosa", "scipy", "numba", "tensorflow", "matplotlib"}
    code = "import sys, audiomon.models.checking; print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not heavy & {name.split(".")[0] for name in printed.split()}


@contextlib.contextmanager
def taken_over(folder: Path, backend, monkeypatch, tmp_path, code: str):
    """A check whose process runs code of somebody else's, as a model that has taken it over would."""
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / "msgspec.py").write_text(code)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "path", [str(tmp_path / "shadow"), *sys.path])
        checking = CheckingProcess(folder, backend)
    try:
        yield checking
    finally:
        checking.kill()


def test_a_check_that_prints_without_end_is_ended_and_refused(folder, backend, monkeypatch, tmp_path):
    endless = "import os\nwhile True:\n    os.write(1, bytes(65536))\n"
    with taken_over(folder, backend, monkeypatch, tmp_path, endless) as checking:
        with pytest.raises(ModelError, match="its check printed more than 4 MiB: do not use it"):
            checking.wait()
        assert len(checking._output) <= checking_process.MAX_OUTPUT_BYTES + (1 << 16)
        with pytest.raises(ProcessLookupError):
            os.kill(checking.pid, 0)


def test_an_error_of_any_length_is_cut(folder, backend, monkeypatch, tmp_path):
    long = """print('{"error": "' + 'y' * 3_000_000 + '"}', flush=True); import os; os._exit(0)"""
    with taken_over(folder, backend, monkeypatch, tmp_path, long) as checking:
        with pytest.raises(ModelError) as caught:
            checking.wait()
        assert str(caught.value) == "y" * 500


@pytest.mark.parametrize("answers", [[], [[]], [[0.25] * 4], [[0.25] * 5] * 4, [[0.25] * 3] * 4, [[0.25] * 4] * 5])
def test_answers_of_another_shape_than_the_manifests_are_a_refusal(folder, backend, monkeypatch, tmp_path, answers):
    package = read_package(folder)
    verdict = {"fingerprint": package.fingerprint, "answers": answers}
    lines = {"digest": package.digest}, verdict
    code = f"import json, os; [print(json.dumps(line), flush=True) for line in {lines!r}]; os._exit(0)"
    refused = pytest.raises(ModelError, match="gives another number of scores than its manifest has")
    with taken_over(folder, backend, monkeypatch, tmp_path, code) as checking, refused:
        checking.wait()


def test_a_check_whose_children_keep_its_output_open_can_be_ended(folder, backend, monkeypatch, tmp_path):
    monkeypatch.setattr(checking_process, "_MAX_END_S", 0.1)
    code = "import os, time\nif os.fork() == 0:\n    os.write(1, f'{os.getpid()}\\n'.encode())\ntime.sleep(600)\n"
    with taken_over(folder, backend, monkeypatch, tmp_path, code) as checking:
        while b"\n" not in checking._output:
            assert not checking.ended
        checking.kill()
        os.kill(int(checking._output), signal.SIGKILL)


# Starts the check of a model that loops without end, and is killed.
CALLER = """
import os, pathlib, signal, sys
from audiomon.models.checking_process import CheckingProcess
checking = CheckingProcess(pathlib.Path(sys.argv[1]), sys.argv[2])
print(checking.pid, flush=True)
sys.stdin.read()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_check_ends_with_its_caller(tmp_path, backend):
    folder = write_package_of(tmp_path / "endless", endless(when_loud=False))
    command = [sys.executable, "-c", CALLER, folder, backend]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as caller:
        checking = os.pidfd_open(int(caller.stdout.readline()))
        caller.stdin.close()
        assert caller.wait(60) == -signal.SIGKILL
    try:
        # Well before the minute of CPU time at which it would end by itself.
        assert select.select([checking], [], [], 30)[0]
    finally:
        os.close(checking)


# Holds Python's lock, as loading a model does, once it is to end with its caller.
HOLDER = """
import ctypes
from audiomon.models.checking import end_with_caller
end_with_caller()
print("holding", flush=True)
ctypes.PyDLL(None).sleep(600)
"""


def test_a_check_ends_with_its_caller_while_loading_holds_pythons_lock():
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout.readline() == b"holding\n"
            holder.stdin.close()  # as the kernel does for a caller that has ended
            assert holder.wait(60) == -signal.SIGIO
        finally:
            holder.kill()


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lambda: other_number_of_scores(1), "gives 5 scores for 4 labels"),
        (lambda: other_number_of_scores(-1), "gives 3 scores for 4 labels"),
        (lambda: other_number_of_scores(-4), "fails in "),
        (lambda: other_number_of_scores(0, when_loud=1), "gives 8 scores for 4 labels"),
        (without_inputs, "has 0 inputs and 1 outputs; audiomon needs one input and an output"),
        (lambda: not_numbers(value="nan"), "answers with scores that are not numbers"),
        (lambda: not_numbers(value="inf"), "answers with scores that are not numbers"),
        (lambda: huge(gigabytes=2), ""),
        (lambda: slow_to_load(24_000), "s to load, during which nothing can listen; at most 0.4 s are allowed"),
        (lambda: long_name(2_000_000), "has a tensor whose name is 2000001 characters long; is it damaged?"),
        (lambda: long_name(900, outputs=20), "has 20 outputs; say which one has the scores"),
    ],
    ids=["more", "fewer", "none", "loud", "deaf", "nan", "inf", "huge", "slow", "name", "names"],
)
def test_a_hostile_model_costs_its_refusal_by_name(tmp_path, backend, model, said):
    folder = write_package_of(tmp_path / "hostile", model())
    with pytest.raises(ModelError) as caught:
        CheckingProcess(folder, backend).wait()
    assert str(caught.value).startswith(f"{folder}/model.tflite: ")
    assert said in str(caught.value)
    assert len(caught.value.reason) <= checking_process.MAX_ERROR_CHARS


@pytest.mark.parametrize(
    ("left_mib", "said"),
    [(200, ".*(for its check here|crashes )"), (2, "its check needs more memory than .*: 0 MiB")],
)
def test_a_model_that_needs_more_memory_than_is_left_is_refused_before_it_has_taken_it(
    tmp_path, backend, monkeypatch, left_mib, said
):
    folder = write_package_of(tmp_path / "hungry", huge(gigabytes=0.3))
    monkeypatch.setattr(checking_process, "memory_left_bytes", lambda: left_mib << 20)
    with pytest.raises(ModelError, match=f"/model.tflite: {said}") as caught:
        CheckingProcess(folder, backend).wait()
    assert "SIGKILL" not in str(caught.value)


def test_a_model_that_reads_what_it_never_wrote_is_refused_for_whatever_it_finds_there(tmp_path, backend):
    folder = write_package_of(tmp_path / "hostile", remembering())
    with pytest.raises((ModelError, ConfigError)) as caught:  # scores that are no softmax are a fault of model.yaml
        CheckingProcess(folder, backend).wait()
    assert str(caught.value).startswith(f"{folder}/model.")


@pytest.mark.parametrize("when_loud", [False, True])
def test_a_model_that_loops_without_end_is_ended_by_name(tmp_path, backend, monkeypatch, when_loud):
    monkeypatch.setattr(checking_process, "MAX_CHECK_S", 1.5)
    folder = write_package_of(tmp_path / "endless", endless(when_loud=when_loud))
    with pytest.raises(ModelError, match=r"/model\.tflite: its self-test took longer than 1\.5 s"):
        CheckingProcess(folder, backend).wait()


def test_a_model_made_by_hand_that_does_nothing_wrong_passes(tmp_path, backend):
    CheckingProcess(write_package_of(tmp_path / "plain", slow_to_load(2)), backend).wait()
