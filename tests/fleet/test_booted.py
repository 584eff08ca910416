"""A fleet under a real systemd and journald: boots one, in which several instances of the service stand for Pis."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
CHECKOUT = TESTS.parent
NO_HYBRID_CGROUPS = 2
NEEDED = ("rsync", "minisign", "zstd", "ansible-playbook", "/usr/lib/systemd/systemd-journal-remote")


@pytest.mark.root
@pytest.mark.long
@pytest.mark.timeout(1500)
def test_a_fleet_ships_its_journals_and_takes_and_refuses_models_under_a_real_systemd():
    if os.geteuid() != 0:
        pytest.skip("booting a systemd needs root")
    if Path(sys.base_prefix) != Path("/usr"):
        pytest.skip("the service runs the system's Python whichever runs the tests: once, with that one, is enough")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    if lacking := [program for program in NEEDED if not shutil.which(program, path=path)]:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    boot = [str(TESTS / "boot_systemd.sh"), "-b", f"{CHECKOUT}:{CHECKOUT}"]
    if not Path(sys.prefix).is_relative_to(CHECKOUT):
        boot += ["-b", f"{sys.prefix}:{sys.prefix}"]
    inside = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no", "--timeout=600", "tests/fleet/booted"]
    finished = subprocess.run(
        [*boot, "--", "/bin/bash", "-c", 'cd "$0" && exec "$@"', CHECKOUT, sys.executable, *inside],
        env={**os.environ, "AUDIOMON_BOOTED": "1", "PATH": path, "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1440,
    )
    print(finished.stdout)
    if finished.returncode == NO_HYBRID_CGROUPS and "no v1/hybrid cgroup mounts" in finished.stdout:
        pytest.skip("this host has cgroup v2 only; a nested systemd can be given groups of its own only where v1 is")
    assert finished.returncode == 0, finished.stdout[-6000:]
