"""Where what ships beside the code lies: the models and the configuration. Reads neither.

A checkout has them at its top; a wheel brings the default ones as package data.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def checkout() -> Path | None:
    """Return the checkout that this code runs from; None where it was installed."""
    folder = _PACKAGE.parent
    return folder if (folder / "pyproject.toml").exists() else None


def packaged() -> Path:
    """Return the folder of what the wheel brings; in a checkout there is none."""
    return _PACKAGE / "shipped"
