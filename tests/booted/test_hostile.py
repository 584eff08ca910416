"""What strangers' models, other users of the machine and bad luck do to a running service: nothing that lasts.

Each test leaves it running with the model home.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.booted.service import CONFIG, PATIENCE_S, message_id, run, wait_for
from tests.models.hostile import endless, huge, long_name, not_numbers, slow_to_load, write_package_of

MODELS = Path("/usr/local/share/audiomon/models")
NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
NOTIFY = {**os.environ, "NOTIFY_SOCKET": "/run/systemd/notify"}
FORGED = """
import socket, sys
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
fields = [line.encode().decode("unicode_escape") for line in sys.argv[1:]]
journal.sendto("".join(field + "\\n" for field in fields).encode(), "/run/systemd/journal/socket")
"""
TRICKLE = """
import sys, time
with open(sys.argv[1], "wb", buffering=0) as pipe:
    while True:
        pipe.write(b"#")
        time.sleep(1)
"""


@pytest.fixture(autouse=True)
def as_before(service) -> Iterator[None]:
    text = CONFIG.read_text(encoding="utf-8")
    service.wait_for_prediction(service.cursor(), AUDIOMON_MODEL="home")
    yield
    if CONFIG.read_text(encoding="utf-8") != text:
        draft = CONFIG.with_suffix(".tmp")
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, CONFIG)
    service.wait_for_prediction(service.cursor(), deadline_s=90, AUDIOMON_MODEL="home")


def test_a_model_that_fails_as_it_listens_gives_way_in_the_same_process(service):
    write_package_of(MODELS / "stranger", not_numbers(value="nan", middling=True))
    pid, after = service.pid, service.cursor()
    service.edit("model: home", "model: stranger")
    reverted = service.wait_for_entry(after, MESSAGE_ID=message_id("model-reverted"))
    assert reverted["MESSAGE"].startswith("Back to home: ")
    assert "stranger is not tried again until its files change" in reverted["MESSAGE"]
    service.wait_for_prediction(service.cursor(), AUDIOMON_MODEL="home")
    assert service.pid == pid


@pytest.mark.parametrize("ends", ["crash", "hang", "memory", "loop"])
def test_a_model_that_ends_the_process_is_not_started_again(service, ends):
    models = {"memory": huge(gigabytes=2, middling=True), "loop": endless(when_loud=True, middling=True)}
    if ends in models:
        write_package_of(MODELS / ends, models[ends])
    else:
        shutil.copytree(MODELS / "home", MODELS / ends)
        manifest = MODELS / ends / "model.yaml"
        manifest.write_text(manifest.read_text().replace("name: home", f"name: {ends}", 1))
    restarts, after = int(service.show("NRestarts")), service.cursor()
    service.edit("model: home", f"model: {ends}")
    if ends in ("crash", "hang"):
        service.wait_for_entry(after, MESSAGE_ID=message_id("model-swapped"))
        # It stands for a model that crashes or stops everything: neither can be had from a healthy runtime.
        os.kill(service.pid, {"crash": signal.SIGSEGV, "hang": signal.SIGSTOP}[ends])
    reverted = service.wait_for_entry(after, deadline_s=120, MESSAGE_ID=message_id("model-reverted"))
    assert reverted["MESSAGE"].startswith("Back to home: "), reverted
    again = service.cursor()
    service.wait_for_prediction(again, AUDIOMON_MODEL="home")
    if ends == "loop":
        # The process that gave it up cannot end it: it has a core for good, which is worth a process without it.
        looping = service.pid
        wait_for(lambda: service.pid not in (0, looping), 120, service.last_lines)
        service.wait_for_prediction(service.cursor(), AUDIOMON_MODEL="home")
    # A start in order forgets nothing of it either.
    run("systemctl", "kill", "-s", "KILL", "audiomon.service")
    service.wait_for_prediction(service.cursor(), AUDIOMON_MODEL="home")
    said = [entry for entry in service.entries()[again:] if entry.get("AUDIOMON_MODEL") == ends]
    assert said == []
    print(f"{ends}: {int(service.show('NRestarts')) - restarts - 1} restarts; {reverted['MESSAGE']}")


@pytest.mark.parametrize("kind", ["slow", "name"])
def test_what_a_check_cannot_bear_costs_its_refusal_and_no_sample(service, kind):
    write_package_of(MODELS / kind, slow_to_load(24_000) if kind == "slow" else long_name(26_000_000))
    pid, after = service.pid, service.cursor()
    service.edit("model: home", f"model: {kind}")
    refused = service.wait_for_entry(after, deadline_s=120, MESSAGE_ID=message_id("swap-refused"))
    assert len(json.dumps(refused)) < 4000
    service.wait_for_prediction(service.cursor(), AUDIOMON_MODEL="home")
    wait_for(lambda: service.show("ActiveState") == "active", PATIENCE_S, service.last_lines)
    assert Path("/run/audiomon/status.json").stat().st_size < 10_000
    lost = [entry for entry in service.entries()[after:] if entry.get("MESSAGE_ID") == message_id("audio-lost")]
    assert (service.pid, lost) == (pid, [])
    print(kind, refused["MESSAGE"])


def test_two_models_of_60_mb_may_follow_each_other(service):
    pid = service.pid
    for name in ("large", "larger"):
        shutil.copytree(MODELS / "home", MODELS / name)
        weights, manifest = MODELS / name / "model.tflite", MODELS / name / "model.yaml"
        before = run("sha256sum", weights).split()[0]
        with weights.open("ab") as file:
            file.write(os.urandom(60_000_000))  # behind the model, where nothing reads: it is its size that counts
        text = manifest.read_text().replace("name: home", f"name: {name}", 1)
        manifest.write_text(text.replace(before, run("sha256sum", weights).split()[0]))
    for old, new in (("home", "large"), ("large", "larger"), ("larger", "home")):
        after = service.cursor()
        service.edit(f"model: {old}", f"model: {new}")
        service.wait_for_entry(after, deadline_s=90, MESSAGE_ID=message_id("model-swapped"))
        service.wait_for_prediction(after, AUDIOMON_MODEL=new)
    assert service.pid == pid


def test_locks_that_another_user_takes_hold_nobody_up(service, clone):
    folders = ("/opt/audiomon", MODELS / "home")
    nested = [word for folder in folders for word in ("flock", "-x", folder)]
    with subprocess.Popen([*NOBODY, *nested, "sleep", "300"], start_new_session=True) as holder:
        try:
            for folder in folders:
                wait_for(
                    lambda f=folder: subprocess.run(["flock", "-n", "-s", f, "true"]).returncode != 0, 10, lambda: ""
                )
            before = service.pid
            run("systemctl", "restart", "audiomon")
            service.wait_for_prediction(service.cursor(), AUDIOMON_MODEL="home")
            assert service.pid != before
            run("systemctl", "reload", "audiomon")
            run("audiomon", "check", "--no-device")
            rollback = [clone / "deploy/install.sh", "--rollback"]
            tried = subprocess.run(rollback, capture_output=True, text=True, check=False)
            assert "there is no version before this one" in tried.stderr
        finally:
            os.killpg(holder.pid, signal.SIGKILL)


def test_wildcards_made_to_be_slow_hold_nobody_up(service):
    pid, after = service.pid, service.cursor()
    stars = "*".join("a" * 30)
    service.edit("decisions:\n", f"decisions:\n  allow: ['*{stars}*z', '{'*a' * 40}', '*']\n")
    wait_for(
        lambda: any(
            entry.get("MESSAGE_ID") in (message_id("swap-refused"), message_id("config-applied"))
            for entry in service.entries()[after:]
        ),
        20,
        service.last_lines,
    )
    assert service.pid == pid


def test_what_another_user_writes_to_the_journal_is_not_in_the_report(service):
    fields = [
        "MESSAGE=x", "MESSAGE_ID=", "AUDIOMON_INSTANCE=audiomon", "_SYSTEMD_UNIT=audiomon.service",
        "UNIT=audiomon.service", "SYSLOG_IDENTIFIER=audiomon", "AUDIOMON_LABEL=forged\\x1b]0;owned\\x07\\x1b[2J",
        "AUDIOMON_SCORE=1", "AUDIOMON_SCORES={}", "AUDIOMON_DURATION_S=boo", "AUDIOMON_LOST=boo",
    ]  # fmt: skip
    for kind in ("prediction", "event-on", "event-off", "summary", "device-back", "audio-lost"):
        forged = [field if "MESSAGE_ID" not in field else f"MESSAGE_ID={message_id(kind)}" for field in fields]
        run(*NOBODY, sys.executable, "-c", FORGED, *forged)
    wait_for(lambda: run("journalctl", "-q", "-o", "cat", "_UID=65534", "MESSAGE=x"), PATIENCE_S, lambda: "")
    for more in ((), ("--json",)):
        reported = run("audiomon", "report", "--since", "1h", *more)
        assert "home" in reported
        assert "forged" not in reported


def test_a_pipe_that_trickles_is_given_up_on_and_holds_no_end_up(service):
    pid, after = service.pid, service.cursor()
    pipe = CONFIG.with_suffix(".pipe")
    os.mkfifo(pipe, 0o644)
    kept = CONFIG.with_suffix(".kept")
    os.rename(CONFIG, kept)
    os.rename(pipe, CONFIG)
    with subprocess.Popen([sys.executable, "-c", TRICKLE, CONFIG]) as writer:
        try:
            refused = service.wait_for_entry(after, MESSAGE_ID=message_id("swap-refused"))
            assert "has not come to its end within 5 s" in refused["MESSAGE"]
            service.wait_for_prediction(service.cursor())
            assert service.pid == pid
            began_s = time.monotonic()
            run("systemctl", "stop", "audiomon")
            print(f"stopped in {time.monotonic() - began_s:.1f} s")
            assert service.show("Result") == "success"
        finally:
            writer.kill()
            CONFIG.unlink()
            os.rename(kept, CONFIG)
    run("systemctl", "start", "audiomon")


@pytest.mark.parametrize(
    ("good", "wrong"), [("model: home", "model: ["), ("model: home", "model: nothing-of-this-name")]
)
def test_a_start_that_cannot_be_waits_and_is_said_once(service, good, wrong):
    run("systemctl", "stop", "audiomon")
    after = service.cursor()
    service.edit(good, wrong)
    run("systemctl", "start", "audiomon")
    service.wait_for_entry(after, MESSAGE_ID=message_id("waiting"))
    pid = service.pid
    time.sleep(15)  # that time passes is what is tested: another try is due after 2 and after 7 s
    assert (service.pid, service.show("NRestarts")) == (pid, "0")
    waiting = [entry for entry in service.entries()[after:] if entry.get("MESSAGE_ID") == message_id("waiting")]
    assert len(waiting) == 1
    service.edit(wrong, good)
    service.wait_for_prediction(after, AUDIOMON_MODEL="home")
    assert service.pid == pid


def test_a_connection_to_nowhere_is_all_that_a_false_notification_gets(service):
    """Another user cannot tell systemd that the service is ready, reloading or ending."""
    subprocess.run([*NOBODY, "systemd-notify", "--pid=1", "--status=owned", "--stopping"], env=NOTIFY, check=False)
    service.wait_for_prediction(service.cursor())
    assert "owned" not in service.show("StatusText")


def test_what_the_services_own_folder_leads_to_is_in_no_bundle(service, tmp_path):
    status = Path("/run/audiomon/status.json")
    status.parent.chmod(0o555)  # the service itself cannot put it right meanwhile
    try:
        status.unlink()
        status.symlink_to("/etc/shadow")
        bundle = tmp_path / "bug.tar.gz"
        subprocess.run(["audiomon", "doctor", "--bundle", bundle], capture_output=True, check=False)
        packed = subprocess.run(["tar", "-xOzf", bundle], capture_output=True, text=True, check=True).stdout
        assert "root:" not in packed
        assert "is a link" in packed
    finally:
        status.unlink()
        status.parent.chmod(0o755)
