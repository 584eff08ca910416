"""A switch that several parts show and turn, such as the one that pauses actions."""

import contextlib
from collections.abc import Callable, Iterator


class Toggle:
    """On or off; those that show it hear when that changes.

    Attributes:
        on: now.
        used: whether it does anything: one that does not is not shown.
    """

    def __init__(self) -> None:
        self.on = True
        self.used = False
        self._watchers: list[Callable[[], None]] = []

    def set(self, *, on: bool) -> None:
        """Turn it on or off."""
        self._change(on=on, used=self.used)

    def use(self, *, used: bool) -> None:
        """Say whether it does anything."""
        self._change(on=self.on, used=used)

    @contextlib.contextmanager
    def watched(self, call: Callable[[], None]) -> Iterator[None]:
        """Have a function called when it changes, for as long as a ``with`` block lasts."""
        self._watchers.append(call)
        try:
            yield
        finally:
            self._watchers.remove(call)

    def _change(self, *, on: bool, used: bool) -> None:
        if (on, used) != (self.on, self.used):
            self.on, self.used = on, used
            for call in tuple(self._watchers):
                call()
