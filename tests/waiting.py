"""Waiting for what other processes and threads do, with patience for a busy machine."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 60


def wait_until(true: Callable[[], Any], what: Callable[[], Any] | str) -> Any:
    """Wait for something; its value. ``what`` it is, is asked when it has not come."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if value := true():
            return value
        time.sleep(0.01)
    raise AssertionError(f"did not come in {PATIENCE_S} s: {what() if callable(what) else what}")
