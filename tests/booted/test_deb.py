"""The Debian package under a real systemd: built, installed, upgraded, removed, purged; never beside install.sh."""

import grp
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.booted.conftest import DROP_IN, install_faults
from tests.booted.service import CONFIG, PATIENCE_S, Service, files_outside_tests, message_id, run, wait_for

UNIT = Path("/usr/lib/systemd/system/audiomon.service")
DROP_INS = Path("/etc/systemd/system/audiomon.service.d")
RELEASES = Path("/opt/audiomon")
SOCKETS = (Path("/run/audiomon-feed/audiomon.sock"), Path("/run/audiomon-clips/audiomon.sock"))
CLIPS = Path("/var/lib/private/audiomon-keeper")
GROUPS = {"audiomon-feed", "audiomon-actions", "audiomon-clips", "audiomon-review"}


def apt(*command: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(
        ["apt-get", "-q", "-y", *map(str, command)], capture_output=True, text=True, env=environment, check=False
    )


@pytest.fixture(scope="module")
def package(clone, before) -> Path:
    """The package of this checkout, for this release and architecture."""
    built = run(clone / "deploy/deb/build.sh", "--output", "/root/.packages")
    return Path(built.splitlines()[-1])


@pytest.fixture(scope="module")
def newer(package) -> Path:
    """One of a later version, in which the configuration that ships has changed."""
    tree = Path("/root/.packages/tree")
    run("dpkg-deb", "--raw-extract", package, tree)
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace("Version: ", "Version: 9."))
    with (tree / "etc/audiomon/audiomon.yaml").open("a") as file:
        file.write("# later\n")
    run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, "/root/.packages/newer.deb")
    shutil.rmtree(tree)
    return Path("/root/.packages/newer.deb")


@pytest.fixture(scope="module")
def installed(package, microphone) -> Iterator[Service]:
    """The service, from the package, hearing the virtual microphone."""
    install_faults()
    DROP_INS.mkdir()
    (DROP_INS / "test.conf").write_text(DROP_IN.format(microphone=microphone.folder))
    # Containers have this to keep packages from starting anything; here, as on a Pi, there is none.
    Path("/usr/sbin/policy-rc.d").unlink(missing_ok=True)
    done = apt("install", package)
    assert done.returncode == 0, done.stdout + done.stderr
    yield Service(installer_said=done.stdout + done.stderr)
    shutil.rmtree(DROP_INS)
    run("systemctl", "daemon-reload")


def test_lintian_finds_nothing_but_what_is_explained(package):
    if not shutil.which("lintian"):
        pytest.skip("lintian is not installed")
    done = subprocess.run(
        ["lintian", "--fail-on", "error,warning", package], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_not_installed_beside_what_the_installer_installed(package):
    RELEASES.mkdir()
    (RELEASES / "current").symlink_to("releases/1")
    done = apt("install", package)
    shutil.rmtree(RELEASES)
    assert done.returncode != 0
    assert "Remove that first: sudo deploy/uninstall.sh" in done.stdout + done.stderr
    apt("purge", "audiomon")


def test_it_listens_as_soon_as_it_is_installed_and_at_every_boot(installed):
    assert Path(installed.show("FragmentPath")).resolve() == UNIT.resolve()
    assert installed.show("UnitFileState") == "enabled"
    installed.wait_for_prediction(0, AUDIOMON_MODEL="home")
    assert subprocess.run(["audiomon", "status"], capture_output=True, check=False).returncode == 0
    reload = subprocess.run(["systemctl", "reload", "audiomon"], capture_output=True, check=False)
    assert reload.returncode == 0, installed.last_lines()
    exposure = run("systemd-analyze", "security", "audiomon.service", "--no-pager")
    assert float(exposure.split("audiomon.service:")[1].split()[0]) <= 0.4
    explained = run("journalctl", "-x", "-u", "audiomon", f"MESSAGE_ID={message_id('listening')}", "--no-pager")
    assert "Defined-By: audiomon" in explained


def test_what_else_it_brings_is_off_until_it_is_enabled(installed):
    for unit in ("audiomon-link.service", "audiomon-keeper.service", "audiomon-source@porch.socket"):
        asked = subprocess.run(["systemctl", "is-enabled", unit], capture_output=True, text=True, check=False)
        assert asked.stdout.strip() == "disabled", unit
    assert not any(socket.exists() for socket in SOCKETS)
    for unit in UNIT.parent.glob("audiomon*.service"):
        program = re.search(r"^ExecStart=(\S+)", unit.read_text(), re.MULTILINE)
        assert program, unit
        assert os.access(program[1], os.X_OK), unit
    run("systemctl", "enable", "--now", "audiomon-link", "audiomon-keeper")
    after = installed.cursor()
    run("systemctl", "restart", "audiomon")
    installed.wait_for_prediction(after)
    assert [socket.group() for socket in SOCKETS] == ["audiomon-feed", "audiomon-clips"]
    for companion in ("audiomon-link.service", "audiomon-keeper.service"):
        service = Service("", companion)
        wait_for(
            lambda service=service: "following audiomon" in service.show("StatusText"), PATIENCE_S, service.last_lines
        )
    assert CLIPS.is_dir()


def test_the_installer_leaves_its_place_to_the_package(installed, clone):
    done = subprocess.run([clone / "deploy/install.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the Debian package audiomon is installed" in done.stderr
    assert not RELEASES.exists()


def test_an_upgrade_keeps_the_configuration_and_runs_the_new_one(installed, newer):
    CONFIG.write_text(CONFIG.read_text() + "# mine\n")
    pid = installed.pid
    done = apt("install", "-o", "Dpkg::Options::=--force-confold", newer)
    assert done.returncode == 0, done.stdout + done.stderr
    assert CONFIG.read_text().endswith("# mine\n")
    assert installed.pid not in (0, pid)
    installed.wait_for_prediction(installed.cursor())


def test_removing_stops_it_and_keeps_the_configuration_and_purging_leaves_nothing(installed, before):
    CONFIG.with_name("kitchen.yaml").write_text("model: home\n")
    run("systemctl", "enable", "audiomon@kitchen")
    assert apt("remove", "audiomon").returncode == 0
    assert installed.show("ActiveState") == "inactive"
    assert CONFIG.read_text().endswith("# mine\n")
    assert not Path("/usr/lib/audiomon").exists()
    assert CLIPS.exists()
    assert not any(socket.exists() for socket in SOCKETS)
    done = apt("purge", "audiomon")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not CLIPS.exists()
    assert GROUPS.isdisjoint(group.gr_name for group in grp.getgrall())
    assert "keeping /etc/audiomon/kitchen.yaml, which is yours" in done.stdout
    CONFIG.with_name("kitchen.yaml").unlink()
    CONFIG.parent.rmdir()
    assert files_outside_tests() - before == set()
    assert not [
        *Path("/etc/systemd/system").glob("*.wants/audiomon*"),
        *Path("/usr").glob("lib/systemd/system/audiomon*"),
    ]
