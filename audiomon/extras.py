"""How to install what only some commands need, in the very environment that lacks it."""

import os
import sys
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[1]


def pip_install(what: str) -> str:
    """Return the command that installs something where this process looks for it."""
    sudo = "" if os.access(sys.prefix, os.W_OK) else "sudo "
    return f"{sudo}{sys.executable} -m pip install {what}"


def install_extra(name: str, checkout: Path = _CHECKOUT) -> str:
    """Return the command that installs one of the extras in pyproject.toml. PyPI has none: they come from a checkout.

    Args:
        name: of the extra.
        checkout: that this process runs from, or what lies there once audiomon is installed: no checkout.
    """
    if (checkout / "pyproject.toml").exists():
        return pip_install(f"-e '{checkout}[{name}]'")
    return f"in a checkout of audiomon, .venv/bin/pip install -e '.[{name}]'"
