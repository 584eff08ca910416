"""pyopen-wakeword's front end, as its documentation shows: mel frames and speech embeddings, 10 ms at a time."""

from collections.abc import Callable, Iterator
from typing import Any


def answers(read: Callable[[int], bytes]) -> Iterator[Any]:
    """Yield an embedding every 80 ms, float32, shape (1, 1, 1, 96)."""
    from pyopen_wakeword import OpenWakeWordFeatures

    features = OpenWakeWordFeatures.from_builtin()
    while True:
        yield from features.process_streaming(read(160))
