"""What a control group has left, from files made here as the kernel writes them: a real limit needs a booted system."""

from pathlib import Path

import pytest

from audiomon.models.memory_left import memory_left_bytes

MIB = 1 << 20


def in_group(folder: Path, line: str) -> Path:
    """Write which group the process is in."""
    groups = folder / "cgroup"
    groups.write_text(f"3:cpuset:/\n{line}\n", encoding="utf-8")
    return groups


def group(folder: Path, **files: str) -> None:
    """Write a group's files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n", encoding="ascii")


def test_the_files_that_the_kernel_would_drop_are_left(tmp_path):
    stat = f"anon {60 * MIB}\nactive_file {20 * MIB}\ninactive_file {10 * MIB}"
    group(tmp_path / "a", memory__max=f"{320 * MIB}", memory__current=f"{90 * MIB}", memory__stat=stat)
    assert memory_left_bytes(in_group(tmp_path, "0::/a"), tmp_path) == 260 * MIB


def test_a_group_of_the_first_version_counts_those_below_it(tmp_path):
    stat = f"active_file 0\ninactive_file 0\ntotal_active_file {20 * MIB}\ntotal_inactive_file {10 * MIB}"
    files = {"memory__limit_in_bytes": f"{320 * MIB}", "memory__usage_in_bytes": f"{90 * MIB}", "memory__stat": stat}
    group(tmp_path / "memory" / "a", **files)
    assert memory_left_bytes(in_group(tmp_path, "4:memory:/a"), tmp_path) == 260 * MIB


def test_the_narrowest_limit_on_the_way_is_the_one(tmp_path):
    none = "active_file 0\ninactive_file 0"
    group(tmp_path / "a", memory__max=f"{100 * MIB}", memory__current=f"{60 * MIB}", memory__stat=none)
    group(tmp_path / "a" / "b", memory__max="max", memory__current=f"{50 * MIB}", memory__stat=none)
    group(tmp_path / "a" / "b" / "c", memory__max=f"{80 * MIB}", memory__current="0", memory__stat=none)
    assert memory_left_bytes(in_group(tmp_path, "0::/a/b/c"), tmp_path) == 40 * MIB


def test_more_taken_than_the_limit_leaves_nothing(tmp_path):
    group(tmp_path / "a", memory__max="0", memory__current="4096", memory__stat="active_file 0\ninactive_file 0")
    assert memory_left_bytes(in_group(tmp_path, "0::/a"), tmp_path) == 0


@pytest.mark.parametrize("line", ["0::/", "0::/../../elsewhere", "4:memory:/gone", "4:cpu,cpuacct:/a"])
def test_where_nothing_limits_or_says_there_is_no_limit(tmp_path, line):
    assert memory_left_bytes(in_group(tmp_path, line), tmp_path) is None
    assert memory_left_bytes(tmp_path / "missing", tmp_path) is None


def test_this_systems_own_answer_is_no_error():
    left = memory_left_bytes()
    assert left is None or left >= 0
