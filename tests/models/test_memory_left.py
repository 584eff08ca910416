"""What a control group has left, from files made here as the kernel writes them: a real limit needs a booted system."""

from pathlib import Path

import pytest

from audiomon.models.memory_left import memory_left_bytes

MIB = 1 << 20
NO_FILES = "active_file 0\ninactive_file 0"
SOME_FILES = f"anon {60 * MIB}\nactive_file {20 * MIB}\ninactive_file {10 * MIB}"


def in_group(folder: Path, line: str) -> Path:
    """Write which group the process is in."""
    groups = folder / "cgroup"
    groups.write_text(f"3:cpuset:/\n{line}\n", encoding="utf-8")
    return groups


def group(folder: Path, *, high: str = "max", most: str = "max", current: str = "0", stat: str = NO_FILES) -> None:
    """Write a group's files, of the second version."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {"high": high, "max": most, "current": current, "stat": stat}.items():
        (folder / f"memory.{name}").write_text(f"{text}\n", encoding="latin-1")


def first_group(folder: Path, limit: int, usage: int, stat: str) -> None:
    """The same, of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {"limit_in_bytes": limit, "usage_in_bytes": usage, "stat": stat}.items():
        (folder / f"memory.{name}").write_text(f"{text}\n", encoding="ascii")


def test_the_files_that_the_kernel_would_drop_are_left(tmp_path):
    group(tmp_path / "a", most=f"{320 * MIB}", current=f"{90 * MIB}", stat=SOME_FILES)
    assert memory_left_bytes(in_group(tmp_path, "0::/a"), tmp_path) == 260 * MIB


def test_a_group_of_the_first_version_counts_those_below_it(tmp_path):
    stat = f"active_file 0\ninactive_file 0\ntotal_active_file {20 * MIB}\ntotal_inactive_file {10 * MIB}"
    first_group(tmp_path / "memory" / "a", 320 * MIB, 90 * MIB, stat)
    assert memory_left_bytes(in_group(tmp_path, "4:memory:/a"), tmp_path) == 260 * MIB


def test_where_more_is_slowed_down_is_a_limit_too(tmp_path):
    group(tmp_path / "a", high=f"{240 * MIB}", most=f"{320 * MIB}", current=f"{90 * MIB}")
    assert memory_left_bytes(in_group(tmp_path, "0::/a"), tmp_path) == 150 * MIB


def test_the_narrowest_limit_on_the_way_is_the_one(tmp_path):
    group(tmp_path / "a", most=f"{100 * MIB}", current=f"{60 * MIB}")
    group(tmp_path / "a" / "b", current=f"{50 * MIB}")
    group(tmp_path / "a" / "b" / "c", most=f"{80 * MIB}")
    assert memory_left_bytes(in_group(tmp_path, "0::/a/b/c"), tmp_path) == 40 * MIB


def test_more_taken_than_the_limit_leaves_nothing(tmp_path):
    group(tmp_path / "a", most="0", current="4096")
    assert memory_left_bytes(in_group(tmp_path, "0::/a"), tmp_path) == 0


@pytest.mark.parametrize(
    "changed", [{"stat": "active_file 0"}, {"stat": "active_file"}, {"most": ""}, {"current": "many"}, {"stat": "\xe9"}]
)
def test_what_the_kernel_writes_otherwise_than_expected_is_no_limit(tmp_path, changed):
    group(tmp_path, **{"most": f"{100 * MIB}", "current": f"{60 * MIB}"} | changed)
    assert memory_left_bytes(in_group(tmp_path, "0::/"), tmp_path) is None


def test_names_of_groups_may_hold_anything(tmp_path):
    group(tmp_path, most=f"{100 * MIB}")
    groups = tmp_path / "cgroup"
    groups.write_bytes(b"0::/a\xe9\n\nb:\n")
    assert memory_left_bytes(groups, tmp_path) == 100 * MIB


@pytest.mark.parametrize("line", ["0::/../../elsewhere", "4:memory:/gone", "4:cpu,cpuacct:/a"])
def test_where_nothing_limits_or_says_there_is_no_limit(tmp_path, line):
    first_group(tmp_path / "memory" / "a", MIB, 0, NO_FILES)
    group(tmp_path / "a", most=f"{MIB}")
    assert memory_left_bytes(in_group(tmp_path, line), tmp_path) is None
    assert memory_left_bytes(tmp_path / "missing", tmp_path) is None


def test_this_systems_own_answer_is_no_error():
    left = memory_left_bytes()
    assert left is None or left >= 0
