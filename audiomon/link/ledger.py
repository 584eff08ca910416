"""What came of actions, for the page and the metrics to show.

Outlives the parts of the link, which start again when their settings change. Lives in their event loop; never waits.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Literal

# done; failed after all tries; too late to be news; too many at once; within its cooldown; in quiet hours; paused.
Outcome = Literal["done", "failed", "late", "crowded", "cooling", "quiet", "paused"]


class Ledger:
    """Shared by all parts.

    Attributes:
        rules: names of the actions in force.
        outcomes: what came of them so far, by name and outcome.
    """

    def __init__(self) -> None:
        self.rules: tuple[str, ...] = ()
        self.outcomes: Counter[tuple[str, Outcome]] = Counter()
        self._watching: list[Callable[[], None]] = []

    def use(self, rules: tuple[str, ...]) -> None:
        """Note which actions are in force; what came of others is forgotten."""
        self.rules = rules
        for name, outcome in list(self.outcomes):
            if name not in rules:
                del self.outcomes[name, outcome]
        self._changed()

    def count(self, rule: str, outcome: Outcome) -> None:
        """Note what came of an action."""
        self.outcomes[rule, outcome] += 1
        self._changed()

    @contextlib.contextmanager
    def watched(self, changed: Callable[[], None]) -> Iterator[None]:
        """Have something called after every change, for as long as a ``with`` block lasts."""
        self._watching.append(changed)
        try:
            yield
        finally:
            self._watching.remove(changed)

    def _changed(self) -> None:
        for changed in tuple(self._watching):
            changed()
