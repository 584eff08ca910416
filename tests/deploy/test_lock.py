import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parents[2]
LOCKS = [REPOSITORY / "deploy" / name for name in ("service.lock", "plots.lock", "build.lock", "link.lock")]
# 32-bit ARM has an interpreter of models for one Python only.
MACHINES = [
    ("x86_64", "3.11"),
    ("x86_64", "3.13"),
    ("aarch64", "3.11"),
    ("aarch64", "3.13"),
    ("armv7l", "3.11"),
    ("armv8l", "3.11"),
]
# What 32-bit ARM takes from Debian; see deploy/environment.sh.
DEBIANS = {"numpy", "pyyaml", "systemd-python"}


def entries(path: Path) -> list[tuple[Requirement, list[str]]]:
    text = path.read_text(encoding="ascii").replace("\\\n", " ")
    lines = [re.split(r"\s+--hash=sha256:", line) for line in text.splitlines() if not line.startswith("#")]
    return [(Requirement(first.strip()), [part.strip() for part in rest]) for first, *rest in lines]


def test_nothing_from_debian_is_taken_from_elsewhere_on_32_bit_arm():
    environment = {"platform_machine": "armv7l", "python_version": "3.11", "python_full_version": "3.11.2"}
    for lock in LOCKS:
        taken = {entry.name for entry, _ in entries(lock) if entry.marker is None or entry.marker.evaluate(environment)}
        assert not taken & {*DEBIANS, "cffi", "matplotlib"}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_entry_is_one_version_with_checksums_and_names_no_place(lock):
    for requirement, sums in entries(lock):
        assert re.fullmatch(r"==[0-9][0-9.]*", str(requirement.specifier)), requirement
        assert requirement.url is None
        assert sums, requirement
        assert all(re.fullmatch("[0-9a-f]{64}", one) for one in sums), requirement
    assert "://" not in lock.read_text(encoding="ascii")


@pytest.mark.parametrize(("machine", "python"), MACHINES)
def test_all_that_the_service_needs_is_locked_to_a_version_that_will_do(machine, python):
    environment = {"platform_machine": machine, "python_version": python, "python_full_version": f"{python}.1"}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = {
        requirement.name.replace("_", "-"): next(iter(requirement.specifier)).version
        for requirement, _ in entries(LOCKS[0])
        if requirement.marker is None or requirement.marker.evaluate(environment)
    }
    for text in (*project["dependencies"], *project["optional-dependencies"]["service"]):
        wanted = Requirement(text)
        name = wanted.name.lower().replace("_", "-")
        if (wanted.marker is None or wanted.marker.evaluate(environment)) and not (
            machine.startswith("armv") and name in DEBIANS
        ):
            assert wanted.specifier.contains(locked.get(name, "0")), f"{text}: {locked.get(name)}; run deploy/lock.sh"
