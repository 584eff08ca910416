"""A short slice of each campaign, the same cases every time; ``python -m tests.fuzz`` runs as many as are wanted."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import campaign as campaign_module
from tests.fuzz.campaign import campaign, case
from tests.fuzz.targets import TARGETS, Target

REPOSITORY = Path(__file__).resolve().parents[2]

# So that each takes a second or two.
CASES = {
    "config": 2000,
    "manifest": 500,
    "model": 60,
    "bare": 200,
    "audio": 200,
    "stdin": 200,
    "wants": 2000,
    "feed": 2000,
    "link": 2000,
    "requests": 2000,
    "clips": 1000,
}


@pytest.mark.parametrize("name", TARGETS)
def test_damage_is_taken_or_refused_in_one_line_and_nothing_else_happens(name):
    # In a process of its own: what a checking process may open is little, and pytest's own is inherited.
    command = [sys.executable, "-m", "tests.fuzz", name, "--cases", str(CASES[name])]
    finished = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    said = re.fullmatch(
        rf"{name}: {CASES[name]} cases in \d+ s: (\d+) refused, (\d+) taken, 0 findings", finished.stdout.strip()
    )
    assert said, finished.stdout


@pytest.mark.parametrize(
    ("does", "found"),
    [
        ("raise ValueError('unforeseen')", "ValueError: unforeseen"),
        ("import warnings; warnings.warn('a line too many', RuntimeWarning)", "RuntimeWarning: a line too many"),
        ("import os; os.kill(os.getpid(), 9)", "crashes: SIGKILL"),
        ("import os; os._exit(3)", "crashes: 3"),
        ("while True: pass", "hangs"),
    ],
)
def test_what_must_not_happen_is_found_and_the_other_cases_go_on(monkeypatch, does, found):
    def read(_data, number):
        if number == 7:
            exec(does)
        return "taken"

    monkeypatch.setitem(TARGETS, "made up", lambda _: Target((b"seed",), (b"token",), read))
    monkeypatch.setattr(campaign_module, "_HANG_CPU_S", 0.2)
    outcome = campaign("made up", 0, 20)
    assert [number for number, _ in outcome.findings] == [7]
    assert found in outcome.findings[0][1]
    assert outcome.ends["taken"] == 19


def test_a_number_always_is_the_same_case():
    assert case("config", 4711) == case("config", 4711) != case("config", 4712)
