"""How a listener is, in words for people: what is the matter, and what to do about it.

The advice is what ``audiomon doctor`` gives, as far as it can be given from what the feed says.
"""

from dataclasses import dataclass
from typing import Literal

from audiomon.foreign import shown
from audiomon.link.state import Listener
from audiomon.outputs.snapshot import Snapshot

Level = Literal["ok", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Condition:
    """How a listener is.

    Attributes:
        level: whether that is well, worth knowing, or wrong.
        title: in two or three words.
        text: what is the matter, in one line; empty if nothing is.
        advice: what to do about it; empty if there is nothing to do.
    """

    level: Level
    title: str
    text: str = ""
    advice: str = ""


_BY_HEALTH: dict[str, Condition] = {
    "absent": Condition(
        "wrong",
        "No microphone",
        "No microphone has been heard since the start.",
        "Plug one in, or choose one that `audiomon devices` lists.",
    ),
    "opening": Condition("note", "Opening the microphone"),
    "doubtful": Condition(
        "wrong",
        "Doubtful sound",
        "What comes from the microphone cannot be sound.",
        "`sudo audiomon doctor` listens for two seconds and says what to change.",
    ),
    "lost": Condition(
        "wrong",
        "Microphone lost",
        "The microphone was unplugged, failed or stalled.",
        "Look at its plug, its cable and the power supply.",
    ),
    "stuck": Condition(
        "wrong",
        "Sound system stuck",
        "The sound system does not release the microphone.",
        "`sudo systemctl restart audiomon`; if that does not help, restart the machine.",
    ),
}


def condition_of(listener: Listener) -> Condition:
    """Say how a listener is."""
    if not listener.up:
        unit = "audiomon" if listener.name == "audiomon" else f"audiomon@{listener.name}"
        problem = shown(listener.problem)
        return Condition("wrong", "Not running", f"{problem}.", f"`systemctl status {unit}` says why.")
    state = listener.snapshot
    if state is None:
        return Condition("note", "Starting")
    if state.health != "listening":
        known = _BY_HEALTH.get(state.health, Condition("note", shown(state.health, 40)))
        text = f"{shown(state.reason)}." if state.reason else known.text
        return Condition(known.level, known.title, text, known.advice)
    return _listening(state)


def _listening(state: Snapshot) -> Condition:
    if state.refused:
        return Condition(
            "wrong",
            "Settings refused",
            f"{shown(state.refused)}.",
            "The listener goes on as before. Fix the file and save; `audiomon check` says what is wrong with it.",
        )
    if state.entries_lost:
        return Condition(
            "note",
            "Listening",
            f"The journal did not take {state.entries_lost} entries.",
            "`audiomon report` has the rest.",
        )
    return Condition("ok", "Listening")
