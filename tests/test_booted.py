"""The service under a real systemd and journald: boots one, and runs the tests in ``booted/`` inside it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BOOT = Path(__file__).with_name("boot_systemd.sh")
CHECKOUT = BOOT.parents[1]
NO_HYBRID_CGROUPS = 2


@pytest.mark.root
@pytest.mark.mic
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    "part",
    [
        "test_service.py",
        pytest.param("test_link.py", marks=pytest.mark.long),
        pytest.param("test_keeper.py", marks=pytest.mark.long),
        pytest.param("test_source.py", marks=pytest.mark.long),
        pytest.param("test_deb.py", marks=pytest.mark.long),
        pytest.param("test_hostile.py", marks=pytest.mark.long),
        pytest.param("test_companions.py", marks=pytest.mark.long),
    ],
)
def test_the_service_installs_hears_swaps_recovers_and_leaves_under_a_real_systemd(part):
    if os.geteuid() != 0:
        pytest.skip("booting a systemd needs root")
    if Path(sys.base_prefix) != Path("/usr"):
        pytest.skip("the installer takes the system's Python whichever runs the tests: once, with that one, is enough")
    inside = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no", "--timeout=600", f"tests/booted/{part}"]
    boot = [BOOT, "-b", f"{CHECKOUT}:{CHECKOUT}"]
    environment_folder = Path(sys.prefix)
    if not environment_folder.is_relative_to(CHECKOUT):
        boot += ["-b", f"{environment_folder}:{environment_folder}"]
    # What is installed must be found before the checkout's audiomon, also where its environment is active.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    finished = subprocess.run(
        [*boot, "--", "/bin/bash", "-c", 'cd "$0" && exec "$@"', CHECKOUT, sys.executable, *inside],
        env={**environment, "AUDIOMON_BOOTED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1440,
    )
    print(finished.stdout)
    if finished.returncode == NO_HYBRID_CGROUPS and "no v1/hybrid cgroup mounts" in finished.stdout:
        pytest.skip("this host has cgroup v2 only; a nested systemd can be given groups of its own only where v1 is")
    assert finished.returncode == 0, finished.stdout[-6000:]
