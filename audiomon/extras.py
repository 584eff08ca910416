"""How to install what only some commands need, in the very environment that lacks it. Installs nothing."""

import os
import sys
from pathlib import Path

from audiomon.shipped import checkout


def pip_install(what: str) -> str:
    """Return the command that installs something where this process looks for it."""
    sudo = "" if os.access(sys.prefix, os.W_OK) else "sudo "
    return f"{sudo}{sys.executable} -m pip install {what}"


def install_extra(name: str) -> str:
    """Return the command that installs one of the extras in pyproject.toml.

    Args:
        name: of the extra.
    """
    if (source := checkout()) is not None:
        return pip_install(f"-e '{source}[{name}]'")
    if is_service():
        return f"in a checkout of audiomon, .venv/bin/pip install -e '.[{name}]'"
    return pip_install(f"'audiomon[{name}]'")  # audiomon is there: pip adds only what the extra lists


def install_matplotlib() -> str:
    """Return the command that installs what draws pictures, so that the next upgrade of the service keeps it."""
    return "in a checkout of audiomon, sudo deploy/install.sh --plots" if is_service() else pip_install("matplotlib")


def install_systemd_python() -> str:
    """Return the command that installs what reads the journal: Debian's package where this Python can see it."""
    if sees_debian_packages():
        return "sudo apt install python3-systemd"
    built_with = "sudo apt install gcc pkg-config python3-dev libsystemd-dev"
    return f"{built_with}, then {install_extra('service')}"


def is_service() -> bool:
    """Return whether this is a release that deploy/install.sh made; what is added to one is gone after an upgrade."""
    return (Path(sys.prefix) / "made-with").exists()


def sees_debian_packages() -> bool:
    """Return whether what apt installs for Python can be imported here."""
    if not sys.executable.startswith("/usr/bin/") and sys.prefix == sys.base_prefix:
        return False  # another Python than Debian's
    if sys.prefix == sys.base_prefix:
        return True
    settings = (Path(sys.prefix) / "pyvenv.cfg").read_text(encoding="utf-8").lower()
    return "include-system-site-packages = true" in settings and sys.base_prefix == "/usr"
