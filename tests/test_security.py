"""What SECURITY.md promises, and no other test holds."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from audiomon.models.interpreter import installed_backends
from tests.models.tiny import write_tiny

REPOSITORY = Path(__file__).resolve().parents[1]
LOADS_CODE = {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle", "code", "pty"}
RUNS_ANYTHING = {"eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}


def calls(path: Path) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))


def test_nothing_is_unpickled_evaluated_or_given_to_a_shell():
    for path in (REPOSITORY / "audiomon").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not LOADS_CODE & {name.split(".")[0] for name in names}, path
        for call in calls(path):
            assert ast.unparse(call.func) not in RUNS_ANYTHING, f"{path}:{call.lineno}"
            options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            assert options.get("shell", "False") == "False", f"{path}:{call.lineno}"
            assert options.get("allow_pickle", "False") == "False", f"{path}:{call.lineno}"


# Tries all that a hostile model in control of the checking process would, once it has limited itself.
ATTEMPTS = """
import json, os, resource, sys
from audiomon.models.checking import limit_resources
limit_resources(1 << 30)
found = {}
def attempt(name, do):
    try:
        do()
        found[name] = "done"
    except (OSError, MemoryError, ValueError) as error:
        found[name] = type(error).__name__
found["oom"] = int(open("/proc/self/oom_score_adj").read())
attempt("write", lambda: open(sys.argv[1], "wb", buffering=0).write(b"x"))
attempt("allocate", lambda: bytearray(1 << 30))
attempt("take the limits back", lambda: resource.setrlimit(resource.RLIMIT_CPU, (10_000, 10_000)))
attempt("allocate a little", lambda: bytearray(64 << 20))
found["cpu_s"] = resource.getrlimit(resource.RLIMIT_CPU)
found["core"] = resource.getrlimit(resource.RLIMIT_CORE)[1]
attempt("descriptors", lambda: [os.open("/", os.O_RDONLY) for _ in range(100)])
print(json.dumps(found))
"""


def test_the_checking_process_takes_from_itself_what_a_hostile_model_could_use(tmp_path):
    # Not as root, who may raise a limit again.
    user = {"user": 65_534, "group": 65_534, "extra_groups": []} if os.geteuid() == 0 else {}
    try:
        readable = subprocess.run([sys.executable, "-c", ""], **user, capture_output=True).returncode == 0
    except PermissionError:
        readable = False
    if not readable:
        pytest.skip("this Python may not be run by another user")
    tmp_path.chmod(0o777)
    target = Path("/dev/shm") / f"audiomon-test-{os.getpid()}"
    try:
        finished = subprocess.run(
            [sys.executable, "-c", ATTEMPTS, target],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OPENBLAS_NUM_THREADS": "1"},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
            **user,
        )
        assert finished.returncode == 0, finished.stderr
        assert target.stat().st_size == 0
    finally:
        target.unlink(missing_ok=True)
    assert json.loads(finished.stdout) == {
        "write": "OSError",
        "allocate": "MemoryError",
        "descriptors": "OSError",
        "take the limits back": "ValueError",
        "allocate a little": "done",
        "cpu_s": [60, 65],  # SIGXCPU, then SIGKILL
        "core": 0,
        "oom": 1000,
    }


# Has a model's place taken by what says who it is run by, and what that one may do.
INTRUDER = """
import json, os, sys
from pathlib import Path
from audiomon.models import checking
class Classifier:
    def __init__(self, package, backend):
        capabilities = [line.split()[1] for line in open("/proc/self/status") if line[:6] in ("CapPrm", "CapEff")]
        terminal = os.getsid(0) != os.getpid()
        print(json.dumps([os.getresuid(), os.getresgid(), os.getgroups(), capabilities, terminal]))
        sys.exit()
checking.Classifier = Classifier
checking.verdict(Path(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_a_model_that_root_has_checked_runs_as_nobody(tmp_path):
    folder = write_tiny(tmp_path / "tiny")
    folder.chmod(0o700)  # read before the right to is given up
    command = [sys.executable, "-c", INTRUDER, folder, installed_backends()[0]]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    nobody = [65_534] * 3
    assert json.loads(finished.stdout.splitlines()[-1]) == [nobody, nobody, [], ["0" * 16] * 2, False]


def test_files_that_anybody_may_change_are_warned_of_by_check(tmp_path):
    folder = write_tiny(tmp_path / "models" / "open")
    (folder / "model.tflite").chmod(0o666)
    config = tmp_path / "audiomon.yaml"
    config.write_text(f"model: {folder}\n", encoding="utf-8")
    finished = subprocess.run(
        [sys.executable, "-m", "audiomon", "check", "--no-device", "--config", config],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished
    warnings = [line for line in finished.stdout.splitlines() if line.startswith("WARNING")]
    assert len(warnings) == 1, finished.stdout
    assert warnings[0].endswith(f"chmod o-w {folder}/model.tflite")
