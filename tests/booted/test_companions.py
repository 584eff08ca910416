"""The service with all that it can come with: upgraded, cut off, gone back, removed; all run one release.

Its last test removes everything.
"""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.booted.service import CONFIG, PATIENCE_S, Service, files_outside_tests, run, wait_for
from tests.sources.radio import Radio

PROGRAMS = Path("/opt/audiomon")
CREDENTIAL = Path("/etc/credstore/audiomon.source-porch")
CLIPS = Path("/var/lib/private/audiomon-keeper")
LINK, KEEPER, SOURCE = (
    Service("", unit) for unit in ("audiomon-link.service", "audiomon-keeper.service", "audiomon-source@porch.service")
)


def install(clone: Path, *options: str) -> str:
    finished = subprocess.run(
        [clone / "deploy/install.sh", *options],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stderr


def release_of(service: Service) -> str:
    """The release whose libraries the unit's process has loaded; empty if there is no such process, or as yet none."""
    pid = service.pid
    try:
        loaded = Path(f"/proc/{pid}/maps").read_text() if pid else ""
    except OSError:
        return ""
    found = set(re.findall(r"/opt/audiomon/releases/([^/\s]+)/", loaded))
    assert len(found) <= 1, found
    return "".join(found)


def all_run(release: str, *services: Service) -> None:
    for service in services:
        wait_for(
            lambda service=service: release_of(service) == release,
            PATIENCE_S,
            lambda service=service: f"{service.unit}: {release_of(service)}\n{service.last_lines()}",
        )
    for service in services:
        if service in (LINK, KEEPER):
            wait_for(lambda s=service: "following audiomon" in s.show("StatusText"), PATIENCE_S, service.last_lines)


def current() -> str:
    return (PROGRAMS / "current").resolve().name


@pytest.fixture(scope="module")
def everything(service: Service, clone: Path):
    """All three companions beside the service, which hears a radio."""
    radio = Radio("secret")
    Path("/etc/credstore").mkdir(mode=0o700, exist_ok=True)
    CREDENTIAL.touch(0o600)
    CREDENTIAL.write_text(f"http://admin:secret@{radio.host}/live.wav\n")
    install(clone, "--with", "link,keeper,source")
    run("systemctl", "enable", "--now", "audiomon-source@porch.socket")
    service.edit("device: default", "device: stream:porch")
    service.wait_for_prediction(service.cursor())
    yield service
    radio.end()


@pytest.fixture(scope="module")
def releases(everything, clone) -> tuple[str, str]:
    """The release before, and the newer one that is current."""
    before = current()
    all_run(before, everything, LINK, KEEPER, SOURCE)
    version = clone / "audiomon" / "__init__.py"
    version.write_text(version.read_text().replace('__version__ = "', '__version__ = "9.'))
    install(clone)
    assert current().startswith("9.")
    return before, current()


def test_an_upgrade_brings_every_process_to_the_new_release(everything, releases):
    all_run(releases[1], everything, LINK, KEEPER, SOURCE)


def test_a_rollback_brings_every_process_back_and_another_one_forward_again(everything, releases, clone):
    said = install(clone, "--rollback")
    assert f"back to {releases[0]}" in said
    all_run(releases[0], everything, LINK, KEEPER, SOURCE)
    everything.wait_for_prediction(everything.cursor())
    install(clone, "--rollback")
    all_run(releases[1], everything, LINK, KEEPER, SOURCE)


@pytest.mark.parametrize("seconds", [0.5, 6])
def test_an_installation_that_is_killed_leaves_what_runs_and_the_next_one_removes_the_rest(
    everything, releases, clone, seconds
):
    (clone / "README.md").write_text(f"killed after {seconds} s\n")
    pid, before = everything.pid, current()
    with subprocess.Popen(
        [clone / "deploy/install.sh"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        time.sleep(seconds)  # somewhere within it
        os.killpg(process.pid, signal.SIGKILL)
    assert (everything.pid, current()) == (pid, before)
    run("audiomon", "--version")
    install(clone)
    everything.wait_for_prediction(everything.cursor())
    assert {path.name for path in PROGRAMS.iterdir()} == {".lock", "current", "previous", "releases"}
    assert {path.name for path in (PROGRAMS / "releases").iterdir()} == {before, current()}
    all_run(current(), everything, LINK, KEEPER, SOURCE)


def test_uninstalling_stops_all_and_names_what_it_leaves_and_purging_leaves_nothing(
    everything, releases, clone, before
):
    drop_ins = [Path(f"/etc/systemd/system/audiomon-{name}.d") for name in ("keeper.service", "feed.socket")]
    for folder in drop_ins:
        folder.mkdir()
        (folder / "mine.conf").write_text("[Unit]\nDescription=mine\n")
    said = subprocess.run([clone / "deploy/uninstall.sh"], check=True, capture_output=True, text=True).stderr
    for kept in (CONFIG.parent, CLIPS, CREDENTIAL, *drop_ins):
        assert f"keeping {kept} (--purge removes it)" in said
        assert kept.exists()
    assert run("systemctl", "list-units", "--all", "--plain", "--no-legend", "audiomon*").strip() == ""
    left = [path for path in Path("/etc/systemd/system").rglob("audiomon*") if path.is_file() or path.is_symlink()]
    assert left == []
    assert not [path for path in Path("/run").iterdir() if path.name.startswith("audiomon")]
    running = subprocess.run(["pgrep", "-f", "/opt/audiomon"], capture_output=True, text=True, check=False).stdout
    assert running == ""
    subprocess.run([clone / "deploy/uninstall.sh", "--purge"], check=True, capture_output=True)
    assert not any(kept.exists() for kept in (CLIPS, CREDENTIAL, *drop_ins))
    assert files_outside_tests() - before == set()
