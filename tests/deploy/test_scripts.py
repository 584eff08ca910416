import itertools
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.checkout import ROOT, Checkout

SCRIPTS = sorted(
    [*ROOT.glob("deploy/**/*.sh"), *ROOT.glob("deploy/deb/p*"), *ROOT.glob("tests/**/*.sh"), ROOT / ".ci" / "run"]
)


@pytest.fixture
def two_pythons(checkout: Checkout) -> Checkout:
    """A machine with both Pythons, where every Debian package is there."""
    for version in ("3.11", "3.13"):
        checkout.add_python(version, f"python{version}")
    checkout.add_to_environment("install_packages() { :; }")
    checkout.add_to_environment('find_python() { type -p "python$1"; }')
    return checkout


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say(script: Path) -> None:
    result = subprocess.run(["shellcheck", "-x", "-S", "warning", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", ["try.sh", "test.sh"])
def test_help_explains_and_changes_nothing(checkout: Checkout, name: str) -> None:
    before = sorted(os.listdir(checkout.folder))
    status, said = checkout.run(f"deploy/{name}", "--help")
    assert status == 0
    assert said.startswith(f"deploy/{name} [")
    assert "set -euo" not in said
    assert sorted(os.listdir(checkout.folder)) == before
    assert checkout.calls("") == []


def test_try_hands_its_options_to_run_when_all_is_set_up(checkout: Checkout) -> None:
    venv = checkout.folder / ".venv" / "bin"
    venv.mkdir(parents=True)
    shutil.copy(checkout.programs / "python", venv / "python")
    shutil.copy(checkout.add_program("audiomon", '#!/bin/bash\necho "audiomon:" "$@"\n'), venv)
    checkout.run_function('environment_stamp "$PWD/.venv" "$system_python" "" >.venv/audiomon-stamp')
    assert checkout.run("deploy/try.sh", "--json", "--hop", "1") == (0, "audiomon: run --or-sample --json --hop 1\n")


def test_both_pythons_run_the_tests_and_one_has_tensorflow(two_pythons: Checkout) -> None:
    status, said = two_pythons.run("deploy/test.sh", "--all", "-k", "ring")
    assert status == 0, said
    assert said.endswith("=== tests of 3.13 ===\n")
    assert [",lab" in call for call in two_pythons.calls("-m pip")] == [True, False]
    alone, first, alone_again, second = two_pythons.calls("-m pytest")
    assert "tensorflow" not in alone + first
    assert "not tensorflow" in alone_again
    assert "not tensorflow" in second
    assert all(call.endswith("-k ring") for call in (alone, first, alone_again, second))


def test_only_tests_that_share_nothing_run_in_parallel(two_pythons: Checkout) -> None:
    two_pythons.run("deploy/test.sh", "--all")
    alone, first, *_ = two_pythons.calls("-m pytest")
    assert "(mic or root)" in alone
    assert "-n auto" not in alone
    assert "not mic and not root" in first
    assert "-n auto" in first


def test_the_lowest_versions_are_resolved_for_python_3_11_and_tested_without_the_static_checks(
    two_pythons: Checkout,
) -> None:
    two_pythons.add_program("uv", '#!/bin/bash\necho "uv $*" >>"$CALLS"\n')
    python = two_pythons.programs / "python3.11"
    python.write_text(
        python.read_text().replace(
            "*) mkdir", '*) mkdir -p "${@: -1}/bin"; cp "$(type -p uv)" "${@: -1}/bin"; mkdir', 1
        )
    )
    status, said = two_pythons.run("deploy/test.sh", "--lowest")
    assert status == 0, said
    (call,) = two_pythons.calls("uv pip install")
    assert "--resolution lowest-direct" in call
    assert call.endswith("[test,link]")
    assert two_pythons.calls("-m mypy") == []
    assert len(two_pythons.calls("-m pytest")) == 1


def test_what_is_left_out_without_all_is_said(two_pythons: Checkout) -> None:
    status, said = two_pythons.run("deploy/test.sh")
    assert status == 0, said
    (call,) = two_pythons.calls("-m pytest")
    for marker in ("mic", "root", "slow", "tensorflow", "archive", "chromium", "long"):
        assert f"leaving out the tests marked {marker}" in said
        assert f"not {marker}" in call


def test_a_failure_on_the_first_python_is_what_stands_last(two_pythons: Checkout) -> None:
    python = two_pythons.programs / "python3.11"
    python.write_text(python.read_text() + '\ncase "$*" in "-m pytest"*) exit 1;; esac\n')
    status, said = two_pythons.run("deploy/test.sh", "--all")
    assert status == 1
    assert "=== tests of 3.13 ===" in said
    assert said.endswith(
        "test.sh: failed: pytest with .venv-test-all-3.11\n=== short test summary info ===\n=== tests of 3.11 ===\n"
    )


@pytest.fixture
def installable(checkout: Checkout) -> Checkout:
    """A checkout that can be installed, into a folder of its own."""
    (checkout.folder / "audiomon").mkdir()
    (checkout.folder / "audiomon" / "__init__.py").write_text('__version__ = "1.2.3"\n')
    (checkout.folder / "README.md").write_text("# audiomon\n")
    for name in ("models/home", "config"):
        (checkout.folder / name).mkdir(parents=True)
    checkout.add_program("systemctl", '#!/bin/bash\necho "systemd 252"\n')
    checkout.add_to_environment("architecture() { echo amd64; }")  # 32-bit ARM has one Python alone
    with (checkout.folder / "deploy" / "places.sh").open("a") as file:
        file.write(f"programs={checkout.folder}/opt releases={checkout.folder}/opt/releases\n")
    return checkout


def test_another_python_makes_another_release(installable: Checkout) -> None:
    names = []
    for version in ("3.11", "3.12"):
        installable.add_python(version)
        status, said = installable.run("deploy/install.sh", "--dry-run", "--no-start")
        assert status == 0, said
        names += re.findall(r"would run: switch_to releases/(\S+)", said)
    assert [name.rpartition("-")[0] for name in names] == ["1.2.3-python3.11", "1.2.3-python3.12"]


@pytest.mark.parametrize(
    ("parts", "units"),
    [
        ("link", {"link"}),
        ("keeper,source", {"keeper", "source@"}),
        ("link,keeper,source", {"link", "keeper", "source@"}),
    ],
)
def test_the_service_comes_with_what_is_asked_for(installable: Checkout, parts: str, units: set[str]) -> None:
    installable.add_python("3.11")
    status, said = installable.run("deploy/install.sh", "--dry-run", "--no-start", "--with", parts)
    assert status == 0, said
    assert set(re.findall(r"systemd/audiomon-(link|keeper|source@)\.service", said)) == units


@pytest.mark.parametrize("parts", ["link,everything", "", None])
def test_what_the_service_does_not_come_with_is_refused(installable: Checkout, parts: str | None) -> None:
    status, said = installable.run("deploy/install.sh", "--dry-run", "--with", *([] if parts is None else [parts]))
    assert status == 2
    assert "--with takes: link, keeper, source" in said


def add_release(checkout: Checkout, name: str, made_with: str, link: str = "") -> Path:
    """A whole release, whose command says that all is well."""
    release = checkout.folder / "opt" / "releases" / name
    (release / "bin").mkdir(parents=True)
    (release / "made-with").write_text(f"{made_with}\n")
    (release / "bin" / "audiomon").write_text("#!/bin/bash\n")
    (release / "bin" / "audiomon").chmod(0o755)
    if link:
        (checkout.folder / "opt" / link).symlink_to(f"releases/{name}")
    return release


def test_a_release_whose_python_is_gone_is_not_gone_back_to(installable: Checkout) -> None:
    add_release(installable, "of-3.11", "3.11", "previous")
    add_release(installable, "of-3.12", "3.12", "current")
    status, said = installable.run("deploy/install.sh", "--dry-run", "--no-start", "--rollback")
    assert status == 0, said
    assert "would run: switch_to releases/of-3.11\n" in said
    installable.add_python("3.12")
    status, said = installable.run("deploy/install.sh", "--dry-run", "--no-start", "--rollback")
    assert status == 1
    assert "of-3.11 would not run: it is damaged, or was made with a Python that is gone" in said


@pytest.mark.parametrize("broken", ["", "#!/bin/gone/python\n", "#!/bin/bash\nexit 1\n"])
def test_a_release_that_was_damaged_is_made_again_and_not_gone_back_to(installable: Checkout, broken: str) -> None:
    name = installable.run("bash", "-c", ". deploy/environment.sh; . deploy/places.sh; release_name")[1].strip()
    command = add_release(installable, name, "3.11", "previous") / "bin" / "audiomon"
    status, said = installable.run("deploy/install.sh", "--dry-run", "--no-start")
    assert status == 0
    assert f"opt/releases/{name} already\n" in said
    if broken:
        command.write_text(broken)
    else:
        command.unlink()
    status, said = installable.run("deploy/install.sh", "--dry-run", "--no-start")
    assert status == 0
    assert "would make a virtual environment in" in said
    status, said = installable.run("deploy/install.sh", "--dry-run", "--no-start", "--rollback")
    assert status == 1
    assert "would not run" in said


# Ends the process, as a kill would, before the N-th of the programs that a switch calls.
_CUT = """
count=0
for program in ln mv rm; do eval "$program() { (( count++ < $CUT )) || exit 9; command $program \\"\\$@\\"; }"; done
"""


def test_wherever_a_switch_is_cut_off_both_releases_can_be_reached(installable: Checkout) -> None:
    programs = installable.folder / "opt"
    scripts = "set -euo pipefail; . deploy/environment.sh; . deploy/places.sh; "
    outcomes = []
    for cut in itertools.count():
        shutil.rmtree(programs, ignore_errors=True)
        add_release(installable, "old", "3.11", "previous")
        add_release(installable, "new", "3.11", "current")
        status, said = installable.run("bash", "-c", f"{scripts}{_CUT}switch_to releases/old", CUT=str(cut))
        assert (programs / "current" / "made-with").exists(), f"no release for a moment: {cut}"
        installable.run("bash", "-c", f"{scripts}finish_switch")
        outcomes.append((os.readlink(programs / "current"), os.readlink(programs / "previous")))
        if status == 0:
            break
        assert status == 9, said
    assert len(outcomes) > 4
    assert set(outcomes) == {("releases/new", "releases/old"), ("releases/old", "releases/new")}
    assert outcomes[-1] == ("releases/old", "releases/new")


@pytest.mark.parametrize("script", ["install.sh", "uninstall.sh"])
def test_what_the_debian_package_installed_is_left_to_apt(installable: Checkout, script: str) -> None:
    installable.add_program("id", "#!/bin/bash\necho 1000\n")  # whatever comes after, nothing is removed
    options = ["--dry-run"] if script == "install.sh" else []
    status, said = installable.run(f"deploy/{script}", *options, INSTALLED="audiomon")
    assert status == 1
    assert "the Debian package audiomon is installed" in said


@pytest.mark.parametrize("check", ["ruff check", "ruff format", "mypy"])
def test_a_failed_static_check_fails_the_whole_and_the_tests_still_run(two_pythons: Checkout, check: str) -> None:
    status, said = two_pythons.run("deploy/test.sh", "--all", FAILING=f"-m {check}")
    assert status == 1
    assert f"failed: {check}" in said
    assert len(two_pythons.calls("-m pytest")) == 4
    assert said.endswith("=== tests of 3.13 ===\n")


def test_continuous_integration_runs_the_readers_own_command() -> None:
    commands = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line and not line.startswith("#")]
    assert len(commands) == 1
    assert commands[0].endswith('/deploy/test.sh" --all')
