"""Nothing is lost uncounted, and nothing grows, in a day of faults; see ``__main__``."""

import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.soak.schedule import FAULTS

REPOSITORY = Path(__file__).resolve().parents[2]
# Memory is flat once every fault has come.
WARM_UP_HOURS = 2


@pytest.fixture(scope="module")
def day() -> dict[str, Any]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        # As the unit has them; they decide how much memory fragments take.
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_MMAP_THRESHOLD_": "262144",
        "OPENBLAS_NUM_THREADS": "1",
    }
    finished = subprocess.run(
        [sys.executable, "-m", "tests.soak", "--hours", "24", "--seed", "1"],
        env=environment,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    assert not finished.stderr, finished.stderr[-3000:]
    return msgspec.json.decode(finished.stdout)


pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # it takes half a minute; a machine may be busy


def test_every_kind_of_fault_came_and_had_its_effect(day):
    assert set(day["faults"]) == set(FAULTS)
    assert min(day["faults"].values()) >= 5
    assert day["shed"] > 0
    assert day["lost"] > 0
    assert day["entries_lost"] > 0
    assert day["opened"] > day["faults"]["unplugged"]


def test_every_sample_that_was_captured_is_accounted_for(day):
    assert day["captured"] > 23 * 3600 * 4000
    assert day["classified"] + day["shed"] + day["lost"] + day["left_over"] == day["captured"]


def test_every_prediction_is_in_the_journal_or_in_the_count_of_lost_entries(day):
    missing = day["predictions"] - day["entries"]["prediction"]
    assert 0 < missing <= day["entries_lost"]
    assert day["entries"]["journal-lost"] > 0


def test_a_fault_of_the_microphone_is_one_entry_when_it_goes_and_one_when_it_is_back(day):
    # A stall this short may be over before it counts as one.
    unsure = day["stalls_below_2_s"]
    certain = sum(day["faults"][name] for name in ("unplugged", "suspended", "stalled")) - unsure
    entries = day["entries"]
    assert certain <= entries["device-lost"] <= certain + unsure
    assert entries["device-back"] == entries["device-lost"]
    assert entries["listening"] == entries["device-lost"] + 1


def test_no_thread_and_no_descriptor_is_left_behind(day):
    assert len({(look["threads"], look["descriptors"]) for look in day["held"]}) == 1, day["held"]


def test_memory_is_flat_after_warming_up(day):
    warm = [look["rss_bytes"] for look in day["held"]][WARM_UP_HOURS:]
    # A single look may fall on a moment at which something is on its way through. A prediction leaked is 100 bytes,
    # 5 MB in these hours; microphones that failed, kept by their errors until the cyclic collector came, were 2 MB.
    assert statistics.median(warm[-6:]) - statistics.median(warm[:6]) <= 1e6, day["held"]
