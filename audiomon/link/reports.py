"""What the link says of itself: entries in the journal with fields, as the listener writes them; a line on stderr else.

It never waits.
"""

import sys
from typing import Literal

from audiomon.outputs.journal_socket import JournalSocket, writes_to_journal
from audiomon.outputs.message_ids import MESSAGE_IDS

Severity = Literal["info", "warning", "error"]
_PRIORITIES = {"info": "6", "warning": "4", "error": "3"}


class Reports:
    """Where the link's parts say what has happened to them."""

    def __init__(self) -> None:
        self._journal = JournalSocket() if writes_to_journal(2) else None
        self._said: set[tuple[str, str]] = set()

    def report(self, kind: str, message: str, severity: Severity = "info", **facts: str | int | float) -> None:
        """Say that something has happened.

        Args:
            kind: one of `audiomon.outputs.message_ids.MESSAGE_IDS`.
            message: one line for people.
            severity: how much it matters.
            facts: names and numbers behind the message.
        """
        if self._journal is None:
            print(f"audiomon link: {message}", file=sys.stderr, flush=True)
            return
        entry = {
            "MESSAGE": message,
            "PRIORITY": _PRIORITIES[severity],
            "SYSLOG_IDENTIFIER": "audiomon-link",
            "MESSAGE_ID": MESSAGE_IDS[kind],
        }
        self._journal.send(entry | {f"AUDIOMON_{name.upper()}": str(value) for name, value in facts.items()})

    def report_once(self, kind: str, message: str, severity: Severity = "info", **facts: str | int | float) -> None:
        """Say that something is so, unless it was said already; see `report`."""
        if (kind, message) not in self._said:
            self._said.add((kind, message))
            self.report(kind, message, severity, **facts)

    def failure(self, part: str, error: BaseException) -> None:
        """Say that a part failed where it should not."""
        reason = f"{type(error).__name__}: {error}"
        self.report("link-part-failed", f"The part {part} failed: {reason}", "error", part=part, reason=reason)
