"""When an action is due: for which labels and scores, how soon again, and at what time of the day. Does nothing."""

import fnmatch
import re
from collections import OrderedDict

from audiomon.link.actions.quiet import QuietHours, wall_clock_min
from audiomon.link.actions.settings import Action
from audiomon.link.ledger import Outcome
from audiomon.outputs.feed_protocol import EventLine

# Labels whose cooldown is remembered: a model may have ten thousand.
_MAX_COOLING = 2000


class Rule:
    """One action, and for which labels it was due of late.

    Args:
        number: of the action in ``link.yaml``, from 0.
        action: its settings.

    Attributes:
        name: for people, metrics and the journal: ``1 ntfy``.
    """

    def __init__(self, number: int, action: Action) -> None:
        self.number = number
        self.action = action
        self.name = f"{number + 1} {action.kind}"
        self._labels = [re.compile(fnmatch.translate(pattern.replace("[", "[[]"))) for pattern in action.on]
        self._quiet = [QuietHours.of(text) for text in action.quiet]
        # When it was last due, in monotonic seconds, by listener, label and state.
        self._due_s: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    def judge(
        self, listener: str, event: EventLine, now_s: float, monotonic_s: float, *, paused: bool = False
    ) -> Outcome | None:
        """Say what is to come of an event: "done" if the action is due, which begins its cooldown.

        Args:
            listener: name of the instance that heard it.
            event: what happened.
            now_s: seconds since 1970-01-01 UTC.
            monotonic_s: a monotonic clock, in seconds.
            paused: whether no action is done at present.

        Returns:
            None if the event is none of its business.
        """
        action = self.action
        if action.when not in (event.state, "both") or not any(label.match(event.label) for label in self._labels):
            return None
        if event.state == "on" and event.score < action.min_score:
            return None
        if self._quiet and any(hours.contain(wall_clock_min(now_s)) for hours in self._quiet):
            return "quiet"
        key = (listener, event.label, event.state)
        due_s = self._due_s.get(key)
        if due_s is not None and monotonic_s - due_s < action.cooldown_s:
            return "cooling"
        if paused:
            return "paused"
        self._due_s[key] = monotonic_s
        self._due_s.move_to_end(key)
        if len(self._due_s) > _MAX_COOLING:
            self._due_s.popitem(last=False)
        return "done"
