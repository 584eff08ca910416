"""What an action is told about an event: as JSON, as variables of a command's environment, and as words."""

import re
from typing import Any, Literal

import msgspec

from audiomon.foreign import shown

MAX_LABEL = 200
_PLACE = re.compile(r"\{([a-z_]+)\}")


class Facts(msgspec.Struct, frozen=True):
    """What happened.

    Attributes:
        listener: name of the instance that heard it.
        label: which.
        state: what it is now.
        score: smoothed, from 0 to 1.
        time: ISO 8601, UTC.
        duration_s: how long it was on, when it turned off; else 0.
        model: name of the package.
        test: whether it is made up, to try the action.
    """

    listener: str
    label: str
    state: Literal["on", "off"]
    score: float
    time: str
    duration_s: float = 0.0
    model: str = ""
    test: bool = False

    @property
    def title(self) -> str:
        """The label, as words."""
        test = "Test: " if self.test else ""
        return test + shown(self.label, MAX_LABEL).replace("_", " ").capitalize()

    @property
    def message(self) -> str:
        """What happened, in one line."""
        where = "" if self.listener == "audiomon" else f" ({shown(self.listener, 80)})"
        if self.state == "on":
            return f"{shown(self.label, MAX_LABEL)} is on, score {self.score:.2f}{where}"
        return f"{shown(self.label, MAX_LABEL)} is off after {self.duration_s:.1f} s{where}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables for a command."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        # A NUL ends a variable, and the rest of what cannot be printed breaks scripts.
        return {f"AUDIOMON_{name.upper()}": shown(_text(value), 500) for name, value in fields.items()}

    def fill_in(self, value: Any) -> Any:
        """Return plain data with ``{label}`` and the like in its texts replaced; other braces stay as they are."""
        words = {**msgspec.to_builtins(self), "title": self.title, "message": self.message}
        return _filled(value, words)


def _filled(value: Any, words: dict[str, Any]) -> Any:
    if isinstance(value, str):
        return _PLACE.sub(lambda found: _text(words.get(found[1], found[0])), value)
    if isinstance(value, dict):
        return {key: _filled(inner, words) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, words) for inner in value]
    return value


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
