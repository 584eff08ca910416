import sys
from pathlib import Path

import pytest

from audiomon import extras


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(extras, "checkout", lambda: None)


@pytest.fixture
def prefix(monkeypatch, tmp_path):
    """A virtual environment that this process seems to run in."""
    (tmp_path / "pyvenv.cfg").write_text("include-system-site-packages = false\n")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    return tmp_path


def test_an_extra_comes_from_the_checkout_that_runs():
    checkout = Path(__file__).resolve().parents[1]
    assert extras.install_extra("lab").endswith(f"{sys.executable} -m pip install -e '{checkout}[lab]'")


def test_an_installed_wheel_knows_its_own_extras(installed, prefix):
    assert extras.install_extra("lab") == f"{sys.executable} -m pip install 'audiomon[lab]'"


def test_nothing_is_added_to_a_release_of_the_service_but_what_an_upgrade_keeps(installed, prefix):
    (prefix / "made-with").write_text("3.11\n")
    assert extras.install_extra("lab") == "in a checkout of audiomon, .venv/bin/pip install -e '.[lab]'"
    assert extras.install_matplotlib() == "in a checkout of audiomon, sudo deploy/install.sh --plots"


def test_debian_s_package_is_proposed_only_where_it_would_be_found(prefix):
    assert "apt install python3-systemd" not in extras.install_systemd_python()
    assert "libsystemd-dev" in extras.install_systemd_python()
    (prefix / "pyvenv.cfg").write_text("include-system-site-packages = true\n")
    assert extras.install_systemd_python() == "sudo apt install python3-systemd"
