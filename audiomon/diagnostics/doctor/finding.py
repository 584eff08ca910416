"""What a look found."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is well, worth knowing, or wrong.

    Attributes:
        level: which of these.
        about: what was looked at, in a word.
        what: was found, in one line.
        advice: what to do; empty where there is nothing to do.
    """

    level: Literal["ok", "note", "wrong"]
    about: str
    what: str
    advice: str = ""
