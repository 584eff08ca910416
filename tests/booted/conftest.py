import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.booted.service import CONFIG, Service, files_outside_tests
from tests.conftest import VirtualMicrophone, start_virtual_microphone

collect_ignore_glob = [] if os.environ.get("AUDIOMON_BOOTED") else ["test_*.py"]

CHECKOUT = Path(__file__).resolve().parents[2]

# What a test machine needs and a user's does not: the virtual microphone, a watchdog that bites within a test's
# patience, time to end on a busy machine, a locale in which not all that is said can be written, and a place from
# which a stage can be made to hang (see test_service).
DROP_IN = """
[Service]
Environment=ALSA_CONFIG_PATH={microphone}/asoundrc PULSE_SERVER=unix:{microphone}/socket PYTHONPATH=/opt/faults
Environment=LOCPATH=/opt/faults/locale LC_ALL=de_DE.ISO-8859-1
WatchdogSec=10
TimeoutStopSec=60
"""

# A stage that hangs cannot be had from outside: signals stop all threads. This stands in for a driver or a kernel that
# never returns.
HANG = """
import os, sys, threading, time

def profile(frame, event, argument):
    while os.path.exists("/run/hang") and threading.current_thread().name == "inference":
        time.sleep(0.1)

if "run" in sys.argv:
    threading.setprofile(profile)
"""


@pytest.fixture(scope="session")
def before() -> set[str]:
    """Every file of the machine before anything was installed."""
    return files_outside_tests()


@pytest.fixture(scope="session")
def clone(before: set[str]) -> Path:
    """A clean copy of the checkout: what is tracked, or would be."""
    folder = Path("/root/clone")
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    for name in listed:
        if (CHECKOUT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def microphone() -> Iterator[VirtualMicrophone]:
    # Not below /tmp, which the service has one of its own of.
    folder = Path("/opt/microphone")
    virtual = start_virtual_microphone(folder, 22_050)
    sound = folder / "sound.wav"
    soundfile.write(sound, np.random.default_rng(1).integers(-3000, 3000, 22_050 * 20).astype(np.int16), 22_050)
    virtual("loop", "mic", sound)
    yield virtual
    virtual("stop")


def install_faults() -> None:
    """Put what DROP_IN refers to in its place."""
    Path("/opt/faults/locale").mkdir(parents=True, exist_ok=True)
    latin = Path("/opt/faults/locale/de_DE.ISO-8859-1")
    if not latin.exists() and shutil.which("localedef") and Path("/usr/share/i18n/locales/de_DE").exists():
        subprocess.run(["localedef", "-i", "de_DE", "-f", "ISO-8859-1", latin], check=True, capture_output=True)
    Path("/opt/faults/sitecustomize.py").write_text(HANG)


@pytest.fixture(scope="session")
def service(clone: Path, microphone: VirtualMicrophone) -> Service:
    """The service, installed from the clean copy by its own installer, and running."""
    drop_in = Path("/etc/systemd/system/audiomon.service.d/test.conf")
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text(DROP_IN.format(microphone=microphone.folder))
    install_faults()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    finished = subprocess.run(
        [clone / "deploy/install.sh"],
        capture_output=True,
        text=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        umask=0o077,  # as hardened machines give root
    )
    assert finished.returncode == 0, finished.stderr
    assert CONFIG.exists()
    return Service(installer_said=finished.stderr)
