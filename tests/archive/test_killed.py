"""A real scheduler, workers and nannies, all of them killed: the short form of ``python -m tests.archive.kill``."""

import pytest

from tests.archive.kill import DEADLY, kill_everything


@pytest.mark.timeout(900)
def test_whatever_is_killed_every_row_is_there_once_and_equal_to_the_bit(tmp_path, tiny_models):
    killed = kill_everything(tmp_path, files=60, seconds=2.0, hours=0, part_files=4, model="tiny", models=tiny_models)
    assert killed.comparison.equal, killed
    assert killed.comparison.statuses["killed"] == 1
    assert killed.comparison.files == 61
    # The first driver left something undone and the second one did it, but for what is in the table of errors.
    assert killed.statuses == [75, 2], killed
    assert f"{DEADLY}: killed the process that read it" in killed.last
    assert ": 0 files (0.0 GB) in 0 parts to do, 61 files done" in killed.again
