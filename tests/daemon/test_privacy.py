"""What a running service opens, by every call to the kernel from its first instruction to its last.

It writes to nothing outside its own folder, and talks to nobody but systemd, journald and the sound server.
"""

import re
import shutil
import sys
from collections.abc import Iterator

import pytest

from tests.daemon.daemon import running_daemon, wait_until

pytestmark = pytest.mark.mic

CONFIG = "model: float32\nhop_s: 0.1\nmicrophone:\n  device: mic\n"
OPENS = ("open", "openat", "creat")
CHANGES = ("mkdir", "mkdirat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "link", "linkat", "symlink")
CHANGES += ("symlinkat", "mknod", "mknodat", "truncate", "chmod", "fchmodat")
TALKS = ("socket", "bind", "connect", "sendto", "sendmsg")
FOR_WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND")
CALL = re.compile(r"^\d+ +(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>.*)$")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


@pytest.fixture
def calls(tmp_path, folder, own_virtual_microphone, monkeypatch):
    """All that a daemon does in a day, in a few seconds: hear, swap models, lose and find its microphone, stop."""
    if shutil.which("strace") is None:
        pytest.skip("no strace here (apt install strace)")
    log = tmp_path / "strace"
    wrapper = tmp_path / "traced-python"
    # -D: the daemon is this process, and strace its child.
    options = f"-D -f -q -s 300 -e trace={','.join((*OPENS, *CHANGES, *TALKS))} -o {log}"
    wrapper.write_text(f'#!/bin/sh\nexec strace {options} {sys.executable} "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", str(wrapper))
        with running_daemon(folder, own_virtual_microphone.environment, CONFIG) as daemon:
            daemon.wait_predictions(5)
            daemon.edit(CONFIG.replace("float32", "float16"))
            daemon.wait_for("model-swapped")
            own_virtual_microphone("unplug", "mic")
            daemon.wait_for("device-lost")
            own_virtual_microphone("plug", "mic")
            daemon.wait_for("device-back")
            daemon.wait_predictions(5)
            daemon.stop()
    # strace fills up short process numbers with spaces
    ended = re.compile(rf"^{daemon.process.pid} +\+\+\+ ", re.MULTILINE)
    wait_until(lambda: ended.search(log.read_text(errors="replace")), "the end of the trace")
    return list(parsed(log.read_text(errors="replace")))


def parsed(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if (call := CALL.match(line)) and not call["result"].startswith("-1"):
            yield call["name"], call["arguments"]


def test_a_service_writes_only_into_its_own_folder_and_talks_only_to_systemd_and_the_sound_server(calls, folder):
    written = {
        path for name, said in calls if name in OPENS and FOR_WRITING.search(said) for path in QUOTED.findall(said)
    }
    changed = {path for name, said in calls if name in CHANGES for path in QUOTED.findall(said)}
    # JACK's client library, which PortAudio looks for servers with, keeps a database of its own in memory.
    elsewhere = {path for path in written if not path.startswith(f"{folder}/runtime/") and "/jack_db-" not in path}
    assert elsewhere <= {"/dev/null", "/proc/self/oom_score_adj"}
    assert all(path == f"{folder}/runtime" or path.startswith(f"{folder}/runtime/") for path in changed), changed
    families = {said.split(",")[0] for name, said in calls if name == "socket"}
    assert families == {"AF_UNIX"}
    addresses = {path for name, said in calls if name in TALKS for path in re.findall(r'sun_path=@?"([^"]*)"', said)}
    assert addresses == {f"{folder}/notify", f"{folder}/microphone/socket"}
    # It has been watched at work: it did write what it may.
    assert f"{folder}/runtime/.status.json" in written
