"""What is counted, and the budget that it is compared with."""

import json
from functools import cache
from pathlib import Path

from tests.instructions.emulated import marks
from tests.instructions.workload import COUNTED

BUDGET = Path(__file__).resolve().parent / "budget.json"
_MODELS, _HOPS_S = ("esc10", "home"), ("0.5", "0.1")
_WINDOWS = [
    f"{model}, hop {hop_s} s, {part}" for model in _MODELS for hop_s in _HOPS_S for part in ("window", "capture")
]
# In instructions: of the imports at a start; of one window of a model, and of capturing what one window needs.
FIGURES = ("imports", *_WINDOWS)


def counted(name: str) -> int:
    """Count one of `FIGURES`."""
    if name == "imports":
        at = _marks("imports")
        return at[1] - at[0]
    model, hop, part = name.split(", ")
    at = _marks("window", model, hop.split()[1])
    first = 0 if part == "window" else 2
    return (at[first + 1] - at[first]) // COUNTED


@cache
def _marks(*workload: str) -> dict[int, int]:
    return marks(*workload)


def read_budget() -> dict[str, int]:
    """Return the budget, by figure."""
    budget: dict[str, int] = json.loads(BUDGET.read_text(encoding="utf-8"))
    return budget


def write_budget(figures: dict[str, int]) -> None:
    """Write another budget."""
    BUDGET.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
