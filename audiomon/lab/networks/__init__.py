"""The networks that audiomon trains, by name. Architecture only: no data, no training.

A further one is a file in this folder with a function ``build``, as in `seed`; its name is the network's.
"""

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from audiomon.errors import UserError

# Keras has no types: a keras.Model.
Model = Any
Builder = Callable[[tuple[int, int], int], Model]


def network_names() -> tuple[str, ...]:
    """Return the names of all networks, without importing any."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def network_source(name: str) -> bytes:
    """Return the contents of a network's file."""
    return Path(__path__[0], f"{name}.py").read_bytes()


def network(name: str) -> Builder:
    """Return the function that builds a network.

    Args:
        name: of a file in this folder.

    Returns:
        A function of (frames, n_mels) and the number of classes. What it returns reads float32 windows of shape
        (batch, frames, n_mels, 1) and answers with float32 scores of shape (batch, classes) that sum to 1.

    Raises:
        UserError: there is none of that name.
    """
    if name not in network_names():
        raise UserError(f"there is no network {name!r}; there are: {', '.join(network_names())}")
    build: Builder = importlib.import_module(f"{__name__}.{name}").build
    return build
