"""In the order of a service's life: installed, heard, changed, hurt, removed. Each test leaves it running."""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from audiomon.models.checking_process import CheckingProcess
from audiomon.models.interpreter import choose_backend
from tests.booted.service import CONFIG, PATIENCE_S, files_outside_tests, message_id, run, wait_for
from tests.models.hostile import huge, write_package_of

MODELS = Path("/usr/local/share/audiomon/models")


def test_the_installer_ends_with_the_line_to_type_next(service):
    assert service.installer_said.strip().endswith("journalctl -u audiomon -f")
    assert "on disk" in service.installer_said


def test_it_is_ready_and_its_predictions_can_be_queried_by_field(service):
    assert service.show("ActiveState") == "active"
    entry = service.wait_for_prediction(0, AUDIOMON_MODEL="home", AUDIOMON_INSTANCE="audiomon")
    assert 0 <= float(entry["AUDIOMON_SCORE"]) <= 1
    assert set(entry) >= {
        "AUDIOMON_LABEL", "AUDIOMON_SCORES", "AUDIOMON_FEATURES_US", "AUDIOMON_INFERENCE_US", "AUDIOMON_LAG_MS",
        "AUDIOMON_POSITION",
    }  # fmt: skip
    found = service.entries(AUDIOMON_LABEL=entry["AUDIOMON_LABEL"])
    assert found
    assert all(one["AUDIOMON_LABEL"] == entry["AUDIOMON_LABEL"] for one in found)


def test_the_environment_of_the_daemon_is_light(service):
    listed = run("/opt/audiomon/current/bin/python", "-m", "pip", "list", "--format=freeze").lower()
    for heavy in ("librosa", "scipy", "tensorflow", "numba", "matplotlib"):
        assert f"{heavy}==" not in listed


def test_the_status_line_says_what_is_heard(service):
    service.wait_for_prediction(0)
    text = wait_for(
        lambda: line if "predictions/s" in (line := service.show("StatusText")) else None,
        PATIENCE_S,
        lambda: service.show("StatusText"),
    )
    assert "samples lost" in text


def test_every_restriction_is_in_force_and_little_is_left_open(service):
    exposure = run("systemd-analyze", "security", "audiomon.service", "--no-pager")
    assert float(exposure.split("audiomon.service:")[1].split()[0]) <= 0.4
    process = Path(f"/proc/{service.pid}")
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert int(status["CapEff"], 16) == 0
    assert int(status["Uid"].split()[0]) >= 61184  # a dynamic user's range
    assert os.readlink(process / "ns" / "net") != os.readlink("/proc/1/ns/net")
    assert "libavcodec" not in (process / "maps").read_text()


def test_the_units_are_in_order(service):
    finished = subprocess.run(
        ["systemd-analyze", "verify", "/etc/systemd/system/audiomon.service", "/etc/systemd/system/audiomon@.service"],
        capture_output=True,
        text=True,
    )
    ours = [line for line in finished.stderr.splitlines() if "audiomon" in line]
    assert not ours, ours


def test_journalctl_explains_an_entry(service):
    explained = run("journalctl", "-x", "-u", "audiomon", f"MESSAGE_ID={message_id('listening')}", "--no-pager")
    assert "Defined-By: audiomon" in explained, explained


def test_saving_another_model_swaps_it_without_losing_a_sample(service):
    shutil.copytree(MODELS / "home", MODELS / "other")
    manifest = MODELS / "other" / "model.yaml"
    manifest.write_text(manifest.read_text().replace("name: home", "name: other", 1))
    after = service.cursor()
    service.edit("model: home", "model: other")
    swapped = service.wait_for_entry(after, MESSAGE_ID=message_id("model-swapped"))
    assert "home" in swapped["MESSAGE"]
    assert "other" in swapped["MESSAGE"]
    assert swapped["AUDIOMON_LOST"] == "0"
    service.wait_for_prediction(after, AUDIOMON_MODEL="other")
    positions = [int(entry["AUDIOMON_POSITION"]) for entry in service.entries(MESSAGE_ID=message_id("prediction"))]
    assert len({later - earlier for earlier, later in itertools.pairwise(positions)}) == 1, positions


def test_a_broken_edit_is_refused_by_line_and_the_old_model_goes_on(service):
    after = service.cursor()
    service.edit("model: other", "model: [")
    refused = service.wait_for_entry(after, MESSAGE_ID=message_id("swap-refused"))
    assert f"{CONFIG}:" in refused["MESSAGE"]
    assert refused["PRIORITY"] == "3"
    service.wait_for_prediction(service.cursor(), AUDIOMON_MODEL="other")
    assert len([one for one in service.entries()[after:] if one.get("MESSAGE_ID") == refused["MESSAGE_ID"]]) == 1
    wait_for(lambda: "refused" in service.show("StatusText"), PATIENCE_S, lambda: service.show("StatusText"))


def test_a_reload_that_is_refused_fails_and_one_that_is_not_succeeds(service):
    assert subprocess.run(["systemctl", "reload", "audiomon"], check=False, capture_output=True).returncode != 0
    service.edit("model: [", "model: home")
    run("systemctl", "reload", "audiomon")
    service.wait_for_prediction(service.cursor(), AUDIOMON_MODEL="home")
    wait_for(lambda: "refused" not in service.show("StatusText"), PATIENCE_S, lambda: service.show("StatusText"))


def test_a_model_that_wants_more_memory_than_is_left_is_refused_before_anything_is_killed(service):
    # Less than the machine has, more than the unit.
    folder = write_package_of(MODELS / "hungry", huge(gigabytes=0.4))
    CheckingProcess(folder, choose_backend("auto")).wait()
    group = Path("/sys/fs/cgroup/memory/system.slice/audiomon.service/memory.oom_control")
    before, after, killed = service.pid, service.cursor(), group.read_text().splitlines()[-1]
    service.edit("model: home", "model: hungry")
    refused = service.wait_for_entry(after, deadline_s=90, MESSAGE_ID=message_id("swap-refused"))
    assert str(folder / "model.tflite") in refused["MESSAGE"], refused
    assert killed.startswith("oom_kill ")
    assert group.read_text().splitlines()[-1] == killed
    service.edit("model: hungry", "model: home")
    service.wait_for_prediction(service.cursor(), AUDIOMON_MODEL="home")
    assert (service.pid, service.show("NRestarts")) == (before, "0")


def test_a_running_service_has_nothing_open_for_writing_and_no_socket_to_the_outside(service):
    process = Path(f"/proc/{service.pid}")
    unix = {line.split()[6] for line in (process / "net/unix").read_text().splitlines()[1:]}
    for descriptor in (process / "fd").iterdir():
        place = os.readlink(descriptor)
        flags = int((process / "fdinfo" / descriptor.name).read_text().split("flags:")[1].split()[0], 8)
        if place.startswith("socket:"):
            # Its stdout and stderr are journald's, made outside its network namespace.
            assert place[8:-1] in unix or descriptor.name in "12", place
        elif flags & os.O_ACCMODE != os.O_RDONLY:
            harmless = (
                "/dev/null",
                "anon_inode:",
                "pipe:",
                "/memfd:pulseaudio",
                "/dev/shm/jack_db-",
                "/run/audiomon/",
            )  # in a /dev/shm of its own
            assert place.startswith(harmless), place


def test_an_unplugged_microphone_is_reported_and_heard_again_when_it_is_back(service, microphone):
    # By name: the sound server's default would move on to another of its sources.
    after = service.cursor()
    service.edit("device: default", "device: mic")
    service.wait_for_entry(after, MESSAGE_ID=message_id("listening"))
    after = service.cursor()
    microphone("unplug", "mic")
    service.wait_for_entry(after, MESSAGE_ID=message_id("device-lost"))
    after = service.cursor()
    microphone("plug", "mic")
    service.wait_for_entry(after, MESSAGE_ID=message_id("device-back"))
    service.wait_for_prediction(after)
    assert service.show("NRestarts") == "0"


def test_it_is_back_after_it_was_killed(service):
    run("systemctl", "restart", "audiomon")  # an end in order: no model is on trial any more
    service.wait_for_prediction(service.cursor())
    before, after, killed_s = service.pid, service.cursor(), time.time()
    os.kill(before, signal.SIGKILL)
    pid = str(wait_for(lambda: (p := service.pid) not in (0, before) and p, 20, str))
    first = service.wait_for_prediction(after, _PID=pid)
    print(f"predicts again {float(first['__REALTIME_TIMESTAMP']) / 1e6 - killed_s:.2f} s after kill -9")


def test_a_stage_that_hangs_is_named_and_started_again_in_the_same_process(service):
    after, before = service.cursor(), service.pid
    Path("/run/hang").touch()
    try:
        failed = service.wait_for_entry(after, 60, MESSAGE_ID=message_id("stage-failed"))
    finally:
        Path("/run/hang").unlink()
    assert failed["AUDIOMON_STAGE"] == "inference"
    service.wait_for_prediction(service.cursor())
    assert service.pid == before


def test_the_watchdog_ends_a_daemon_that_does_not_move_at_all(service):
    after, before = service.cursor(), service.pid
    os.kill(before, signal.SIGSTOP)
    wait_for(lambda: service.pid not in (0, before), 60, service.last_lines)
    assert "watchdog" in run("journalctl", "-u", "audiomon", "-o", "cat", "--no-pager").lower()
    service.wait_for_prediction(after)


def test_a_journal_that_stops_reading_and_starts_anew_holds_nobody_up(service):
    after = service.cursor()
    journald = int(run("systemctl", "show", "--value", "-p", "MainPID", "systemd-journald"))
    os.kill(journald, signal.SIGSTOP)
    time.sleep(3)  # predictions go on meanwhile, which is looked at when they can be read
    os.kill(journald, signal.SIGCONT)
    service.wait_for_prediction(after)
    run("systemctl", "restart", "systemd-journald")
    service.wait_for_prediction(service.cursor())
    entries = [one for one in service.entries()[after:] if one.get("MESSAGE_ID") == message_id("prediction")]
    positions = [int(entry["AUDIOMON_POSITION"]) for entry in entries]
    assert len({later - earlier for earlier, later in itertools.pairwise(positions)}) == 1, positions


def test_a_runtime_folder_that_cannot_be_written_is_said_once_and_when_it_can_again(service):
    folder, after = Path("/run/audiomon"), service.cursor()
    mode = folder.stat().st_mode & 0o777
    folder.chmod(0o555)
    try:
        refused = service.wait_for_entry(after, 30, MESSAGE_ID=message_id("unwritable"))
        service.wait_for_prediction(service.cursor())
    finally:
        folder.chmod(mode)
    assert "Permission denied" in refused["MESSAGE"]
    service.wait_for_entry(after, 30, MESSAGE_ID=message_id("writable"))


def test_status_and_doctor_speak_of_the_running_service(service, tmp_path):
    said = subprocess.run(["audiomon", "status"], capture_output=True, text=True)
    assert said.returncode == 0, said
    assert "listening for" in said.stdout
    bundle = tmp_path / "bug.tar.gz"
    said = subprocess.run(["audiomon", "doctor", "--bundle", bundle], capture_output=True, text=True)
    assert "ok     service      listening" in said.stdout, said
    with tarfile.open(bundle) as archive:
        assert "audiomon" in archive.extractfile("audiomon-bundle/journal.txt").read().decode()
        assert b'"health":"listening"' in archive.extractfile("audiomon-bundle/status.json").read()


def test_root_reloads_the_process_that_systemd_knows(service):
    assert subprocess.run(["audiomon", "reload"], capture_output=True, check=False).returncode == 0
    state = Path("/run/audiomon/reload.json")
    text = state.read_text()
    with subprocess.Popen(["sleep", "60"]) as victim:
        state.write_text(text.replace(str(service.pid), str(victim.pid)))
        refused = subprocess.run(["audiomon", "reload"], capture_output=True, text=True, check=False)
        assert victim.poll() is None
        victim.kill()
    state.write_text(text)
    assert refused.returncode == 2
    assert "not from the process that runs as audiomon.service" in refused.stderr


def test_a_false_jack_server_or_database_makes_nobody_deaf(service):
    user = int(Path(f"/proc/{service.pid}/status").read_text().split("\nUid:\t")[1].split()[0])
    database = Path(f"/dev/shm/jack_db-{user}")
    database.mkdir()
    for name in ("__db.001", "__db.002", "__db.003", "metadata.db"):
        (database / name).write_bytes(os.urandom(8192))
        (database / name).chmod(0o666)
    os.chown(database, 65534, 65534)
    database.chmod(0o777)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/dev/shm/jack_default_{user}_0")
        os.chmod(f"/dev/shm/jack_default_{user}_0", 0o777)
        server.listen()
        after = service.cursor()
        run("systemctl", "restart", "audiomon")
        service.wait_for_prediction(after)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_second_instance_has_its_own_file_and_name(service):
    CONFIG.with_name("kitchen.yaml").write_text("model: other\n")
    drop_in = Path("/etc/systemd/system/audiomon@.service.d/test.conf")
    drop_in.parent.mkdir(exist_ok=True)
    shutil.copy("/etc/systemd/system/audiomon.service.d/test.conf", drop_in)
    run("systemctl", "daemon-reload")
    run("systemctl", "start", "audiomon@kitchen")
    lines = wait_for(
        lambda: run("journalctl", "-q", "-o", "cat", "AUDIOMON_INSTANCE=kitchen", "AUDIOMON_MODEL=other"),
        PATIENCE_S,
        lambda: run("journalctl", "-u", "audiomon@kitchen", "-n", "20"),
    )
    assert lines
    run("systemctl", "stop", "audiomon@kitchen")


def test_installing_again_keeps_the_configuration_and_can_be_rolled_back(service, clone):
    CONFIG.write_text(CONFIG.read_text() + "\n# mine\n")
    version = clone / "audiomon" / "__init__.py"
    version.write_text(version.read_text().replace('__version__ = "', '__version__ = "9.'))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([clone / "deploy/install.sh"], check=True, capture_output=True, env=environment)
    assert run("audiomon", "--version").split()[-1].startswith("9.")
    assert CONFIG.read_text().endswith("# mine\n")
    assert (MODELS / "other").exists()
    service.wait_for_prediction(service.cursor())
    subprocess.run([clone / "deploy/install.sh", "--rollback"], check=True, capture_output=True)
    assert not run("audiomon", "--version").split()[-1].startswith("9.")
    service.wait_for_prediction(service.cursor())
    # What is there already, whole, is not made again: only taken into use.
    again = subprocess.run([clone / "deploy/install.sh"], check=True, capture_output=True, text=True, env=environment)
    assert " already" in again.stderr
    assert "installing Python packages" not in again.stderr
    assert run("audiomon", "--version").split()[-1].startswith("9.")
    service.wait_for_prediction(service.cursor())


def test_the_report_reads_the_journal_back(service):
    table = run("audiomon", "report")
    assert "background" in table or "speech" in table, table


@pytest.mark.parametrize("signal_number", [signal.SIGTERM])
def test_it_stops_when_it_is_told_with_a_last_summary(service, signal_number):
    service.wait_for_prediction(service.cursor())
    after = service.cursor()
    run("systemctl", "kill", f"--signal={signal_number}", "--kill-whom=main", "audiomon")
    wait_for(lambda: service.show("ActiveState") == "inactive", PATIENCE_S, service.last_lines)
    service.wait_for_entry(after, MESSAGE_ID=message_id("stopped"))
    assert service.show("Result") == "success"
    run("systemctl", "start", "audiomon")


def test_uninstalling_keeps_what_people_made_and_names_it_and_purging_leaves_nothing(service, clone, before):
    drop_ins = [Path(f"/etc/systemd/system/{name}.service.d") for name in ("audiomon", "audiomon@", "audiomon@kitchen")]
    drop_ins[-1].mkdir()
    (drop_ins[-1] / "nice.conf").write_text("[Service]\nNice=6\n")
    said = subprocess.run([clone / "deploy/uninstall.sh"], check=True, capture_output=True, text=True).stderr
    for kept in (CONFIG.parent, MODELS.parent, *drop_ins):
        assert f"keeping {kept} (--purge removes it)" in said
        assert list(kept.iterdir())
    assert not any(one.startswith("newer") for folder in drop_ins for one in os.listdir(folder))
    subprocess.run([clone / "deploy/uninstall.sh", "--purge"], check=True, capture_output=True)
    assert not [*Path("/etc/systemd/system").glob("audiomon*"), *Path("/run").glob("**/audiomon*")]
    assert files_outside_tests() - before == set()
    assert subprocess.run(["systemctl", "cat", "audiomon"], check=False, capture_output=True).returncode != 0
