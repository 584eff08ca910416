"""A change that costs shows as a number, not as noise: counted, and compared with a budget that is committed."""

import pytest

from tests.instructions.budget import FIGURES, counted, read_budget
from tests.instructions.emulated import NoEmulatedMachineError, missing_tools

pytestmark = [
    pytest.mark.arm64,
    pytest.mark.timeout(900),  # the first one makes the emulated machine
    pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"),
]
_TOLERANCE = 0.03
_WINDOW = "esc10, hop 0.5 s, window"


def check(figure: str) -> None:
    try:
        seen = counted(figure)
    except NoEmulatedMachineError as error:
        pytest.skip(f"no arm64 Python can be fetched: {error}")
    allowed = read_budget()[figure]
    assert abs(seen / allowed - 1) <= _TOLERANCE, (
        f"{figure}: {seen} instructions, the budget is {allowed}. "
        "If that is meant: python -m tests.instructions --update"
    )


def test_a_window_costs_what_the_budget_says():
    check(_WINDOW)


@pytest.mark.long
@pytest.mark.parametrize("figure", [figure for figure in FIGURES if figure != _WINDOW])
def test_everything_else_costs_what_the_budget_says(figure):
    check(figure)
