import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.booted.service import run, wait_for

collect_ignore_glob = [] if os.environ.get("AUDIOMON_BOOTED") else ["test_*.py"]

CHECKOUT = Path(__file__).resolve().parents[3]
FLEET = CHECKOUT / "deploy" / "fleet"
PIS = ("pi1", "pi2", "pi3")  # one for each stage of a roll-out
MODELS = Path("/usr/local/share/audiomon/models")

# The service is the one that is installed, but for the program, which is the checkout's: nothing is downloaded here.
DROP_IN = """
[Service]
ExecStart=
ExecStart={python} -m audiomon run --config /etc/audiomon/%i.yaml
Environment=PYTHONPATH={checkout}
ProtectHome=no
TimeoutStopSec=60
"""

COMMAND = """#!/bin/bash
PYTHONPATH={checkout} exec {python} -m audiomon "$@"
"""


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.fixture(scope="session")
def machine() -> None:
    """A machine as the installer leaves it."""
    units = Path("/etc/systemd/system")
    (units / "audiomon@.service.d").mkdir(parents=True)
    shutil.copy(CHECKOUT / "deploy/systemd/audiomon@.service", units)
    places = {"python": sys.executable, "checkout": CHECKOUT}
    (units / "audiomon@.service.d/test.conf").write_text(DROP_IN.format(**places))
    command = Path("/usr/local/bin/audiomon")
    command.write_text(COMMAND.format(**places))
    command.chmod(0o755)
    Path("/etc/audiomon").mkdir()
    shutil.copytree(CHECKOUT / "models" / "home", MODELS / "home")
    for name in ("audiomon-ship.service", "audiomon-ship.timer"):
        shutil.copy(FLEET / name, units)
    run("install", "-D", str(FLEET / "ship"), "/usr/local/libexec/audiomon-ship")


@pytest.fixture(scope="session")
def pis(machine: None) -> tuple[str, ...]:
    """Listeners without a microphone, each of which stands for a Pi."""
    for name in PIS:
        # A minute is long for a test.
        Path(f"/etc/audiomon/{name}.yaml").write_text("model: home\njournal:\n  summary_s: 5\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "start", *(f"audiomon@{name}" for name in PIS))
    for name in PIS:
        wait_for(lambda name=name: status(name), 60, lambda: run("journalctl", "-n", "40"))
    return PIS


def status(name: str) -> str:
    return subprocess.run(["audiomon", "status", "--json", "-u", name], capture_output=True, text=True).stdout
